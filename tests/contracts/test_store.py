"""The contract of the `Store` port, over every adapter."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest

from tests.samples import ended_run, make_record, make_run, make_task
from trainmaster.domain.cluster import Gauges, Node, NodeState, Quota
from trainmaster.domain.errors import StoreRefused
from trainmaster.domain.history import Record, RecordKind
from trainmaster.domain.ids import NodeId, RunId, TaskId, UserName
from trainmaster.domain.learned import MAX_POINTS
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.run import Exit, Fault, RunState
from trainmaster.domain.sizing import Done, Worked
from trainmaster.domain.task import Intent, Retry, Task, TaskKind, Urgency
from trainmaster.domain.units import Resources
from trainmaster.ports import Batch, Metric, Past, TaskFilter, TokenRow
from trainmaster.store import SqlStore

NASTY = "naïve 任务 🚂 'quoted' \"double\" back\\slash %s %d ; -- \t\n end"


# --- tasks -------------------------------------------------------------------------------------------------


async def test_a_task_comes_back_as_it_was(store: SqlStore) -> None:
    task = make_task(
        1,
        TaskState.RUNNING,
        name=NASTY[:60],
        kind=TaskKind.CONTAINER,
        command=("sh", "-c", NASTY),
        image="registry/image:1",
        directory="/work dir/" + "d" * 3000,
        volumes=("/a:/b:ro", "/c:/d"),
        environment=(("PATH", "/bin"), ("ODD", NASTY), ("EMPTY", "")),
        resources=Resources(1500, 2**40, 2, 0),
        min_workers=2,
        max_workers=8,
        user=UserName("zoë"),
        after=(TaskId("t-a"), TaskId("t-b")),
        timeout_s=0.1,
        retry=Retry(attempts=3, on_exits=(1, 137)),
        labels=(("project", "mnist"), ("π", "3.14")),
        urgency=Urgency.HIGHEST,
        priority=-0.30000000000000004,
        bumps=3,
        attempt=2,
        workers=4,
        intent=Intent.INTERRUPT,
        queued_at=1700000000.123456,
        not_before=1.5,
        accepted_at=2.5,
        started_at=3.5,
        first_started_at=3.25,
        ran_s=12.75,
        failures=1,
        losses=2,
        interruptions=3,
        exit_code=-9,
        result='{"a": "é"}',
        reason=NASTY,
        preempting=True,
    )
    await store.commit(Batch(new_tasks=[task]))
    assert await store.task(task.id) == task


async def test_an_unknown_task_is_none(store: SqlStore) -> None:
    assert await store.task(TaskId("t-nothing")) is None
    assert await store.runs(TaskId("t-nothing")) == []


async def test_text_no_database_takes_is_made_harmless(store: SqlStore) -> None:
    task = make_task(1, name="nul\0name", reason="nul\0 and \udcff", environment=(("A", "\udc80"),))
    await store.commit(
        Batch(new_tasks=[task], records=[make_record(task.id, reason="a\0b", detail={"x": "\0"})])
    )
    found = await store.task(task.id)
    assert found is not None
    assert found.spec == task.spec, "the specification is kept exactly, inside JSON"
    assert "\0" not in found.reason and found.reason.startswith("nul")
    assert (await store.records())[0][1].detail == {"x": "\0"}


async def test_changes_of_a_task_are_stored_and_its_spec_is_left_alone(store: SqlStore) -> None:
    tasks = [make_task(n) for n in range(1, 451)]
    await store.commit(Batch(new_tasks=tasks))
    changed = [
        replace(t, state=TaskState.RUNNING, started_at=7.0 + t.seq, workers=t.seq, reason=f"r{t.seq}")
        for t in tasks[:-1]
    ]
    await store.commit(Batch(tasks=changed))
    for task in (*changed[::50], changed[-1], tasks[-1]):
        assert await store.task(task.id) == task


async def test_a_task_new_and_changed_in_one_batch_is_stored_as_changed(store: SqlStore) -> None:
    task = make_task(1)
    later = replace(task, state=TaskState.CANCELLED, ended_at=5.0)
    await store.commit(Batch(new_tasks=[task], tasks=[replace(task, bumps=1), later]))
    assert await store.task(task.id) == later


async def test_listing_pages_from_the_newest(store: SqlStore) -> None:
    tasks = [make_task(n) for n in range(1, 8)]
    await store.commit(Batch(new_tasks=tasks))
    seen, cursor = await store.tasks(TaskFilter(), 3)
    pages = [seen]
    while cursor is not None:
        seen, cursor = await store.tasks(TaskFilter(), 3, before=cursor)
        pages.append(seen)
    assert [[t.seq for t in page] for page in pages] == [[7, 6, 5], [4, 3, 2], [1]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (TaskFilter(states=("RUNNING",)), [2]),
        (TaskFilter(states=("RUNNING", "QUEUED")), [3, 2, 1]),
        (TaskFilter(user="ann"), [3, 1]),
        (TaskFilter(user="Ann"), []),
        (TaskFilter(text="MNIST"), [2, 1]),
        (TaskFilter(text="50%_"), [3]),
        (TaskFilter(text="0%m"), []),
        (TaskFilter(kinds=("function",)), [3]),
        (TaskFilter(labels=(("team", "vision"),)), [2, 1]),
        (TaskFilter(labels=(("team", "vision"), ("gpu", "no"))), [2]),
        (TaskFilter(labels=(("team", "Vision"),)), []),
        (TaskFilter(labels=(("note", "n" * 300),)), [3]),
        (TaskFilter(text="Ünï"), [2]),
        (TaskFilter(states=("QUEUED",), user="ann", text="mnist", labels=(("team", "vision"),)), [1]),
    ],
)
async def test_listing_filters(store: SqlStore, query: TaskFilter, expected: list[int]) -> None:
    vision = (("team", "vision"),)
    await store.commit(
        Batch(
            new_tasks=[
                make_task(1, name="mnist small", user=UserName("ann"), labels=vision),
                make_task(2, TaskState.RUNNING, name="MNIST large Ünïcode", labels=(*vision, ("gpu", "no"))),
                make_task(
                    3,
                    name="50%_done",
                    user=UserName("ann"),
                    kind=TaskKind.FUNCTION,
                    function="a:b",
                    labels=(("note", "n" * 300),),
                ),
            ]
        )
    )
    found, _ = await store.tasks(query, 10)
    assert [task.seq for task in found] == expected


async def test_counts_by_state(store: SqlStore) -> None:
    assert await store.counts() == {}
    states = [TaskState.QUEUED, TaskState.QUEUED, TaskState.FAILED]
    await store.commit(Batch(new_tasks=[make_task(n, state) for n, state in enumerate(states)]))
    assert await store.counts() == {"QUEUED": 2, "FAILED": 1}


async def test_find_by_the_beginning_of_an_id(store: SqlStore) -> None:
    tasks = [replace(make_task(n), id=TaskId(f"t-{'ab' if n % 2 else 'b'}{n:02}")) for n in range(1, 31)]
    await store.commit(Batch(new_tasks=tasks))
    assert await store.find("t-b02") == ["t-b02"]
    found = await store.find("t-a")
    assert len(found) == 10 and all(task.startswith("t-a") for task in found)
    assert await store.find("t-_") == []
    assert await store.find("%") == []
    assert len(await store.find("")) == 10


# --- runs, nodes, the rest of the present ------------------------------------------------------------------


async def test_runs_come_back_and_are_replaced(store: SqlStore) -> None:
    task = make_task(1)
    first = make_run(task.id, devices=(0, 3), launched_at=1.5)
    other = make_run(task.id, 2, 1)
    await store.commit(Batch(new_tasks=[task], runs=[other, first]))
    assert await store.runs(task.id) == [first, other]
    over = replace(
        first,
        state=RunState.EXITED,
        started_at=2.0,
        ended_at=3.0,
        exit=Exit(None, Fault.OUT_OF_MEMORY, NASTY, '"r"'),
        stopping=True,
    )
    fine = replace(other, state=RunState.EXITED, exit=Exit(0))
    await store.commit(Batch(runs=[over, replace(fine, exit=Exit(1)), fine]))
    assert await store.runs(task.id) == [over, fine]


async def test_many_workers_of_many_tasks_in_one_batch(store: SqlStore) -> None:
    tasks = [make_task(n) for n in range(1, 21)]
    runs = [make_run(t.id, 1, rank) for t in tasks for rank in range(60)]
    await store.commit(Batch(new_tasks=tasks, runs=runs))
    assert [run.id.rank for run in await store.runs(tasks[7].id)] == list(range(60))


async def test_load_gives_the_present(store: SqlStore) -> None:
    running = make_task(1, TaskState.RUNNING, attempt=2, workers=2)
    queued = make_task(2, TaskState.QUEUED, attempt=1)
    over = make_task(3, TaskState.SUCCEEDED, ended_at=9.0)
    old = make_run(running.id, 1, 0, state=RunState.LOST)
    alive, finished = make_run(running.id, 2, 0), ended_run(running.id, 2, 1)
    node = Node(
        NodeId("n1"),
        Resources(4000, 2**33, 1, 8),
        labels=(("zone", "a"), ("disk", "ssd")),
        state=NodeState.DRAINING,
        gauges=Gauges(time=5.0, cpu=0.5, gpu=(0.25, 1.0), net_sent=1e9),
        index=1.25,
        seen_at=6.0,
        joined_at=1.0,
        containers=True,
        incarnation="x1",
    )
    quota = Quota(UserName("ann"), running_workers=4)
    await store.commit(
        Batch(
            new_tasks=[over, queued, running],
            runs=[old, alive, finished, ended_run(queued.id, 1, 0), ended_run(over.id, 1, 0)],
            nodes=[node],
            quotas=[Quota(UserName("ann"), 1, 1), quota, Quota(UserName("bob"), None, 7)],
            settings={"profile": "dtes", "empty": ""},
            records=[make_record(over.id)] * 4,
        )
    )
    await store.commit(Batch(settings={"profile": "default"}, nodes=[replace(node, index=2.0)]))
    loaded = await store.load()
    assert loaded.tasks == [running, queued]
    assert loaded.runs == [alive, finished], "of the live attempt, with the worker that has ended"
    assert loaded.nodes == [replace(node, index=2.0)]
    assert {q.user: q for q in loaded.quotas} == {"ann": quota, "bob": Quota(UserName("bob"), None, 7)}
    assert loaded.settings == {"profile": "default", "empty": ""}
    assert (loaded.last_seq, loaded.last_task_seq) == (4, 3)


async def test_load_knows_what_tasks_of_changing_size_said(store: SqlStore) -> None:
    task = make_task(1, TaskState.RUNNING, first_started_at=1.0, min_workers=1, max_workers=2)
    fixed = make_task(2, TaskState.RUNNING, first_started_at=1.0)
    metrics = [
        Metric(RunId(one.id, 1, 0), 1.0 + at, at, {"loss": at}) for one in (task, fixed) for at in range(300)
    ]
    kinds = [RecordKind.TASK_ACCEPTED, RecordKind.NODE_JOINED, RecordKind.TASK_REGROUPED]
    records = [Record(3.0, kind, task.id, 1, detail={"workers": 2}) for kind in kinds]
    await store.commit(Batch(new_tasks=[task, fixed], metrics=metrics, records=records))
    [(told, words)] = (await store.load()).training
    assert told == metrics[300 - MAX_POINTS : 300], "the latest, in order"
    assert words == [records[0], records[2]]


async def test_load_of_nothing(store: SqlStore) -> None:
    loaded = await store.load()
    assert (loaded.tasks, loaded.runs, loaded.last_seq, loaded.last_task_seq) == ([], [], 0, 0)


async def test_load_knows_how_dependencies_ended(store: SqlStore) -> None:
    good = make_task(1, TaskState.SUCCEEDED, ended_at=1.0)
    bad = make_task(2, TaskState.FAILED, ended_at=1.0)
    alive = make_task(3)
    stranger = make_task(4, TaskState.SUCCEEDED, ended_at=1.0)
    waits = make_task(5, TaskState.BLOCKED, after=(good.id, bad.id, alive.id, good.id))
    done = make_task(6, TaskState.SUCCEEDED, ended_at=2.0, after=(stranger.id,))
    await store.commit(Batch(new_tasks=[good, bad, alive, stranger, waits, done]))
    assert (await store.load()).ended == {good.id: True, bad.id: False}


# --- history -----------------------------------------------------------------------------------------------


async def test_records_are_numbered_in_order_of_commits(store: SqlStore) -> None:
    one, two = make_task(1), make_task(2)
    full = Record(
        2.5, RecordKind.TASK_ACCEPTED, one.id, 3, NodeId("n1"), NASTY, {"free": [1, 2], "why": {"é": None}}
    )
    last = await store.commit(Batch(new_tasks=[one, two], records=[make_record(one.id), full]))
    assert last == 2
    assert await store.commit(Batch(settings={"a": "b"})) == 2
    assert await store.commit(Batch(records=[make_record(two.id), make_record()])) == 4
    found = await store.records()
    assert [seq for seq, _ in found] == [1, 2, 3, 4]
    assert found[1][1] == full
    assert [seq for seq, _ in await store.records(after=2, limit=1)] == [3]
    assert [seq for seq, _ in await store.records(task=one.id)] == [1, 2]
    assert [seq for seq, _ in await store.records(newest_first=True, limit=2)] == [4, 3]
    assert [seq for seq, _ in await store.records(after=3, newest_first=True)] == [2, 1]
    assert [seq for seq, _ in await store.records(task=one.id, newest_first=True, limit=1)] == [2]


async def test_commits_at_once_get_numbers_without_gaps(store: SqlStore) -> None:
    batches = [Batch(id=f"b{n}", records=[make_record()] * (n % 4 + 1)) for n in range(20)]
    lasts = await asyncio.gather(*(store.commit(batch) for batch in batches))
    assert len(set(lasts)) == 20
    total = sum(len(batch.records) for batch in batches)
    assert [seq for seq, _ in await store.records()] == list(range(1, total + 1))


async def test_two_stores_on_one_database_share_the_numbers(store: SqlStore, store_url: str) -> None:
    other = SqlStore(store_url)
    await other.open()
    try:
        work = [(other if n % 2 else store).commit(Batch(records=[make_record()] * 3)) for n in range(16)]
        assert sorted(await asyncio.gather(*work)) == list(range(3, 49, 3))
    finally:
        await other.close()


async def test_metrics_page_without_losing_equal_times(store: SqlStore) -> None:
    task = make_task(1)
    run = RunId(task.id, 1, 0)
    times = [1.0, 2.0, 2.0, 2.0, 3.0]
    reports = [Metric(run, time, float(n), {"loss": n / 3}) for n, time in enumerate(times)]
    odd = Metric(RunId(task.id, 1, 1), 4.0, 9.0, {"loss": math.inf, "π": -1e-300})
    await store.commit(Batch(new_tasks=[task], metrics=[*reports, odd]))
    seen: list[Metric] = []
    while page := await store.metrics(task.id, after=seen[-1].time if seen else 0.0, limit=2):
        seen += page
    assert seen == [*reports, odd]
    assert await store.metrics(TaskId("t-none")) == []


# --- once and only once ------------------------------------------------------------------------------------


async def test_a_batch_committed_again_changes_nothing(store: SqlStore, store_url: str) -> None:
    task = make_task(1)
    batch = Batch(
        id="batch-1",
        new_tasks=[task],
        records=[make_record(task.id)] * 2,
        metrics=[Metric(RunId(task.id, 1, 0), 1.0, 1.0, {})],
        idempotency=[("key", "digest", task.id)],
    )
    assert await store.commit(batch) == 2
    await store.commit(Batch(id="batch-2", records=[make_record()]))
    assert await store.commit(batch) == 2
    other = SqlStore(store_url)
    await other.open()
    assert await other.commit(batch) == 2, "recognised by any process"
    await other.close()
    assert len(await store.records()) == 3
    assert len(await store.metrics(task.id)) == 1
    assert await store.commit(Batch(records=[make_record()])) == 4


async def test_a_batch_without_an_id_is_given_one(store: SqlStore) -> None:
    batch = Batch(records=[make_record()])
    assert [await store.commit(batch), await store.commit(batch)] == [1, 1]
    assert await store.commit(Batch(records=[make_record()])) == 2


async def test_a_batch_is_stored_whole_or_not_at_all(store: SqlStore) -> None:
    task = make_task(1)
    await store.commit(Batch(new_tasks=[task], idempotency=[("key", "d", task.id)]))
    clash = Batch(
        id="clash",
        new_tasks=[make_task(2)],
        records=[make_record()],
        settings={"a": "b"},
        idempotency=[("key", "other", make_task(2).id)],
    )
    with pytest.raises(StoreRefused):
        await store.commit(clash)
    with pytest.raises(StoreRefused):
        await store.commit(Batch(new_tasks=[task]))
    assert await store.task(make_task(2).id) is None
    assert await store.records() == []
    assert (await store.load()).settings == {}
    clash.idempotency.clear()
    assert await store.commit(clash) == 1, "a refused batch does not count as stored"


async def test_idempotency_keys(store: SqlStore) -> None:
    task = make_task(1)
    long, odd = "k" * 2000, "key\0 with \udcff"
    await store.commit(
        Batch(new_tasks=[task], idempotency=[(k, "d-" + k[:3], task.id) for k in ("a", long, odd)])
    )
    assert await store.idempotent("a") == ("d-a", task.id)
    assert await store.idempotent(long) == ("d-kkk", task.id)
    assert await store.idempotent(odd) == ("d-key", task.id)
    assert await store.idempotent("A") is None


async def test_an_empty_batch(store: SqlStore) -> None:
    assert await store.commit(Batch()) == 0


# --- tokens ------------------------------------------------------------------------------------------------


async def test_tokens(store: SqlStore) -> None:
    first = TokenRow("id1", "digest", "ann", "admin", 1.0, None, NASTY)
    second = TokenRow("id2", "digest2", "bob", "viewer", 2.0, 99.5)
    await store.put_token(second)
    await store.put_token(first)
    assert await store.tokens() == [first, second]
    await store.put_token(replace(first, role="viewer"))
    assert (await store.tokens())[0].role == "viewer"
    assert await store.drop_token("id1") is True
    assert await store.drop_token("id1") is False
    assert await store.tokens() == [second]


# --- retention ---------------------------------------------------------------------------------------------


async def test_expire_takes_old_ended_tasks_with_all_they_own(store: SqlStore) -> None:
    old = make_task(1, TaskState.SUCCEEDED, ended_at=10.0, labels=(("a", "b"),))
    new = make_task(2, TaskState.FAILED, ended_at=100.0)
    live = make_task(3)
    tasks = [old, new, live]
    await store.commit(
        Batch(
            new_tasks=tasks,
            runs=[ended_run(t.id) for t in tasks],
            records=[make_record(t.id, time=200.0) for t in tasks],
            metrics=[Metric(RunId(t.id, 1, 0), 1.0, 1.0, {}) for t in tasks],
            idempotency=[(t.id, "d", t.id) for t in tasks],
        )
    )
    done = await store.expire(tasks_before=50.0, records_before=0.0, logs_before=0.0, limit=10)
    assert done == {"tasks": 1, "runs": 0, "records": 0, "firings": 0, "logs": 0}
    assert await store.task(old.id) is None
    assert await store.runs(old.id) == []
    assert await store.records(task=old.id) == []
    assert await store.metrics(old.id) == []
    assert await store.idempotent(old.id) is None
    for task in (new, live):
        assert await store.task(task.id) == task
        assert len(await store.runs(task.id)) == 1
        assert await store.idempotent(task.id) == ("d", task.id)
    await store.commit(Batch(records=[make_record()]))
    assert (await store.records(newest_first=True, limit=1))[0][0] == 4, "numbers are not given twice"


async def test_expire_keeps_what_a_live_task_waits_for(store: SqlStore) -> None:
    needed = make_task(1, TaskState.SUCCEEDED, ended_at=1.0)
    waits = make_task(2, TaskState.BLOCKED, after=(needed.id,))
    await store.commit(Batch(new_tasks=[needed, waits]))
    limits = {"tasks_before": 50.0, "records_before": 0.0, "logs_before": 0.0, "limit": 10}
    assert (await store.expire(**limits))["tasks"] == 0  # type: ignore[arg-type]
    await store.commit(Batch(tasks=[replace(waits, state=TaskState.CANCELLED, ended_at=2.0)]))
    assert (await store.expire(**limits))["tasks"] == 2  # type: ignore[arg-type]


async def test_expire_goes_in_bites(store: SqlStore) -> None:
    tasks = [make_task(n, TaskState.SUCCEEDED, ended_at=float(n)) for n in range(1, 6)]
    records = [make_record(time=float(n)) for n in range(1, 6)]
    await store.commit(Batch(new_tasks=tasks, records=records))

    async def bite() -> tuple[int, int]:
        done = await store.expire(tasks_before=4.5, records_before=3.5, logs_before=0.0, limit=2)
        return done["tasks"], done["records"]

    assert [await bite() for _ in range(4)] == [(2, 2), (2, 1), (0, 0), (0, 0)]
    assert [seq for seq, _ in await store.records()] == [4, 5]
    assert await store.counts() == {"SUCCEEDED": 1}


# --- volume ------------------------------------------------------------------------------------------------


async def test_arrivals_are_counted_by_slot_from_a_number_on(store: SqlStore) -> None:
    times = (899.9, 900.0, 1799.999, 1800.0, 1.77e9 + 0.5)
    tasks = [make_task(seq, submitted_at=at) for seq, at in enumerate(times, 1)]
    await store.commit(Batch(new_tasks=tasks))
    last_slot = int(1.77e9) // 900
    assert await store.arrivals(0, 900.0) == ({0: 1, 1: 2, 2: 1, last_slot: 1}, 5)
    assert await store.arrivals(3, 900.0) == ({2: 1, last_slot: 1}, 5)
    assert await store.arrivals(5, 900.0) == ({}, 5)


async def test_work_done_is_summed_by_shape_over_all_attempts(store: SqlStore) -> None:
    def ended(seq: int, at: float, **fields: float | None) -> Task:
        started = {"first_started_at": 1.0, **fields}
        return make_task(seq, TaskState.SUCCEEDED, ended_at=at, **started)

    first, second = ended(1, 100.0), ended(2, 199.0)
    before, after, never = ended(3, 99.0), ended(4, 200.0), ended(5, 150.0, first_started_at=None)
    small, large = Resources(500, 2**30), Resources(2000, 2**33, 1)
    runs = [
        ended_run(first.id, 1, resources=small, started_at=10.0, ended_at=20.0, exit=Exit(1)),
        ended_run(first.id, 2, resources=small, started_at=30.0, ended_at=55.0),
        ended_run(second.id, 1, 0, resources=large, started_at=10.0, ended_at=199.0),
        ended_run(second.id, 1, 1, resources=large, started_at=None, ended_at=199.0),
        ended_run(before.id, resources=small),
        ended_run(after.id, resources=small),
    ]
    await store.commit(Batch(new_tasks=[first, second, before, after, never], runs=runs))
    found = await store.worked(100.0, 200.0, 60.0)
    assert found.tasks == 2
    assert set(found.done) == {Done(small, 2, 35.0), Done(large, 1, 60.0)}
    assert await store.worked(300.0, 400.0, 60.0) == Worked(0)


async def test_past_tasks_come_with_their_runs_and_what_they_said(store: SqlStore) -> None:
    old = make_task(1, TaskState.SUCCEEDED, submitted_at=10.0, ended_at=99.0)
    across = make_task(2, TaskState.SUCCEEDED, submitted_at=50.0, ended_at=100.0, max_workers=4)
    live = make_task(3, TaskState.RUNNING, submitted_at=150.0, max_workers=2)
    later = make_task(4, TaskState.QUEUED, submitted_at=200.0)
    runs = [ended_run(across.id, 2), ended_run(across.id, 1), make_run(live.id), ended_run(old.id)]
    groups = [Record(60.0 + n, RecordKind.TASK_REGROUPED, across.id) for n in range(3)]
    said = [Metric(RunId(live.id, 1, 0), 160.0, 1.0, {"loss": 1.0})] * 2
    batch = Batch(new_tasks=[old, across, live, later], runs=runs, records=groups, metrics=said)
    await store.commit(batch)
    first, second = await store.past(100.0, 200.0, 10)
    assert (first.task, second.task) == (across, live)
    assert [run.id.attempt for run in first.runs] == [1, 2]
    assert (first.generations, first.reported) == (3, False)
    assert (second.generations, second.reported) == (0, True)
    assert [past.task.id for past in await store.past(100.0, 200.0, 1)] == [live.id], "the newest"
    assert await store.past(300.0, 400.0, 10) == [second, Past(later, ())], "those that still live"
