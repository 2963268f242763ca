"""Triggers and firings in the store, over every adapter."""

from __future__ import annotations

from dataclasses import replace

from tests.samples import make_task
from trainmaster.domain.firing import Cause, Firing, FiringOutcome, Trigger
from trainmaster.domain.ids import TaskId, TriggerId, UserName, WorkflowRunId
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.target import WorkflowTarget
from trainmaster.domain.task import TaskSpec
from trainmaster.domain.trigger import Cron, Fold, Gap, Interval, Misfire, Once, Overlap, Rule, Timing
from trainmaster.domain.workflow_run import WorkflowRun
from trainmaster.ports import Batch, FiringRow
from trainmaster.store import SqlStore

RULES: list[Rule] = [
    Cron("30 2 * * *", "Europe/Berlin", Gap.SHIFT, Fold.BOTH),
    Interval(90_000, after_end=True),
    Once(1_800_000_000_123),
]


def make_trigger(number: int, rule: Rule, **fields: object) -> Trigger:
    spec = TaskSpec("job", command=("true",), environment=(("A", "ü"),))
    made = Trigger(TriggerId(f"g-{number}"), f"n {number} 任务", UserName("zoë"), Timing(rule), spec)
    return replace(made, **fields)  # type: ignore[arg-type]


def firing(trigger: int, due_ms: int, outcome: FiringOutcome, **fields: object) -> Firing:
    return replace(Firing(TriggerId(f"g-{trigger}"), due_ms, outcome, due_ms / 1000), **fields)  # type: ignore[arg-type]


async def test_triggers_come_back_as_they_were(store: SqlStore) -> None:
    timing = Timing(Interval(60_000), 5, 2**40, ("12-25", "2026-01-01..2026-01-02"), "Asia/Tokyo", 500)
    triggers = [make_trigger(n, rule) for n, rule in enumerate(RULES)]
    triggers.append(
        make_trigger(
            9,
            RULES[1],
            timing=timing,
            seed=2**63 - 1,
            created_at=12.5,
            misfire=Misfire.CATCH_UP,
            overlap=Overlap.CANCEL_OLD,
            grace_ms=1,
            window_ms=2,
            deadline_s=0.1,
            period_ms=3,
            paused=True,
            next_ms=1_800_000_000_000,
            last_ms=1_700_000_000_000,
            missed=4,
            decided=(1_800_000_000_000, 1_800_000_000_003),
        )
    )
    run = WorkflowTarget("flow", 2, '{"day":"${{ due.date }} ü"}')
    triggers += [make_trigger(n, RULES[0], target=replace(run, version=v)) for n, v in ((10, None), (11, 2))]
    await store.commit(Batch(triggers=triggers))
    triggers.sort(key=lambda trigger: trigger.id)
    assert (await store.load()).triggers == triggers
    moved = replace(triggers[0], next_ms=7, paused=True)
    await store.commit(Batch(triggers=[triggers[0], moved], dropped_triggers=[triggers[1].id]))
    assert (await store.load()).triggers == [moved, *triggers[2:]]


async def test_a_due_time_has_one_row(store: SqlStore) -> None:
    waits = firing(1, 1000, FiringOutcome.WAITING, reason="waits", cause=Cause.BACKFILL)
    await store.commit(
        Batch(firings=[waits, firing(1, 2000, FiringOutcome.MISSED), firing(2, 1000, FiringOutcome.WAITING)])
    )
    assert {(f.trigger, f.due_ms) for f in (await store.load()).waiting} == {("g-1", 1000), ("g-2", 1000)}
    fired = replace(waits, outcome=FiringOutcome.FIRED, task=TaskId("t-x"), reason="")
    await store.commit(Batch(firings=[fired]))
    rows = await store.firings(TriggerId("g-1"))
    assert rows == [FiringRow(firing(1, 2000, FiringOutcome.MISSED)), FiringRow(fired)]
    assert [f.trigger for f in (await store.load()).waiting] == ["g-2"]


async def test_pages_of_firings_with_how_their_tasks_are(store: SqlStore) -> None:
    ended = replace(make_task(1, TaskState.SUCCEEDED), first_started_at=5.0, ended_at=7.5, ran_s=2.5)
    rows = [firing(1, due, FiringOutcome.SKIPPED) for due in range(0, 5000, 1000)]
    rows.append(firing(1, 6000, FiringOutcome.FIRED, task=ended.id))
    await store.commit(Batch(new_tasks=[ended], firings=[*rows, firing(2, 500, FiringOutcome.FIRED)]))
    (latest,) = await store.firings(TriggerId("g-1"), limit=1)
    assert (latest.state, latest.started_at, latest.ended_at) == ("SUCCEEDED", 5.0, 7.5)
    page = await store.firings(TriggerId("g-1"), since_ms=1000, before_ms=4000, outcomes=("skipped",))
    assert [row.firing.due_ms for row in page] == [3000, 2000, 1000]
    run = WorkflowRun(
        WorkflowRunId("w-1"),
        1,
        "flow",
        1,
        UserName("me"),
        9.0,
        begun_at=9.5,
        trigger=TriggerId("g-3"),
        due_ms=8,
    )
    await store.commit(Batch(workflow_runs=[run], firings=[firing(3, 8, FiringOutcome.FIRED, run=run.id)]))
    (of_run,) = await store.firings(TriggerId("g-3"))
    assert (of_run.firing.run, of_run.firing.task) == (run.id, None)
    assert (of_run.state, of_run.started_at, of_run.ended_at) == ("RUNNING", 9.5, None)
    assert len(await store.firings(since_ms=0)) == 8
    assert await store.trigger_durations(TriggerId("g-1"), 10) == [2.5]


async def test_old_firings_go_and_those_that_wait_stay(store: SqlStore) -> None:
    kept = make_trigger(1, RULES[0])
    await store.commit(
        Batch(
            triggers=[kept],
            firings=[firing(1, due, FiringOutcome.FIRED) for due in range(1000, 10_000, 1000)]
            + [firing(1, 1, FiringOutcome.WAITING), firing(1, 0, FiringOutcome.MISSED)]
            + [firing(2, 0, FiringOutcome.FIRED)],
        )
    )
    expired = {"tasks_before": 0.0, "records_before": 5.0, "logs_before": 0.0}
    assert (await store.expire(**expired, limit=3))["firings"] == 3
    assert (await store.expire(**expired, limit=100))["firings"] == 3
    # What fired is remembered as long as there is the trigger.
    assert await store.forgotten(kept.id) == (1000, 4000)
    assert await store.forgotten(TriggerId("g-2")) is None
    await store.expire(**{**expired, "records_before": 7.0}, limit=100)
    assert await store.forgotten(kept.id) == (1000, 6000)
    await store.commit(Batch(dropped_triggers=[kept.id]))
    assert await store.forgotten(kept.id) is None
    assert [row.firing.due_ms for row in await store.firings()] == [9000, 8000, 7000, 1]
