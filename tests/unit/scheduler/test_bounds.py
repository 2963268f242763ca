"""What is too much for one step goes on in the next, and is one decision all the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from tests.scenario import World, spec
from tests.unit.scheduler.test_elastic import reasons

from trainmaster.domain.events import ProfileSwitched, TaskSubmitted
from trainmaster.domain.history import RecordKind
from trainmaster.domain.ids import TaskId, UserName
from trainmaster.policies.allotment.fair import Fair
from trainmaster.policies.base import AllotmentView
from trainmaster.policies.registry import Profile
from trainmaster.scheduler.state import Limits

ME = UserName("me")


@dataclass(frozen=True, slots=True)
class Counted:
    """Fair shares."""

    name: str = "fair"
    suspends: bool = False
    asked: list[float] = field(default_factory=list)

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        self.asked.append(view.now)
        return Fair().allot(view)


class Absurd:
    """Would stop what it may not."""

    name, suspends = "absurd", False

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        return {claim.task.id: 0 for claim in view.claims}


class Small(World):
    """Six cores, one resize a cycle; `asked`: when the policy was."""

    def __init__(self, **limits: float) -> None:
        made = replace(Limits(resizes=1, resize_cooldown_s=0.0), **limits)
        super().__init__({"n1": 6}, made, allotment="fair")
        policy = Counted()
        self.asked = policy.asked
        self.state.policies = replace(self.state.policies, allotment=policy)

    def workers(self, tasks: list[TaskId]) -> list[int]:
        return [self.task(task).workers for task in tasks]

    def settle(self) -> list[list[int]]:
        """Step while there is something to be done at once. Returns the workers of all after each step."""
        told = []
        while self.last.again:
            self.do()
            told.append(self.workers(list(self.state.tasks)))
        return told


def three_groups(world: World) -> list[TaskId]:
    """Of up to two workers each."""
    groups = world.submit(*[spec(max_workers=2)] * 3)
    for group in groups:
        world.ready(group)
        world.follow(group)
    return groups


def grown(world: Small) -> list[TaskId]:
    groups = three_groups(world)
    assert world.workers(groups) == [2, 2, 2] and not world.last.again
    world.asked.clear()
    world.now += 60
    return groups


def test_groups_grow_one_a_step_by_one_decision() -> None:
    world = Small()
    (rigid,) = world.submit(spec(cpus=3))
    groups = three_groups(world)
    assert world.workers(groups) == [1, 1, 1]
    world.asked.clear()
    world.end(rigid, after=60)
    assert world.workers(groups) == [2, 1, 1] and world.last.again
    assert world.settle() == [[2, 2, 1], [2, 2, 2]]
    assert len(world.asked) == 1


def test_groups_shrink_one_a_step_by_one_decision() -> None:
    world = Small()
    groups = grown(world)
    (task,) = world.submit(spec(cpus=3))
    assert world.workers(groups) == [1, 2, 2] and world.last.again
    world.settle()
    assert world.workers(groups) == [1, 1, 1] and len(world.asked) == 1
    for group in groups:
        world.follow(group)
        world.settle()
    assert task in world.running()


def test_groups_in_their_cooldown_yield_one_a_step_too() -> None:
    world = Small(resize_cooldown_s=1000.0)
    (rigid,) = world.submit(spec(cpus=3))
    groups = three_groups(world)
    world.end(rigid, after=2000)
    world.settle()
    for group in groups:
        world.ready(group)
        world.follow(group)
    assert world.workers(groups) == [2, 2, 2]
    world.asked.clear()
    (task,) = world.submit(spec(min_workers=3, max_workers=3))
    assert world.last.again and sum(world.workers(groups)) == 5
    world.settle()
    assert world.workers(groups) == [1, 1, 1]
    for group in groups:
        world.follow(group)
        world.settle()
    assert world.task(task).workers == 3
    why = [reason for reason in reasons(world, RecordKind.TASK_RESIZING) if reason.startswith("fair: 2 → 1")]
    assert why == [f"fair: 2 → 1 workers, in favour of {task}"] * 3


def test_what_happens_in_between_is_decided_upon_right_afterwards() -> None:
    world = Small()
    groups = grown(world)
    world.submit(spec(cpus=2))
    assert world.state.carrying and world.workers(groups) == [2, 1, 2]
    world.submit(spec(cpus=1))
    assert len(world.asked) == 1, "first what was decided"
    world.settle()
    assert len(world.asked) == 2 and not world.last.again
    assert world.workers(groups) == [1, 1, 1]


def test_what_cannot_be_carried_out_is_not_tried_for_ever() -> None:
    world = Small()
    groups = grown(world)
    world.state.policies = replace(world.state.policies, allotment=Absurd())
    world.submit(spec())
    assert not world.last.again and world.workers(groups) == [2, 2, 2]


def test_another_profile_forgets_what_is_left() -> None:
    world = Small()
    world.state.profiles = {"still": Profile("still", "fcfs", "fcfs", "binpack", "none")}
    groups = grown(world)
    world.submit(spec(cpus=3))
    assert world.state.carrying
    before = world.workers(groups)
    world.do(ProfileSwitched("still", ME))
    world.settle()
    assert not world.state.carrying and world.workers(groups) == before


@pytest.mark.parametrize("more", [0, 5])
def test_after_very_many_events_the_next_step_decides(more: int) -> None:
    world = Small(messages=4)
    events = [TaskSubmitted(TaskId(f"t-{number}"), spec()) for number in range(5)]
    world.do(*events)
    assert world.last.again and len(world.last.tasks) == 5 and not world.running()
    later = [TaskSubmitted(TaskId(f"u-{number}"), spec()) for number in range(more)]
    world.do(*later)
    assert len(world.running()) == min(5 + more, 6), "it never waits twice"
    assert not world.last.again


def test_as_many_events_as_allowed_are_decided_upon_at_once() -> None:
    world = Small(messages=5)
    world.submit(*[spec()] * 5)
    assert len(world.running()) == 5
