"""Following a static plan: the ordering and the placement `plan`."""

from dataclasses import replace

import pytest
from tests.scenario import World, spec

from trainmaster.domain.errors import InvalidTask
from trainmaster.domain.events import DrainRequested, ResizeRequested
from trainmaster.domain.ids import NodeId, UserName
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.task import Elasticity, Planned, TaskSpec, validate

ME = UserName("me")


def planned(name: str, node: str, position: int, start_s: float, cpus: float = 1) -> TaskSpec:
    return spec(name, cpus, planned=Planned(NodeId(node), position, start_s))


def following() -> World:
    return World({"n1": 1, "n2": 1}, ordering="plan", placement="plan")


def test_tasks_go_to_their_planned_nodes_and_wait_for_them() -> None:
    world = following()
    (first, second, other) = world.submit(
        planned("a", "n2", 0, 0.0), planned("b", "n2", 1, 5.0), planned("c", "n1", 0, 7.0)
    )
    assert world.nodes_of(first) == ["n2"]
    assert world.nodes_of(other) == ["n1"], "a task that waits for n2 does not hold up n1"
    assert world.task(second).state is TaskState.QUEUED
    world.start(other)
    world.end(other)
    assert world.task(second).state is TaskState.QUEUED, "n1 has room, but the plan says n2"
    world.start(first)
    world.end(first)
    assert world.nodes_of(second) == ["n2"]


def test_planned_starts_decide_not_the_order_of_submission() -> None:
    world = following()
    (late, soon, running) = world.submit(
        planned("late", "n1", 2, 9.0), planned("soon", "n1", 1, 4.0), planned("now", "n1", 0, 0.0)
    )
    assert world.running() == [running]
    world.start(running)
    world.end(running)
    assert soon in world.running() and late not in world.running()


def test_equal_starts_follow_the_position() -> None:
    world = following()
    (second, first) = world.submit(planned("b", "n1", 1, 0.0), planned("a", "n1", 0, 0.0))
    assert first in world.running() and second not in world.running()


@pytest.mark.parametrize("node", ["n2", "elsewhere"])
def test_a_task_whose_node_is_gone_runs_elsewhere_and_says_so(node: str) -> None:
    world = following()
    world.do(DrainRequested(NodeId("n2"), True, ME))
    (task,) = world.submit(planned("a", node, 0, 0.0))
    assert world.nodes_of(task) == ["n1"]
    assert f"its planned node {node} is gone" in world.task(task).reason


def test_a_node_too_small_for_the_task_does_not_hold_it_for_ever() -> None:
    world = World({"small": 1, "large": 4}, ordering="plan", placement="plan")
    (task,) = world.submit(planned("a", "small", 0, 0.0, cpus=2))
    assert world.nodes_of(task) == ["large"]
    assert "cannot hold it" in world.task(task).reason


def test_a_node_too_small_for_all_workers_does_not_hold_the_task_either() -> None:
    world = following()
    two = spec("a", 1, min_workers=2, max_workers=2, planned=Planned(NodeId("n1"), 0, 0.0))
    (task,) = world.submit(two)
    assert sorted(world.nodes_of(task)) == ["n1", "n2"]


def test_tasks_without_a_plan_run_on_the_least_loaded_node() -> None:
    world = World({"n1": 4, "n2": 4}, ordering="plan", placement="plan")
    (a, b) = world.submit(spec("a"), spec("b"))
    assert {*world.nodes_of(a), *world.nodes_of(b)} == {"n1", "n2"}


def test_another_placement_ignores_the_plan_and_says_so() -> None:
    world = World({"n1": 1, "n2": 1}, ordering="plan", placement="binpack")
    (task,) = world.submit(planned("a", "n2", 0, 0.0))
    assert world.nodes_of(task) == ["n1"]
    assert "its planned node n2 was not followed" in world.task(task).reason


def test_a_planned_task_survives_being_stored() -> None:
    given = planned("a", "n1", 3, 1.5)
    assert TaskSpec.from_dict(given.to_dict()) == given
    assert "planned" not in spec("b").to_dict()


@pytest.mark.parametrize(
    ("place", "field"),
    [
        (Planned(NodeId(""), 0, 0.0), "planned.node"),
        (Planned(NodeId("n"), -1, 0.0), "planned.position"),
        (Planned(NodeId("n"), 0, -1.0), "planned.start_s"),
        (Planned(NodeId("n"), 0, float("nan")), "planned.start_s"),
    ],
)
def test_an_impossible_place_is_refused(place: Planned, field: str) -> None:
    with pytest.raises(InvalidTask) as refused:
        validate(spec("a", planned=place))
    assert refused.value.fields["field"] == field


def test_more_workers_than_the_planned_node_could_ever_hold_go_elsewhere() -> None:
    world = World({"n1": 2, "n2": 3, "n3": 2}, ordering="plan", placement="plan")
    shape = replace(planned("a", "n2", 0, 0.0), max_workers=4, elasticity=Elasticity.NONE)
    (blocker,) = world.submit(planned("b", "n2", 0, 0.0, cpus=3))
    (task,) = world.submit(shape)
    world.do(ResizeRequested(task, 4, ME))
    world.start(blocker)
    world.end(blocker)
    assert len(world.nodes_of(task)) == 4
