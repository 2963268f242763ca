"""A policy that thinks for several steps: what happens meanwhile, and what becomes of its answer."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from tests.properties.test_allotment_properties import views
from tests.scenario import World, spec

from trainmaster.domain.events import CancelRequested, NodeVanished, ProfileSwitched
from trainmaster.domain.ids import NodeId, TaskId, UserName
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.task import TaskKind
from trainmaster.domain.units import Resources
from trainmaster.policies.allotment.fair import Fair
from trainmaster.policies.allotment.pollux import Pollux
from trainmaster.policies.base import AllotmentView, Claim, Deliberate
from trainmaster.policies.registry import ALLOTMENTS, PROFILES
from trainmaster.scheduler.deliberation import still_fitting, within_bounds
from trainmaster.scheduler.explain import explain
from trainmaster.simulator.rounds import check

ME = UserName("me")
PARTS = 3


@dataclass(frozen=True, slots=True)
class Slowly:
    """Fair shares, after some thought."""

    name: str = "slowly"
    suspends: bool = False
    begun: list[float] = field(default_factory=list)  # the time of each view it was asked about

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        return Fair().allot(view)

    def deliberate(self, view: AllotmentView) -> Generator[None, None, Mapping[TaskId, int]]:
        self.begun.append(view.now)
        for _ in range(PARTS):
            yield
        return self.allot(view)


class Nothing:
    """Lets all wait."""

    name, suspends = "nothing", False

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        return {claim.task.id: 0 for claim in view.claims if not claim.workers}


class Thinking(World):
    """With such a policy. `settle` steps until there is nothing to be done at once."""

    def __init__(self, nodes: dict[str, float | Resources]) -> None:
        super().__init__(nodes, allotment="fair")
        self.policy = Slowly()
        self.state.policies = replace(self.state.policies, allotment=self.policy)

    def settle(self) -> int:
        """How many steps that took."""
        steps = 0
        while self.last.again or (self.last.wake_at is not None and self.last.wake_at <= self.now):
            self.do()
            steps += 1
        return steps


def trained(world: Thinking, high: int) -> TaskId:
    (task,) = world.submit(spec(max_workers=high))
    world.settle()
    world.ready(task)
    world.follow(task)
    world.settle()
    return task


def test_only_what_must_think_longer_does() -> None:
    made = {name: kind() for name, kind in ALLOTMENTS.items()}
    assert [name for name, policy in made.items() if isinstance(policy, Deliberate)] == ["pollux", "rlpto"]


def test_it_thinks_a_part_in_each_step_and_nothing_starts_before_it_has_decided() -> None:
    world = Thinking({"n1": 4})
    (task,) = world.submit(spec(max_workers=4))
    for _ in range(PARTS - 1):
        assert world.last.again and not world.running()
        world.do()
    world.do()
    assert world.task(task).workers == 4 and not world.last.again
    assert world.policy.begun == [1000.0]


def test_who_waits_for_its_thoughts_or_by_its_decision_is_told_so() -> None:
    world = Thinking({"n1": 4})
    (task,) = world.submit(spec(max_workers=4))
    told = explain(world.state, world.task(task), world.now)
    assert told.blocking == "allotment" and "slowly is making up its mind" in [f.text for f in told.facts]
    world = World({"n1": 4})
    world.state.policies = replace(world.state.policies, allotment=Nothing())
    (task,) = world.submit(spec(max_workers=4))
    told = explain(world.state, world.task(task), world.now)
    assert told.headline == "QUEUED for 0.0 s (position 1): the allotment policy lets it wait."
    assert "nothing gave it no workers when it last decided" in [fact.text for fact in told.facts]
    assert "next" not in [fact.topic for fact in told.facts]


def test_what_it_decides_is_the_same_as_without_thinking() -> None:
    told = []
    for world in (Thinking({"n1": 4, "n2": 3}), World({"n1": 4, "n2": 3}, allotment="fair")):
        tasks = world.submit(*[spec(max_workers=4)] * 3)
        while world.last.again:
            world.do()
        told.append([world.nodes_of(task) for task in tasks])
    assert told[0] == told[1] and [len(nodes) for nodes in told[0]] == [3, 2, 2]


def test_who_comes_while_it_thinks_is_thought_of_at_once_afterwards() -> None:
    world = Thinking({"n1": 4})
    (first,) = world.submit(spec(max_workers=2))
    (second,) = world.submit(spec(max_workers=2), after=0.001)
    world.settle()
    assert world.policy.begun == [1000.0, 1000.001], "once for each: not begun anew by the second"
    assert [world.task(task).workers for task in (first, second)] == [2, 2]


def test_a_node_that_goes_while_it_thinks_is_not_given_away() -> None:
    world = Thinking({"n1": 2, "n2": 2})
    (task,) = world.submit(spec(max_workers=4))
    world.do(NodeVanished(NodeId("n2")))
    world.settle()
    assert world.nodes_of(task) == ["n1", "n1"]


def test_what_ends_while_it_thinks_frees_room_that_is_given_next() -> None:
    world = Thinking({"n1": 4})
    first = trained(world, 2)
    world.do(after=60)
    (second,) = world.submit(spec(max_workers=4))
    world.do(CancelRequested(first, ME))
    world.obey_stops()
    world.settle()
    assert world.task(first).state is TaskState.CANCELLED and world.task(second).workers == 4


def test_another_profile_forgets_what_was_being_thought() -> None:
    world = Thinking({"n1": 4})
    world.state.profiles = {**PROFILES}
    (task,) = world.submit(spec(max_workers=4))
    assert world.state.deliberation is not None
    world.do(ProfileSwitched("default", ME))
    assert world.state.deliberation is None and world.task(task).workers
    before = len(world.policy.begun)
    world.do(after=60)
    assert len(world.policy.begun) == before


def test_nobody_left_to_decide_upon_ends_the_thought() -> None:
    world = Thinking({"n1": 4})
    (task,) = world.submit(spec(max_workers=4))
    world.do(CancelRequested(task, ME))
    assert world.state.deliberation is None and not world.last.again


def test_functions_do_not_call_for_thought() -> None:
    world = Thinking({"n1": 4})
    call = spec(kind=TaskKind.FUNCTION, command=(), function="m:f", resources=Resources(lanes=1))
    (task,) = world.submit(call)
    assert task in world.running() and not world.last.again


# --- what still fits ---------------------------------------------------------------------------------------


@given(view=views())
@settings(max_examples=100, deadline=None)
def test_all_of_it_fits_where_nothing_has_changed(view: AllotmentView) -> None:
    targets = Pollux(population=10, generations=3).allot(view)
    assert still_fitting(view, targets) == dict(targets)


@given(then=views(), now=views())
@settings(max_examples=200, deadline=None)
def test_no_more_than_there_is_now_is_given(then: AllotmentView, now: AllotmentView) -> None:
    """Views share the names of their tasks, and nothing else."""
    targets = Pollux(population=10, generations=3).allot(then)
    targets = {
        claim.task.id: targets.get(claim.task.id, 0)
        if claim.task.spec.preemptible or not claim.workers
        else max(targets.get(claim.task.id, 0), 1)
        for claim in now.claims
    }
    targets = {claim.task.id: within_bounds(claim, targets) for claim in now.claims}
    check(now, still_fitting(now, targets), suspends=True)


@pytest.mark.parametrize("tasks", [3, 40])
def test_the_parts_of_pollux_are_bounded(tasks: int) -> None:
    world = World({"n1": 8.0}, allotment="fixed")
    world.submit(*[spec(max_workers=4)] * tasks)
    claims = [Claim(task, 0, 1, 4, True) for task in world.state.tasks.values()]
    view = AllotmentView(0.0, claims, Resources(cpu_m=8000, memory=10**12), [], 1)
    parts = sum(1 for _ in Pollux().deliberate(view))
    assert parts == -(-100 // max(30_000 // (100 * tasks), 1))
