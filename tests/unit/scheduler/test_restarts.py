"""Resizes of tasks that start again for them: what was decided stands until they run with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.scenario import World, spec

from trainmaster.domain.ids import TaskId
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.run import Fault
from trainmaster.domain.task import Elasticity
from trainmaster.policies.allotment.fair import Fair
from trainmaster.policies.base import AllotmentView


class Watched(Fair):
    """Even shares, and what it was shown."""

    def __init__(self) -> None:
        self.views: list[AllotmentView] = []

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        self.views.append(view)
        return super().allot(view)


@pytest.fixture
def world() -> World:
    world = World({"n1": 4}, allotment="fair")
    world.state.policies = replace(world.state.policies, allotment=Watched())
    return world


def started(world: World, **fields: Any) -> TaskId:
    (task,) = world.submit(spec(max_workers=4, elasticity=Elasticity.RESTART, **fields))
    if task in world.state.runs:
        world.start(task)
    return task


def shown(world: World, task: TaskId) -> tuple[int, bool]:
    """The task's workers and whether it could be moved, in the latest view."""
    (claim,) = [claim for claim in world.state.policies.allotment.views[-1].claims if claim.task.id == task]  # type: ignore[attr-defined]
    return claim.workers, claim.movable


def test_a_task_between_its_attempts_is_shown_with_what_it_will_have(world: World) -> None:
    first = started(world)
    second = started(world)
    assert world.task(first).state is TaskState.RESIZING
    third = started(world)  # news while it is being stopped
    assert shown(world, first) == (2, False)
    assert world.state.targets == {first: 2, second: 1, third: 1}
    world.obey_stops()
    assert shown(world, first) == (2, False)
    assert [world.task(task).workers for task in (first, second, third)] == [2, 1, 1]
    assert world.state.restarting == {first: 2}, "until it runs"
    world.start(first)
    assert world.state.restarting == {}


def test_its_room_is_kept_for_it(world: World) -> None:
    first = started(world)
    started(world)
    world.stopped.clear()
    view = world.state.policies.allotment.views[-1]  # type: ignore[attr-defined]
    assert view.free.cpu_m == 0, "asked before the first was told to give up two"
    started(world)
    view = world.state.policies.allotment.views[-1]  # type: ignore[attr-defined]
    assert view.free.cpu_m == 2000, "of the four that come free it will take two"
    assert world.task(first).state is TaskState.RESIZING


def test_the_pause_is_measured(world: World) -> None:
    first = started(world)
    started(world, name="second")
    world.obey_stops()
    world.now += 25
    world.start(first)
    assert world.state.learned[first].pause_s == pytest.approx(25)
    world.do(after=world.state.limits.restart_cooldown_s)
    (claim, _) = world.state.policies.allotment.views[-1].claims  # type: ignore[attr-defined]
    assert claim.resize_s == pytest.approx(25)


def test_who_should_grow_trains_on_until_there_is_room(world: World) -> None:
    first, second = started(world), started(world)
    world.obey_stops()
    world.start(first)
    world.start(second)
    world.end(second, after=world.state.limits.restart_cooldown_s)
    assert world.task(first).state is TaskState.RESIZING and world.state.restarting == {first: 4}
    world.obey_stops()
    assert world.task(first).workers == 4


def test_a_restart_that_fails_is_forgotten(world: World) -> None:
    first = started(world)
    started(world)
    world.obey_stops()
    world.end(first, fault=Fault.START_FAILED)
    assert world.state.restarting == {} and world.task(first).state is TaskState.FAILED
