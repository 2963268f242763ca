"""Triggers that start workflows, and runs that wait for their time or for a plan."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.flows import ME, Flows, stage, workflow
from tests.overlaps import OVERLAPS
from tests.scenario import World

from trainmaster.domain.commands import MakePlan
from trainmaster.domain.errors import InvalidWorkflow, UnknownWorkflow, WrongParameter
from trainmaster.domain.events import (
    FiringRequested,
    TriggerChanged,
    TriggerCreated,
    TriggerPaused,
    WorkflowCancelRequested,
    WorkflowOpened,
    WorkflowPlanned,
    WorkflowRegistered,
)
from trainmaster.domain.firing import Firing, FiringOutcome, Trigger, validate_trigger
from trainmaster.domain.ids import NodeId, TriggerId, WorkflowRunId
from trainmaster.domain.target import WorkflowTarget
from trainmaster.domain.trigger import Cron, Interval, InvalidTrigger, Misfire, Overlap, Timing
from trainmaster.domain.units import Resources
from trainmaster.domain.workflow import Definition, WorkflowSpec, validate
from trainmaster.domain.workflow_run import PlannedPart, WorkflowRun, WorkflowState
from trainmaster.scheduler.library import Library
from trainmaster.scheduler.state import State, restore
from trainmaster.scheduler.step import step

ID = TriggerId("g-1")
T0 = 1_000_000
FLOW = workflow(stage("a"), stage("b", "a"), parameters={"day": "", "n": 1})


def trigger(
    rule: Interval | Cron | None = None, workflow: str = "flow", version: int | None = None, **fields: Any
) -> Trigger:
    target = WorkflowTarget(workflow, version, json.dumps(fields.pop("parameters", {})))
    timing = Timing(rule or Interval(10_000), start_ms=T0, **fields.pop("timing", {}))
    return Trigger(ID, "etl", ME, timing, target, **{"overlap": Overlap.SKIP, "seed": 7, **fields})


class Timed(Flows):
    """Flows with a trigger."""

    def __init__(self, made: Trigger, *definitions: WorkflowSpec) -> None:
        super().__init__(World({"n1": Resources(lanes=64, cpu_m=8000)}))
        flows = definitions or (FLOW,)
        self.do(TriggerCreated(made, tuple(Definition(validate(flow), 1) for flow in flows)))

    @property
    def firings(self) -> dict[float, Firing]:
        """By the due second after the start."""
        return {(due - T0) / 1000: row for (_, due), row in sorted(self.world.firings.items())}

    def told(self) -> list[str]:
        return [f"{due:g} {row.outcome}" for due, row in self.firings.items()]

    def run_at(self, due: float) -> WorkflowRun:
        run = self.firings[due].run
        assert run is not None
        return self.rows[run]


def test_the_row_the_run_its_first_tasks_and_the_next_due_time_are_of_one_outcome() -> None:
    timed = Timed(trigger(parameters={"day": "${{ due.utc }} by ${{ trigger.name }}"}))
    timed.do(after=10)
    outcome = timed.world.last
    ((_, row),) = outcome.firings.items()
    run = outcome.workflow_runs[row.run or WorkflowRunId("")]
    assert row.outcome is FiringOutcome.FIRED and row.task is None
    assert (run.trigger, run.due_ms, run.owner, run.begun_at) == (ID, T0 + 10_000, ME, 1010.0)
    assert json.loads(run.parameters) == {"day": "1970-01-01T00:16:50Z by etl", "n": 1}
    assert outcome.triggers[ID].next_ms == T0 + 20_000
    assert len(outcome.new_tasks) == 1
    timed.finish()
    assert timed.run_at(10).state is WorkflowState.SUCCEEDED
    assert not timed.world.state.triggers.live[ID]


def test_due_times_are_told_on_the_clock_of_the_trigger() -> None:
    given = {"day": "${{ due }}, ${{ due.date }}, ${{ due.time }}, ${{ cause }}", "n": "${{ due.seconds }}"}
    flow = workflow(stage("a"), parameters={"day": "", "n": 1.5})
    timed = Timed(trigger(Cron("30 * * * *", "Asia/Kolkata"), parameters=given), flow)
    timed.do(after=800)  # 00:30 UTC, which is 06:00 there
    timed.do(after=1800)
    ((due, row),) = timed.firings.items()
    assert due == 2600.0
    told = json.loads(timed.rows[row.run or WorkflowRunId("")].parameters)
    assert told["day"] == "1970-01-01T06:30:00+05:30, 1970-01-01, 06:30:00, schedule"
    assert told["n"] == 3600


@pytest.mark.parametrize(("overlap", "after_three", "after_end"), OVERLAPS)
def test_overlap(overlap: Overlap, after_three: list[str], after_end: list[str]) -> None:
    timed = Timed(trigger(overlap=overlap))
    for _ in range(3):
        timed.do(after=10)
    assert timed.told() == after_three
    first = timed.run_at(10)
    timed.world.obey_stops()
    timed._keep(timed.world.last.workflow_runs)
    for name in ("a", "b"):
        if name in timed.live(first.id):
            timed.end(name, run=first.id)
    assert timed.told() == after_end
    state = WorkflowState.CANCELLED if overlap is Overlap.CANCEL_OLD else WorkflowState.SUCCEEDED
    assert timed.run_at(10).state is state
    if overlap is Overlap.CANCEL_OLD:
        assert timed.run_at(10).reason == "a later firing of etl takes over"


def test_a_run_that_ends_in_the_step_it_begins_frees_its_trigger() -> None:
    broken = workflow(stage("a", node_labels=(("no", "where"),)), stage("b", "a"))
    timed = Timed(trigger(overlap=Overlap.QUEUE_ALL), broken)
    timed.do(after=10)
    assert timed.run_at(10).state is WorkflowState.FAILED
    timed.do(after=10)
    assert timed.told() == ["10 fired", "20 fired"]


def test_misfires_are_those_of_tasks() -> None:
    timed = Timed(trigger(misfire=Misfire.FIRE_ONCE, grace_ms=1000, overlap=Overlap.ALLOW))
    timed.do(after=35)
    assert timed.told() == ["10 missed", "20 missed", "30 fired"]
    assert len(timed.rows) == 1


def test_one_step_starts_a_bounded_number_of_runs() -> None:
    timed = Timed(trigger(Interval(1000), misfire=Misfire.CATCH_UP, overlap=Overlap.ALLOW))
    timed.do(after=80)
    assert len(timed.rows) == 50 and timed.world.last.again
    timed.do()
    assert len(timed.rows) == 80 and not timed.world.last.again


def test_the_latest_version_is_run_unless_one_is_named() -> None:
    second = replace(FLOW, stages=(*FLOW.stages, stage("c", "b")))
    for named, version in ((None, 2), (1, 1)):
        timed = Timed(trigger(version=named, overlap=Overlap.ALLOW))
        timed.do(WorkflowRegistered((Definition(validate(second), 2),)))
        timed.do(after=10)
        assert timed.run_at(10).version == version
        assert timed.run_at(10).pins == (("flow", version),)


def test_what_cannot_start_any_more_is_skipped_with_the_reason() -> None:
    timed = Timed(trigger(parameters={"n": 3}))
    timed.do(WorkflowRegistered((Definition(validate(workflow(stage("a"))), 2),)))
    timed.do(after=10)
    assert timed.told() == ["10 skipped"]
    assert timed.firings[10].reason == "flow has no parameter 'n'"
    assert "firing-skipped" in [record.kind for record in timed.world.history]


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (trigger(workflow="nowhere"), UnknownWorkflow),
        (trigger(version=3), UnknownWorkflow),
        (trigger(parameters={"n": "three"}), WrongParameter),
        (trigger(parameters={"m": 3}), WrongParameter),
    ],
)
def test_what_could_never_start_is_refused(made: Trigger, error: type[Exception]) -> None:
    with pytest.raises(error):
        Timed(made)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (trigger(parameters={"day": "${{ due.hour }}"}), "due.hour"),
        (trigger(workflow="no such/name"), "names no workflow"),
        (trigger(deadline_s=5.0), "timeout"),
    ],
)
def test_what_can_never_be_right_is_refused(made: Trigger, said: str) -> None:
    with pytest.raises(InvalidTrigger) as caught:
        validate_trigger(made)
    assert said in caught.value.message + caught.value.remedy


def test_a_run_waits_for_its_jitter_and_a_pause_takes_it_back() -> None:
    timed = Timed(trigger(timing={"jitter_ms": 9000}))
    timed.do(after=10)
    run = timed.run_at(10)
    assert run.begun_at is None and run.start_at is not None and 1010 < run.start_at <= 1019
    assert run.reason == "it waits for the time it is to start at" and not timed.live()
    timed.do(after=run.start_at - 1010)
    assert timed.run_at(10).begun_at == run.start_at and set(timed.live()) == {"a"}
    timed.finish()
    timed.do(after=1020 - timed.world.now)
    timed.do(TriggerPaused(ID, True, ME))
    assert timed.told() == ["10 fired", "20 skipped"]
    assert timed.firings[20].reason == "paused by me before its time"
    assert timed.run_at(20).state is WorkflowState.CANCELLED


def test_after_a_restart_a_live_run_counts_and_nothing_starts_twice() -> None:
    timed = Timed(trigger(overlap=Overlap.QUEUE_ONE))
    timed.do(after=10)
    timed.do(after=10)
    run, state = timed.run_at(10), timed.world.state
    fresh = State()
    fresh.nodes.update(state.nodes)
    fresh.next_seq, fresh.next_run_seq = state.next_seq, state.next_run_seq
    fresh.library.put([Definition(validate(FLOW), 1)])
    waiting = [row for row in timed.world.firings.values() if row.outcome is FiringOutcome.WAITING]
    fresh.triggers.restore([state.triggers.all[ID]], waiting, fresh.limits.lead_s)
    fresh.triggers.started(ID, run.id)
    recorded = timed.recorded(run.id)
    runs = [one for of_task in state.runs.values() for one in of_task.values()]
    restore(fresh, state.tasks.values(), runs, [], {}, timed.world.now)
    timed.world.state = fresh
    step(fresh, [], timed.world.now)  # before the run is told
    assert timed.told() == ["10 fired", "20 waiting"]
    timed.do(WorkflowOpened(run, {"flow": validate(FLOW)}, recorded))
    timed.end("a")
    timed.end("b")
    assert timed.told() == ["10 fired", "20 fired"]
    assert timed.run_at(10).state is WorkflowState.SUCCEEDED


def test_another_workflow_from_now_on_and_what_no_trigger_starts_is_forgotten() -> None:
    timed = Timed(trigger())
    other = workflow(stage("x"), name="other")
    after = replace(trigger(workflow="other"), name="etl")
    timed.do(TriggerChanged(after, ME, (Definition(validate(other), 4),)))
    timed.do(FiringRequested(ID, T0 + 1, ME))
    assert timed.run_at(0.001).workflow == "other" and timed.run_at(0.001).version == 4
    assert "other" in timed.world.state.library and "flow" not in timed.world.state.library


def test_a_library_knows_what_a_run_may_come_to() -> None:
    inner, outer = workflow(stage("i"), name="inner"), workflow(stage("o", workflow="inner"), name="outer")
    library = Library([Definition(validate(outer), 1), Definition(validate(inner), 1)])
    library.put([Definition(validate(inner), 2)])
    assert library.pins("outer") == (("outer", 1), ("inner", 2))
    library.keep([WorkflowTarget("outer")])
    with pytest.raises(UnknownWorkflow):
        library.find("inner", 1)
    both = workflow(stage("o", workflow="inner"), stage("p", workflow="inner", version=1), name="both")
    library.put([Definition(validate(both), 1)])
    with pytest.raises(InvalidWorkflow, match="versions 2 and 1"):
        library.pins("both")


# --- plans -------------------------------------------------------------------------------------------------

PLANNED = replace(FLOW, plan="auto")
PLAN = {"a": PlannedPart(NodeId("n1"), 0, 0.0, 1.0), "b": PlannedPart(NodeId("n1"), 1, 1.0, 2.0)}


def test_a_run_waits_for_its_plan_and_says_so() -> None:
    flows = Flows()
    run = flows.open(PLANNED)
    assert flows.world.last.commands == [MakePlan(run)]
    assert flows.rows[run].reason == "planning" and flows.rows[run].begun_at is None and not flows.live()
    flows.do(WorkflowPlanned(run, "planned by auto", PLAN, 2.0), after=3)
    row = flows.rows[run]
    assert (row.reason, row.begun_at, row.forecast_s) == ("planned by auto", 1003.0, 2.0)
    assert flows.world.state.tasks[flows.live()["a"]].spec.planned is not None
    flows.do(WorkflowPlanned(run, "planned again", {}), after=1)  # too late: nothing changes
    assert flows.rows[run].reason == "planned by auto"
    flows.finish()
    assert flows.rows[run].state is WorkflowState.SUCCEEDED


def test_patience_for_a_plan_ends() -> None:
    flows = Flows()
    run = flows.open(PLANNED)
    flows.do(after=119)
    assert not flows.live()
    flows.do(after=1)
    assert flows.rows[run].reason == "not planned: there was no plan within 120 s"
    assert set(flows.live()) == {"a"} and not flows.rows[run].plan


def test_a_run_may_be_cancelled_while_it_is_planned() -> None:
    flows = Flows()
    run = flows.open(PLANNED)
    flows.do(WorkflowCancelRequested(run, ME))
    assert flows.rows[run].state is WorkflowState.CANCELLED and not flows.world.state.unfoldings
    flows.do(WorkflowPlanned(run, "planned by auto", PLAN, 2.0))
    assert not flows.live()


def test_after_a_restart_the_plan_is_asked_for_again() -> None:
    flows = Flows()
    run = flows.open(PLANNED)
    row = flows.rows[run]
    flows.world.state.unfoldings.clear()
    flows.do(WorkflowOpened(row, {"flow": validate(PLANNED)}))
    assert flows.world.last.commands == [MakePlan(run)]
    flows.do(WorkflowPlanned(run, "planned by auto", PLAN, 2.0))
    assert set(flows.live()) == {"a"}
