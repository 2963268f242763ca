"""Triggers through `step`: what fires when, what is held, skipped or missed, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.overlaps import OVERLAPS
from tests.scenario import World, spec

from trainmaster.domain.cluster import Quota
from trainmaster.domain.commands import Launch
from trainmaster.domain.errors import TrainmasterError
from trainmaster.domain.events import (
    BackfillRequested,
    FiringRequested,
    QuotaChanged,
    TriggerChanged,
    TriggerCreated,
    TriggerDeleted,
    TriggerPaused,
)
from trainmaster.domain.firing import Firing, Trigger, TriggerExists, UnknownTrigger
from trainmaster.domain.ids import TriggerId, UserName
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.run import Exit, Fault, RunState
from trainmaster.domain.task import Retry, TaskKind
from trainmaster.domain.trigger import Interval, Misfire, Once, Overlap, Rule, Timing
from trainmaster.domain.units import Resources
from trainmaster.scheduler.explain import explain
from trainmaster.scheduler.state import Limits, State, restore

ME = UserName("me")
ID = TriggerId("g-1")
T0 = 1_000_000  # the world begins at 1000 s


def trigger(rule: Rule | None = None, **fields: Any) -> Trigger:
    timing = Timing(rule or Interval(10_000), start_ms=T0, **fields.pop("timing", {}))
    made = {"overlap": Overlap.ALLOW, "target": spec("job", cpus=0.1), "seed": 7, **fields}
    return Trigger(ID, "every ten", ME, timing, made.pop("target"), **made)


class Fired(World):
    """Has triggers; raises refusals, and steps until there is nothing to be done at once."""

    def __init__(self, *triggers: Trigger) -> None:
        super().__init__({"n1": 4})
        for one in triggers:
            self.do(TriggerCreated(one))

    def do(self, *events: Any, after: float = 0.0) -> Any:
        outcome = super().do(*events, after=after)
        for error in outcome.refused.values():
            raise error
        while outcome.again:
            outcome = super().do()
        return outcome

    @property
    def rows(self) -> dict[int, Firing]:
        """What became of every due time."""
        return {due: firing for (_, due), firing in self.firings.items()}

    def told(self) -> list[str]:
        """Due second after the start, and what became of it."""
        return [f"{(due - T0) / 1000:g} {row.outcome}" for due, row in sorted(self.rows.items())]

    def live(self) -> list[Any]:
        return sorted(self.state.triggers.live.get(ID, ()))


def test_fires_when_due_and_says_which_firing_a_task_is_of() -> None:
    world = Fired(trigger(deadline_s=5.0, period_ms=10_000))
    assert world.last.wake_at == 1010.0
    world.do(after=9.9)
    assert not world.rows
    world.do(after=0.1)
    world.do(after=10)
    assert world.told() == ["10 fired", "20 fired"]
    task = world.task(world.rows[T0 + 10_000].task)
    assert (task.spec.trigger, task.spec.due_ms, task.spec.deadline) == (ID, T0 + 10_000, 1015.0)
    assert dict(task.spec.labels)["period_s"] == "10"
    assert task.state is TaskState.ACCEPTED


def test_the_row_the_task_and_the_next_due_time_are_of_one_outcome() -> None:
    world = Fired(trigger())
    outcome = world.do(after=10)
    (firing,) = outcome.firings.values()
    assert outcome.new_tasks == {firing.task}
    assert outcome.triggers[ID].next_ms == T0 + 20_000


@pytest.mark.parametrize(("overlap", "after_three", "after_end"), OVERLAPS)
def test_overlap(overlap: Overlap, after_three: list[str], after_end: list[str]) -> None:
    world = Fired(trigger(overlap=overlap))
    for _ in range(3):
        world.do(after=10)
        for task in world.live():
            if world.task(task).state is TaskState.ACCEPTED:
                world.start(task)
    assert world.told() == after_three
    first = world.rows[T0 + 10_000].task
    if overlap is Overlap.CANCEL_OLD:
        world.obey_stops()
        assert world.final[first].state is TaskState.CANCELLED
    else:
        world.end(first)
    assert world.told() == after_end


@pytest.mark.parametrize(
    ("misfire", "told"),
    [
        (Misfire.SKIP, ["10 missed", "20 missed", "30 missed", "40 fired"]),
        (Misfire.FIRE_ONCE, ["10 missed", "20 missed", "30 missed", "40 fired"]),
        (Misfire.CATCH_UP, ["10 missed", "20 fired", "30 fired", "40 fired"]),
    ],
)
def test_a_service_that_was_away(misfire: Misfire, told: list[str]) -> None:
    world = Fired(trigger(misfire=misfire, grace_ms=1000, window_ms=20_500))
    world.do(after=40.5)
    assert world.told() == told


def test_fire_once_fires_the_latest_if_none_is_in_time() -> None:
    world = Fired(trigger(misfire=Misfire.FIRE_ONCE, grace_ms=1000))
    world.do(after=45)
    assert world.told() == ["10 missed", "20 missed", "30 missed", "40 fired"]
    assert world.rows[T0 + 10_000].reason == "missed; a later one fires for it"


def test_very_many_missed_ones_get_one_row_together() -> None:
    world = Fired(trigger(grace_ms=1000, period_ms=10_000))
    world.state.limits = replace(Limits(), missed_rows=5, firings=2)
    world.do(after=100_005)
    assert [line for line in world.told() if "missed" in line][:6] == [
        f"{n * 10} missed" for n in range(1, 7)
    ]
    assert "as were all until" in world.rows[T0 + 60_000].reason
    assert len(world.rows) < 12
    world.do(after=5)
    assert world.told()[-1] == "100010 fired"


def test_a_pause_holds_and_what_came_due_meanwhile_is_late() -> None:
    world = Fired(trigger(misfire=Misfire.FIRE_ONCE, grace_ms=1000))
    world.do(TriggerPaused(ID, True, ME), after=5)
    world.do(after=30)
    assert not world.rows
    world.do(TriggerPaused(ID, False, ME))
    assert world.told() == ["10 missed", "20 missed", "30 fired"]


def test_run_now_and_back_fill_have_rows_of_their_own() -> None:
    world = Fired(trigger(overlap=Overlap.SKIP))
    world.do(FiringRequested(ID, T0 + 3333, ME), after=3.333)
    world.do(BackfillRequested(ID, (T0 - 20_000, T0 - 10_000), ME))
    assert world.told() == ["-20 waiting", "-10 waiting", "3.333 fired"]
    for _ in range(3):
        for task in world.live():
            world.start(task)
            world.end(task)
    assert world.told() == ["-20 fired", "-10 fired", "3.333 fired"]
    assert [row.cause for _, row in sorted(world.rows.items())] == ["backfill", "backfill", "manual"]


def test_a_fixed_delay_is_counted_from_the_end() -> None:
    world = Fired(trigger(Interval(10_000, after_end=True), overlap=Overlap.SKIP))
    world.do(after=10)
    (task,) = world.live()  # the first is due at the start
    world.start(task)
    world.do(after=100)
    assert world.state.triggers.all[ID].next_ms is None
    world.end(task, after=3)
    assert world.state.triggers.all[ID].next_ms == T0 + 123_000
    world.do(after=10)
    assert world.told() == ["0.001 fired", "123 fired"]


def test_a_fixed_delay_goes_on_after_the_service_was_away() -> None:
    world = Fired(trigger(Interval(10_000, after_end=True), overlap=Overlap.SKIP))
    world.do(after=500)
    assert world.told() == ["0.001 fired"]


def test_once() -> None:
    world = Fired(trigger(Once(T0 + 4000)))
    world.do(after=100)  # in time is only what is not much late
    assert world.told() == ["4 missed"]
    assert world.state.triggers.all[ID].next_ms is None
    assert world.last.wake_at is None or world.last.wake_at > world.now


def test_jitter_delays_the_start_not_the_decision() -> None:
    world = Fired(trigger(timing={"jitter_ms": 8000}))
    world.do(after=10)
    (task,) = world.live()
    start = world.task(task).spec.start_at
    assert start is not None
    assert 1010 < start <= 1018
    assert world.task(task).state is TaskState.QUEUED
    world.do(after=start - world.now)
    assert world.task(task).state is TaskState.ACCEPTED


FUNCTION = spec(
    "call", command=(), kind=TaskKind.FUNCTION, function="m:f", resources=Resources(lanes=1), retry=Retry()
)


def test_functions_are_claimed_ahead_and_a_pause_takes_them_back() -> None:
    world = Fired(trigger(target=FUNCTION))
    (launch,) = [command for command in world.last.commands if isinstance(command, Launch)]
    assert launch.run.not_before == 1010.0
    told = explain(world.state, world.task(launch.run.id.task), world.now)
    assert "in 10 s, by the clock of the lane that has it" in [fact.text for fact in told.facts]
    assert world.task(launch.run.id.task).spec.resources.lanes == 0
    world.do(TriggerPaused(ID, True, ME))
    world.report(launch.run.id, RunState.EXITED, Exit(None, Fault.NEVER_STARTED))
    assert world.told() == ["10 skipped"]
    assert world.rows[T0 + 10_000].reason == f"paused by {ME} before its time"
    assert world.final[launch.run.id.task].state is TaskState.CANCELLED


def test_a_lane_that_began_before_it_heard_of_the_pause_has_fired() -> None:
    world = Fired(trigger(target=FUNCTION))
    (launch,) = [command for command in world.last.commands if isinstance(command, Launch)]
    world.do(TriggerPaused(ID, True, ME), after=9.999)
    world.end(launch.run.id.task, after=0.002)
    assert world.told() == ["10 fired"]
    assert world.final[launch.run.id.task].state is TaskState.SUCCEEDED


def test_a_changed_rule_counts_from_now_and_decides_on_no_due_time_twice() -> None:
    world = Fired(trigger())
    world.do(after=15)
    world.do(TriggerChanged(trigger(Interval(4000), overlap=Overlap.SKIP), ME))
    assert world.state.triggers.all[ID].next_ms == T0 + 16_000
    world.do(after=1)
    assert world.told() == ["10 fired", "16 skipped"]


def again(world: Fired) -> None:
    """The service dies and comes back."""
    before = world.state
    state = State(policies=before.policies)
    waiting = [row for row in world.rows.values() if row.outcome == "waiting"]
    state.triggers.restore(before.triggers.all.values(), waiting, state.limits.lead_s)
    runs = [run for of_task in before.runs.values() for run in of_task.values()]
    restore(state, before.tasks.values(), runs, [], {}, world.now)
    state.nodes, state.next_seq = before.nodes, before.next_seq
    world.state = state
    world.do()


@pytest.mark.parametrize("killed", [False, True])
def test_a_change_takes_back_what_was_claimed_ahead_and_decides_on_it_anew(killed: bool) -> None:
    world = Fired(trigger(target=FUNCTION))
    (first,) = [command for command in world.last.commands if isinstance(command, Launch)]
    world.do(TriggerChanged(trigger(Interval(5000), target=replace(FUNCTION, name="other")), ME))
    assert world.told() == ["10 fired"] and world.state.triggers.all[ID].next_ms == T0 + 5000
    if killed:
        again(world)
    world.do(after=5)  # nothing is decided while the lane has not answered
    assert world.told() == ["10 fired"]
    world.report(first.run.id, RunState.EXITED, Exit(None, Fault.NEVER_STARTED))
    world.do()
    assert world.told() == ["5 fired", "10 fired", "15 fired"]
    assert {world.task(row.task).spec.name for row in world.rows.values() if row.task} == {"other"}
    assert world.final[first.run.id.task].reason == f"its trigger was changed by {ME} before its time"


def test_a_lane_that_began_before_it_heard_of_the_change_has_fired() -> None:
    world = Fired(trigger(target=FUNCTION))
    (first,) = [command for command in world.last.commands if isinstance(command, Launch)]
    world.do(TriggerChanged(trigger(Interval(5000), target=FUNCTION), ME), after=9.999)
    world.end(first.run.id.task, after=0.002)
    world.do()
    assert world.rows[T0 + 10_000].task == first.run.id.task
    assert world.told() == ["10 fired", "15 fired", "20 fired"]
    assert world.state.triggers.all[ID].decided == ()


def test_what_a_lane_whose_clock_is_fast_has_fired_stays_fired_when_the_rule_changes_twice() -> None:
    world = Fired(trigger(target=FUNCTION))
    (first,) = [command for command in world.last.commands if isinstance(command, Launch)]
    world.do(TriggerChanged(trigger(Interval(5000), target=FUNCTION), ME), after=9.9)
    world.end(first.run.id.task, after=0.01)
    assert world.state.triggers.all[ID].decided == (T0 + 10_000,)
    (second,) = [command for command in world.last.commands if isinstance(command, Launch)]
    world.do(TriggerChanged(trigger(Interval(10_000), target=FUNCTION), ME), after=0.01)
    world.report(second.run.id, RunState.EXITED, Exit(None, Fault.NEVER_STARTED))
    world.do(after=1)
    assert world.rows[T0 + 10_000].task == first.run.id.task
    assert world.told() == ["10 fired", "15 skipped", "20 fired"]
    assert world.state.triggers.all[ID].decided == ()


def test_deleted_ones_leave_what_they_started() -> None:
    world = Fired(trigger(overlap=Overlap.QUEUE_ALL))
    world.do(after=10)
    world.do(after=10)
    (task,) = world.live()
    world.do(TriggerDeleted(ID, ME))
    assert world.told() == ["10 fired", "20 skipped"]
    assert world.last.dropped_triggers == [ID]
    world.start(task)
    world.end(task)
    world.do(after=100)
    assert len(world.rows) == 2


def test_a_quota_skips_with_its_reason() -> None:
    world = Fired(trigger())
    world.do(QuotaChanged(Quota(ME, queued_tasks=0), ME))
    world.do(after=10)
    assert world.told() == ["10 skipped"]
    assert "quota" in world.rows[T0 + 10_000].reason


def test_names_are_taken_once_and_unknown_ones_refused() -> None:
    world = Fired(trigger())
    with pytest.raises(TriggerExists):
        world.do(TriggerCreated(replace(trigger(), id=TriggerId("g-2"))))
    for event in (
        TriggerDeleted(TriggerId("g-9"), ME),
        TriggerPaused(TriggerId("g-9"), True, ME),
        FiringRequested(TriggerId("g-9"), 1, ME),
        BackfillRequested(TriggerId("g-9"), (1,), ME),
        TriggerChanged(replace(trigger(), id=TriggerId("g-9"), name="x"), ME),
    ):
        with pytest.raises(UnknownTrigger):
            world.do(event)
    with pytest.raises(TrainmasterError):
        world.do(TriggerCreated(replace(trigger(target=spec("big", cpus=99)), id=TriggerId("g-3"), name="b")))


def test_a_task_waits_for_the_time_it_is_to_start_at() -> None:
    world = World({"n1": 1})
    (task,) = world.submit(spec("later", start_at=1020.0, queue_timeout_s=5.0))
    (other,) = world.submit(spec("now"))  # does not queue behind it
    assert world.task(task).state is TaskState.QUEUED
    assert world.running() == [other]
    assert world.last.wake_at == 1020.0
    world.start(other)
    world.end(other)
    world.do(after=20)
    assert world.running() == [task]
    assert world.task(task).waited_s(world.now) == 0.0


def test_a_dependency_may_end_before_or_after_the_time_to_start_at() -> None:
    world = World({"n1": 4})
    early, late = world.submit(spec("a"), spec("b"))
    after_early, after_late = world.submit(
        spec("c", after=(early,), start_at=1010.0), spec("d", after=(late,), start_at=1010.0)
    )
    for task in (early, late):
        world.start(task)
    world.end(early)
    assert world.task(after_early).state is TaskState.QUEUED
    world.do(after=10)
    assert world.task(after_early).state is TaskState.ACCEPTED
    world.end(late)
    assert world.task(after_late).state is TaskState.ACCEPTED


def test_after_a_restart_nothing_fires_twice_and_what_waited_still_does() -> None:
    world = Fired(trigger(overlap=Overlap.QUEUE_ALL))
    for _ in range(3):
        world.do(after=10)
    again(world)
    assert world.told() == ["10 fired", "20 waiting", "30 waiting"]
    (task,) = world.live()
    world.start(task)
    world.end(task)
    assert world.told() == ["10 fired", "20 fired", "30 waiting"]
