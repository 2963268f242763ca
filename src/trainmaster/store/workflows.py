"""Workflows, their runs, and what is stored of the parts of a run. Plain functions of a connection."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, and_, func, select

from trainmaster.domain.ids import NodeId, TaskId, TriggerId, UserName, WorkflowRunId
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.task import Part
from trainmaster.domain.workflow import WorkflowSpec
from trainmaster.domain.workflow_run import PartEnd, PlannedPart, StageState, WorkflowRun, WorkflowState
from trainmaster.ports import WorkflowRow
from trainmaster.store import rows, schema

FOUND = 10
_IDS = 500  # in one statement

_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder().decode

_T, _W, _R = schema.task.c, schema.workflow.c, schema.workflow_run.c

_STATES = {
    TaskState.SUCCEEDED.value: StageState.SUCCEEDED,
    TaskState.FAILED.value: StageState.FAILED,
    TaskState.CANCELLED.value: StageState.CANCELLED,
}


# --- definitions -------------------------------------------------------------------------------------------


def put(connection: Connection, spec: WorkflowSpec, owner: UserName, now: float) -> int:
    """Store a version and answer with its number; that of the latest if it says the same."""
    text = rows.plain(_encode(spec.to_dict()))
    digest = hashlib.sha256(text.encode()).hexdigest()
    latest = connection.execute(
        select(_W.version, _W.digest).where(_W.name == spec.name).order_by(_W.version.desc()).limit(1)
    ).one_or_none()
    if latest is not None and latest.digest == digest:
        return int(latest.version)
    version = 1 if latest is None else int(latest.version) + 1
    connection.execute(
        schema.workflow.insert().values(
            name=spec.name,
            version=version,
            digest=digest,
            owner=rows.plain(owner)[: schema.KEY],
            created_at=now,
            spec=text,
        )
    )
    return version


def workflow(connection: Connection, name: str, version: int | None) -> WorkflowRow | None:
    query = select(schema.workflow).where(_W.name == rows.plain(name)).order_by(_W.version.desc()).limit(1)
    if version is not None:
        query = query.where(_W.version == version)
    row = connection.execute(query).one_or_none()
    return None if row is None else _row(row)


def workflows(connection: Connection, name: str | None) -> list[WorkflowRow]:
    if name is not None:
        query = select(schema.workflow).where(_W.name == rows.plain(name)).order_by(_W.version.desc())
        return [_row(row) for row in connection.execute(query)]
    latest = select(_W.name, func.max(_W.version).label("last"), func.count().label("number")).group_by(
        _W.name
    )
    l_ = latest.subquery()
    query = (
        select(schema.workflow, l_.c.number)
        .join(l_, and_(l_.c.name == _W.name, l_.c.last == _W.version))
        .order_by(_W.name)
    )
    return [_row(row, row.number) for row in connection.execute(query)]


def _row(row: Any, versions: int = 1) -> WorkflowRow:
    return WorkflowRow(row.name, row.version, UserName(row.owner), row.created_at, _spec(row.spec), versions)


@lru_cache(maxsize=32)
def _spec(text: str) -> WorkflowSpec:
    """A large one takes long to build, and lists are asked for again and again."""
    return WorkflowSpec.from_dict(_decode(text))


# --- runs --------------------------------------------------------------------------------------------------


def run_row(run: WorkflowRun) -> rows.Row:
    """All columns of `workflow_run`, in the order of the schema."""
    parent = run.parent
    place = None
    if parent is not None:
        place = _encode((parent.stage, parent.key, parent.round, parent.index, parent.total))
    return (
        run.id,
        run.seq,
        run.workflow,
        run.version,
        rows.plain(run.owner)[: schema.KEY],
        run.state.value,
        run.created_at,
        run.ended_at,
        run.round,
        _encode(run.since),
        run.depth,
        None if parent is None else parent.run,
        place,
        run.stopping,
        rows.plain(run.reason),
        rows.plain(run.parameters),
        rows.plain(run.outputs),
        _encode(run.pins),
        run.stages,
        _encode({name: (p.node, p.position, p.start_s, p.finish_s) for name, p in run.plan.items()}),
        run.forecast_s,
        run.begun_at,
        run.start_at,
        run.trigger or None,
        run.due_ms,
    )


def run_of(row: Any) -> WorkflowRun:
    parent = None
    if row.parent is not None:
        parent = Part(WorkflowRunId(row.parent_run), *_decode(row.parent))
    plan = {name: PlannedPart(NodeId(node), *rest) for name, (node, *rest) in _decode(row.plan).items()}
    return WorkflowRun(
        id=WorkflowRunId(row.id),
        seq=row.seq,
        workflow=row.workflow,
        version=row.version,
        owner=UserName(row.owner),
        created_at=row.created_at,
        state=WorkflowState(row.status),
        stopping=row.stopping,
        parameters=row.parameters,
        outputs=row.outputs,
        pins=tuple((name, version) for name, version in _decode(row.pins)),
        round=row.round,
        since=tuple(_decode(row.since)),
        parent=parent,
        depth=row.depth,
        ended_at=row.ended_at,
        reason=row.reason,
        stages=row.stages,
        plan=plan,
        forecast_s=row.forecast_s,
        begun_at=row.begun_at,
        start_at=row.start_at,
        trigger=TriggerId(row.trigger_id or ""),
        due_ms=row.due_ms,
    )


def run(connection: Connection, run_id: str) -> WorkflowRun | None:
    row = connection.execute(select(schema.workflow_run).where(_R.id == rows.plain(run_id))).one_or_none()
    return None if row is None else run_of(row)


def live(connection: Connection) -> list[WorkflowRun]:
    """Parents before the runs they contain."""
    query = select(schema.workflow_run).where(_R.ended_at.is_(None)).order_by(_R.depth, _R.seq)
    return [run_of(row) for row in connection.execute(query)]


def runs(
    connection: Connection, name: str | None, states: Sequence[str], limit: int, before: int | None
) -> tuple[list[WorkflowRun], int | None]:
    query = (
        select(schema.workflow_run).where(_R.parent_run.is_(None)).order_by(_R.seq.desc()).limit(limit + 1)
    )
    if name is not None:
        query = query.where(_R.workflow == rows.plain(name))
    if states:
        query = query.where(_R.status.in_(states))
    if before is not None:
        query = query.where(_R.seq < before)
    found = [run_of(row) for row in connection.execute(query)]
    page = found[:limit]
    return page, page[-1].seq if len(found) > limit and page else None


def find(connection: Connection, prefix: str) -> list[WorkflowRunId]:
    text = rows.plain(prefix)
    query = (
        select(_R.id).where(_R.id >= text, _R.id < text + "\U0010ffff").order_by(_R.seq.desc()).limit(FOUND)
    )
    return [WorkflowRunId(found) for (found,) in connection.execute(query)]


def parts(
    connection: Connection, run_ids: Sequence[WorkflowRunId], stage: str | None = None
) -> dict[WorkflowRunId, list[PartEnd]]:
    """What became of every part of these runs (or of one stage of them), of all their rounds."""
    found: dict[WorkflowRunId, list[PartEnd]] = {run_id: [] for run_id in run_ids}
    columns = (
        _T.workflow_run,
        _T.stage,
        _T.part,
        _T.id,
        _T.status,
        _T.result,
        _T.first_started_at,
        _T.ended_at,
    )
    for begin in range(0, len(run_ids), _IDS):
        some = run_ids[begin : begin + _IDS]
        query = select(*columns).where(_T.workflow_run.in_(some)).order_by(_T.seq)
        if stage is not None:
            query = query.where(_T.stage == rows.plain(stage))
        for row in connection.execute(query):
            part = Part(WorkflowRunId(row.workflow_run), row.stage, *_decode(row.part))
            state = _STATES.get(row.status, StageState.RUNNING)
            times = (row.first_started_at, row.ended_at)
            found[part.run].append(PartEnd(part, TaskId(row.id), state, row.result, *times))
        for row in connection.execute(
            select(schema.workflow_run).where(_R.parent_run.in_(some)).order_by(_R.seq)
        ):
            child = run_of(row)
            assert child.parent is not None
            if stage not in (None, child.parent.stage):
                continue
            state = _STATES.get(row.status, StageState.RUNNING)
            result = child.outputs if child.outputs != "{}" else None
            end = PartEnd(child.parent, child.id, state, result, child.created_at, child.ended_at)
            found[child.parent.run].append(end)
    return found


def places(connection: Connection, run_id: WorkflowRunId) -> dict[TaskId, NodeId]:
    """Where the first worker of the latest attempt of every task of a run was."""
    r = schema.run.c
    query = (
        select(_T.id, r.node)
        .join(schema.run, and_(r.task == _T.id, r.attempt == _T.attempt, r.rank == 0))
        .where(_T.workflow_run == run_id)
    )
    return {TaskId(task): NodeId(node) for task, node in connection.execute(query)}


def durations(connection: Connection, name: str, latest: int) -> dict[str, tuple[float, int]]:
    """Of each stage the mean seconds of its tasks that succeeded, and their number, over the latest runs."""
    some = (
        select(_R.id).where(_R.workflow == rows.plain(name)).order_by(_R.seq.desc()).limit(latest).subquery()
    )
    query = (
        select(_T.stage, func.avg(_T.ran_s).label("mean"), func.count().label("number"))
        .join(some, some.c.id == _T.workflow_run)
        .where(_T.status == TaskState.SUCCEEDED.value)
        .group_by(_T.stage)
    )
    return {row.stage: (float(row.mean), row.number) for row in connection.execute(query)}
