"""Room in the sum and on no node: workers of groups that stand in the way go."""

from __future__ import annotations

from typing import Any

import pytest
from tests.scenario import World, spec
from tests.unit.scheduler.test_elastic import members, reasons, training

from trainmaster.domain.events import ResizeRequested
from trainmaster.domain.history import RecordKind
from trainmaster.domain.ids import TaskId, UserName
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.task import Urgency
from trainmaster.domain.units import Resources


def four_boxes(**profile: str) -> World:
    """Of four GPUs each."""
    nodes = {f"g{number}": Resources(cpu_m=16_000, gpus=4) for number in range(1, 5)}
    return World(nodes, **{"allotment": "fair", "placement": "least_loaded", **profile})


def gpus(count: int, **fields: Any) -> Any:
    return spec(resources=Resources(cpu_m=1000, gpus=count), **fields)


def spread(world: World, workers: int = 4, **fields: Any) -> TaskId:
    """A group of one-GPU workers, one on each box."""
    task = training(world, high=workers, resources=Resources(cpu_m=1000, gpus=1), **fields)
    assert len(set(world.nodes_of(task))) == workers
    return task


def test_a_group_on_all_boxes_gives_one_up_for_a_task_that_needs_a_whole_one() -> None:
    world = four_boxes()
    group = spread(world)
    (whole,) = world.submit(gpus(4))
    assert world.task(whole).state is TaskState.QUEUED and group in world.task(whole).reason
    assert len(world.task(group).group.leaving) == 1, "12 GPUs are free, and no box is"  # type: ignore[union-attr]
    before = len(world.history)
    world.do(after=0.1)
    assert len(world.history) == before, "it is waited for; nobody else has to go"
    world.follow(group)
    assert whole in world.running()
    (box,) = world.nodes_of(whole)
    assert world.task(group).workers == 3 and box not in world.nodes_of(group)
    assert f"4 → 3 workers, so that {whole} fits on {box}" in reasons(world, RecordKind.TASK_RESIZING)
    world.do(after=60.0)  # its cooldown is over
    world.ready(group)
    world.follow(group)
    assert world.task(group).workers == 4 and box not in world.nodes_of(group), "it grows again elsewhere"


def test_every_box_but_the_last_is_given_up_and_the_leader_may_go_too() -> None:
    world = four_boxes()
    group = spread(world)
    wholes = world.submit(*[gpus(4)] * 4)
    for _ in range(3):
        world.follow(group)
    running = [whole for whole in wholes if whole in world.running()]
    assert len(running) == 3, "the fourth would take the group's last worker"
    assert world.task(group).workers == 1 and len(members(world, group)) == 1
    (there,) = {at for run in world.state.runs[group].values() if run.live for at in (run.node,)}
    assert there not in {node for whole in running for node in world.nodes_of(whole)}


def test_a_leader_that_stands_in_the_way_goes() -> None:
    world = World({"n1": 2, "n2": 2}, allotment="fair", placement="least_loaded")
    group = training(world, high=2)
    leader, other = members(world, group)
    at = world.state.runs[group][leader].node
    (task,) = world.submit(spec(cpus=2, node_labels=(("node", at),)))
    world.follow(group)
    assert task in world.running() and members(world, group) == (other,)


def test_a_gang_gets_its_boxes_from_several_groups() -> None:
    world = four_boxes()
    one, two = spread(world), spread(world)
    (gang,) = world.submit(gpus(4, min_workers=2, max_workers=2))
    for group in (one, two):
        world.follow(group)
    assert gang in world.running() and len(set(world.nodes_of(gang))) == 2
    assert world.task(one).workers == world.task(two).workers == 2


@pytest.mark.parametrize("why", ["minimum", "pinned", "urgent"])
def test_who_has_to_stay_stays(why: str) -> None:
    world = four_boxes()
    if why == "minimum":
        (group,) = world.submit(gpus(1, min_workers=4, max_workers=4))
        world.ready(group)
        world.follow(group)
    else:
        group = spread(world, urgency=Urgency.URGENT if why == "urgent" else Urgency.NORMAL)
    if why == "pinned":
        world.do(ResizeRequested(group, 4, UserName("me")))
    (whole,) = world.submit(gpus(4))
    world.do(after=60.0)
    assert whole not in world.running() and world.task(group).workers == 4
    assert not reasons(world, RecordKind.TASK_RESIZING)
