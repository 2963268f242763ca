"""What alarms keep, over every database."""

from __future__ import annotations

from dataclasses import replace

from tests.samples import make_record, make_task
from trainmaster.domain.alarm import (
    Alarm,
    AlarmBatch,
    AlarmState,
    Channel,
    ChannelKind,
    Condition,
    Late,
    Notice,
    NoticeKind,
    Rule,
    Send,
    SendState,
    Severity,
)
from trainmaster.domain.firing import Cause, Firing, FiringOutcome, Trigger
from trainmaster.domain.history import RecordKind
from trainmaster.domain.ids import RunId, TriggerId, UserName, WorkflowRunId
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.task import Task, TaskSpec
from trainmaster.domain.trigger import Interval, Timing
from trainmaster.domain.workflow_run import WorkflowRun
from trainmaster.ports import Batch, Metric
from trainmaster.store import SqlStore

ALARM = Alarm("a-1", "r", "grüppe", Severity.CRITICAL, "it\0 broke ✗", 10.0, 20.0, 3, 1)
SEND = Send(
    "m-1", "c", 1.0, 2.0, (Notice(NoticeKind.OPENED, "r", "g", Severity.INFO, "t", 1.0, "a-1", 3, 0.5),)
)


async def test_rules_and_channels_come_back_as_they_were(store: SqlStore) -> None:
    rule = Rule("r", Condition.NODE_PRESSURE, Severity.INFO, limit=0.5, channels=("c", "d"), made_at=4.5)
    await store.alarms.put_rule(rule)
    await store.alarms.put_rule(Rule("a", Condition.TASK_FAILED))
    await store.alarms.put_rule(replace(rule, limit=0.7))
    assert await store.alarms.rules() == [Rule("a", Condition.TASK_FAILED), replace(rule, limit=0.7)]
    assert await store.alarms.drop_rule("a") and not await store.alarms.drop_rule("a")
    channel = Channel("c", ChannelKind.SMTP, {"password": "ß\n"}, False, 3.5, "ada")
    await store.alarms.put_channel(channel)
    assert await store.alarms.channels() == [channel]
    assert await store.alarms.drop_channel("c") and await store.alarms.channels() == []


async def test_an_evaluation_is_stored_whole_and_found_again(store: SqlStore) -> None:
    assert await store.alarms.memory() == (None, "[]", [], [])
    await store.alarms.record(AlarmBatch(7, '["w"]', [ALARM], [SEND]))
    stored = replace(ALARM, text="it\ufffd broke ✗")
    assert await store.alarms.memory() == (7, '["w"]', [stored], [SEND])
    over = replace(stored, resolved_at=30.0)
    await store.alarms.record(AlarmBatch(9, "[]", [over], [replace(SEND, state=SendState.SENT, sent_at=2.5)]))
    assert await store.alarms.memory() == (9, "[]", [], [])
    assert await store.alarms.alarms(unresolved=True, limit=10) == []
    assert await store.alarms.alarms(unresolved=False, limit=10) == [over]
    assert (await store.alarms.sends("c", 10))[0].sent_at == 2.5


async def test_who_takes_care_is_not_overwritten(store: SqlStore) -> None:
    await store.alarms.record(AlarmBatch(1, "[]", [ALARM]))
    taken = await store.alarms.acknowledge("a-1", "ada", 21.0)
    assert taken is not None and taken.state is AlarmState.ACKNOWLEDGED
    again = await store.alarms.acknowledge("a-1", "bob", 22.0)
    assert again is not None and again.acknowledged_by == "ada"
    await store.alarms.record(AlarmBatch(2, "[]", [replace(ALARM, count=4)]))  # who evaluates does not know
    found = await store.alarms.alarm("a-1")
    assert found is not None and (found.count, found.acknowledged_by) == (4, "ada")
    assert await store.alarms.acknowledged() == {"a-1"}
    assert await store.alarms.acknowledge("a-2", "ada", 21.0) is None


async def test_pages_of_alarms(store: SqlStore) -> None:
    alarms = [replace(ALARM, id=f"a-{n}", opened_at=float(n // 2), text="t") for n in range(7)]
    await store.alarms.record(AlarmBatch(1, "[]", alarms))
    seen, before = [], None
    while page := await store.alarms.alarms(unresolved=False, limit=2, before=before):
        seen += page
        before = (page[-1].opened_at, page[-1].id)
    assert seen == alarms[::-1]


async def test_history_is_read_by_kind_with_names(store: SqlStore) -> None:
    task = make_task(1)
    failed = replace(make_record(), kind=RecordKind.TASK_FAILED, task=task.id)
    other = replace(make_record(), kind=RecordKind.TASK_ACCEPTED, task=task.id)
    last = await store.commit(Batch(new_tasks=[task], records=[failed, other, failed, other]))
    assert await store.alarms.last_record() == last == 4
    found, cursor = await store.alarms.happened(0, ("task-failed",), 10)
    assert [(h.record.kind, h.name, h.user) for h in found] == [
        ("task-failed", task.spec.name, task.spec.user)
    ] * 2
    assert cursor == 4
    found, cursor = await store.alarms.happened(0, ("task-failed",), 1)
    assert (len(found), cursor) == (1, 1)
    found, cursor = await store.alarms.happened(cursor, ("task-failed",), 1)
    assert (len(found), cursor) == (1, 3)
    assert await store.alarms.happened(3, ("task-failed",), 1) == ([], 4)
    assert await store.alarms.happened(0, (), 1) == ([], 4)


async def test_what_waits_and_what_is_silent(store: SqlStore) -> None:
    waits = replace(make_task(1), queued_at=10.0, not_before=0.0)
    backs_off = replace(make_task(2), queued_at=10.0, not_before=90.0)
    runs = [replace(make_task(n), state=TaskState.RUNNING, started_at=10.0, attempt=1) for n in (3, 4, 5)]
    metrics = [Metric(RunId(runs[0].id, 1, 0), 15.0, 1.0, {}), Metric(RunId(runs[1].id, 1, 0), 45.0, 1.0, {})]
    old = Metric(RunId(runs[2].id, 2, 0), 45.0, 1.0, {})  # of another attempt
    await store.commit(Batch(new_tasks=[waits, backs_off, *runs], metrics=[*metrics, old]))
    assert [(i.task, i.since) for i in await store.alarms.waiting(50.0, 60.0)] == [(waits.id, 10.0)]
    assert await store.alarms.waiting(9.0, 60.0) == ()
    silent = await store.alarms.silent(40.0)
    assert [(i.task, i.since) for i in silent] == [(runs[0].id, 15.0), (runs[2].id, 10.0)]


async def test_what_is_old_goes_and_what_is_open_stays(store: SqlStore) -> None:
    over = replace(ALARM, id="a-2", resolved_at=30.0)
    pending, sent = replace(SEND, id="m-2"), replace(SEND, state=SendState.SENT)
    await store.alarms.record(AlarmBatch(1, "[]", [ALARM, over], [pending, sent]))
    assert await store.alarms.expire(29.0, 10) == 1  # the message, of an earlier time
    assert await store.alarms.expire(31.0, 10) == 1
    assert await store.alarms.expire(31.0, 10) == 0
    assert [a.id for a in await store.alarms.alarms(unresolved=False, limit=9)] == ["a-1"]
    assert [s.id for s in await store.alarms.sends(None, 9)] == ["m-2"]


async def test_firings_that_began_late(store: SqlStore) -> None:
    def started(seq: int, at: float | None) -> Task:
        return replace(make_task(seq), first_started_at=at)

    def fired(trigger: str, due_ms: int, task: Task, cause: Cause = Cause.SCHEDULE) -> Firing:
        decided = due_ms / 1000
        return Firing(TriggerId(trigger), due_ms, FiringOutcome.FIRED, decided, cause, task.id)

    tasks = [started(1, 103.0), started(2, 100.5), started(3, None), started(4, 150.0)]
    named = Trigger(
        TriggerId("g-1"),
        "nightly",
        UserName("ada"),
        Timing(Interval(60_000)),
        TaskSpec("n", command=("true",)),
    )
    firings = [
        fired("g-1", 100_000, tasks[0]), fired("g-1", 99_500, tasks[1]), fired("g-2", 90_000, tasks[2]),
        fired("g-1", 20_000, tasks[3], Cause.BACKFILL), fired("g-3", 10_000, tasks[3]),
    ]  # fmt: skip
    run = WorkflowRun(WorkflowRunId("w-1"), 1, "etl", 1, UserName("ada"), 80.0)  # has not begun
    firings.append(replace(fired("g-4", 80_000, tasks[0]), task=None, run=run.id))
    await store.commit(Batch(new_tasks=tasks, triggers=[named], firings=firings, workflow_runs=[run]))
    late = await store.alarms.late(50.0, 120.0, 2.0)
    assert late == (Late("g-4", 80.0, 40.0), Late("g-2", 90.0, 30.0), Late("nightly", 100.0, 3.0))
