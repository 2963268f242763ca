"""Workflows in every database: versions, runs, what became of their parts, and what retention leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.flows import stage, workflow
from tests.samples import ended_run, make_task
from trainmaster.domain.ids import NodeId, TriggerId, UserName, WorkflowRunId, workflow_run_id
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.task import Part, Task
from trainmaster.domain.workflow_run import PlannedPart, StageState, WorkflowRun, WorkflowState
from trainmaster.ports import Batch
from trainmaster.store import SqlStore

ME = UserName("me")
RUN = workflow_run_id(7)


def make_run(number: int, **fields: Any) -> WorkflowRun:
    values = {"workflow": "flow", "version": 1, "owner": ME, "created_at": 100.0 + number, **fields}
    return WorkflowRun(id=workflow_run_id(number), seq=number, **values)


def part_task(seq: int, run: WorkflowRunId, name: str, key: str = "", **fields: Any) -> Task:
    place = Part(run, name, key, fields.pop("round", 0), fields.pop("index", 0), fields.pop("total", None))
    return make_task(seq, fields.pop("state", TaskState.SUCCEEDED), part=place, **fields)


async def test_versions(store: SqlStore) -> None:
    first = workflow(stage("a"), stage("b", "a", each=["ü", {"x": None}]), parameters={"day": "mon"})
    assert await store.put_workflow(first, ME, 1.0) == 1
    assert await store.put_workflow(first, ME, 2.0) == 1
    second = replace(first, description="with words")
    assert await store.put_workflow(second, UserName("ann"), 3.0) == 2
    assert await store.put_workflow(first, ME, 4.0) == 3
    await store.put_workflow(workflow(stage("a"), name="other"), ME, 5.0)
    latest = await store.workflow("flow")
    assert latest is not None and (latest.version, latest.spec, latest.created_at) == (3, first, 4.0)
    old = await store.workflow("flow", 2)
    assert old is not None and (old.spec, old.owner) == (second, "ann")
    assert await store.workflow("flow", 4) is None and await store.workflow("Flow") is None
    assert [(row.name, row.version, row.versions) for row in await store.workflows()] == [
        ("flow", 3, 3),
        ("other", 1, 1),
    ]
    assert [row.version for row in await store.workflows("flow")] == [3, 2, 1]


async def test_runs_are_found_and_come_back_whole(store: SqlStore) -> None:
    plan = {"a": PlannedPart(NodeId("n1"), 0, 0.0, 1.5)}
    run = make_run(7, parameters='{"day":"tüe"}', pins=(("flow", 1), ("in", 2)), plan=plan, forecast_s=1.5)
    run = replace(run, begun_at=1.0, start_at=2.0, trigger=TriggerId("g-1"), due_ms=2**41)
    inside = make_run(8, workflow="in", parent=Part(RUN, "sub", "2", 1, 2, 3), depth=1)
    await store.commit(Batch(workflow_runs=[run, inside, *(make_run(n) for n in range(9, 14))]))
    assert await store.workflow_run(run.id) == run
    assert await store.workflow_run(inside.id) == inside
    assert await store.workflow_run("w-nothing") is None
    ended = replace(
        run, state=WorkflowState.FAILED, ended_at=9.0, stages="sf", reason="why", round=1, since=(0, 1)
    )
    await store.commit(Batch(workflow_runs=[ended]))
    assert await store.workflow_run(run.id) == ended
    page, more = await store.workflow_runs("flow", (), 4)
    assert [found.seq for found in page] == [13, 12, 11, 10] and more == 10
    page, more = await store.workflow_runs("flow", (), 4, more)
    assert [found.seq for found in page] == [9, 7] and more is None
    assert [found.seq for found in (await store.workflow_runs(None, ("FAILED",), 9))[0]] == [7]
    assert await store.find_workflow_runs(run.id[:-1]) == [run.id]
    loaded = await store.load()
    assert [found.seq for found in loaded.workflow_runs] == [9, 10, 11, 12, 13, 8]
    assert loaded.last_run_seq == 13


async def test_what_became_of_the_parts(store: SqlStore) -> None:
    tasks = [
        part_task(1, RUN, "a", result='{"n":1}', first_started_at=5.0, ended_at=9.0, attempt=1, ran_s=4.0),
        part_task(2, RUN, "b", "1", index=1, total=2, state=TaskState.FAILED, ended_at=9.0, attempt=1),
        part_task(3, RUN, "b", "0", index=0, total=2, state=TaskState.RUNNING),
        part_task(4, RUN, "b", "1", index=1, total=2, round=1, ran_s=3.0, ended_at=11.0, attempt=1),
        make_task(5),
    ]
    inside = make_run(8, workflow="in", parent=Part(RUN, "sub", "", 0, 0, None), outputs='{"y":2}')
    inside = replace(inside, state=WorkflowState.SUCCEEDED, ended_at=12.0)
    runs = [ended_run(task.id, node=NodeId(f"n{task.seq}")) for task in tasks[:2]]
    await store.commit(Batch(new_tasks=tasks, runs=runs, workflow_runs=[make_run(7), inside]))
    ends = await store.parts(RUN)
    assert [(end.part.stage, end.part.key, end.part.round, end.state) for end in ends] == [
        ("a", "", 0, StageState.SUCCEEDED),
        ("b", "1", 0, StageState.FAILED),
        ("b", "0", 0, StageState.RUNNING),
        ("b", "1", 1, StageState.SUCCEEDED),
        ("sub", "", 0, StageState.SUCCEEDED),
    ]
    assert (ends[0].id, ends[0].result, ends[0].started_at, ends[0].ended_at) == (
        tasks[0].id,
        '{"n":1}',
        5,
        9,
    )
    assert (ends[1].part, ends[4].result) == (Part(RUN, "b", "1", 0, 1, 2), '{"y":2}')
    assert [end.part.key for end in await store.parts(RUN, "b")] == ["1", "0", "1"]
    assert await store.places(RUN) == {tasks[0].id: "n1", tasks[1].id: "n2"}
    assert await store.durations("flow", 20) == {"a": (4.0, 1), "b": (3.0, 1)}
    loaded = await store.load()
    assert loaded.parts == {RUN: ends}
    assert loaded.tasks[0].spec.part == Part(RUN, "b", "0", 0, 0, 2)


async def test_ended_tasks_of_a_live_run_stay_and_old_runs_go_after_their_tasks(store: SqlStore) -> None:
    tasks = [part_task(1, RUN, "a", ended_at=5.0), make_task(2, TaskState.SUCCEEDED, ended_at=5.0)]
    await store.commit(Batch(new_tasks=tasks, workflow_runs=[make_run(7)], idempotency=[("k", "d", RUN)]))  # type: ignore[list-item]

    async def expire() -> tuple[int, int]:
        done = await store.expire(tasks_before=50.0, records_before=0.0, logs_before=0.0, limit=10)
        return done["tasks"], done["runs"]

    assert await expire() == (1, 0)
    assert await store.task(tasks[0].id) is not None
    ended = make_run(7, state=WorkflowState.SUCCEEDED, ended_at=6.0)
    await store.commit(Batch(workflow_runs=[ended]))
    assert await expire() == (1, 1)
    assert await store.workflow_run(RUN) is None and await store.idempotent("k") is None
