"""Questions about tasks, runs, history and the rest. Plain functions of a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select

from trainmaster.domain.history import Record
from trainmaster.domain.ids import RunId, TaskId
from trainmaster.domain.learned import MAX_POINTS
from trainmaster.domain.lifecycle import ENDED, TaskState
from trainmaster.domain.run import Run, Stream
from trainmaster.domain.task import Task
from trainmaster.ports import Loaded, Metric, TaskFilter, TokenRow
from trainmaster.scheduler.recall import RECALLED
from trainmaster.store import rows, schema, workflows
from trainmaster.store.triggers import load_triggers, load_waiting
from trainmaster.store.writer import short

_T = schema.task.c
TASK_COLUMNS = (_T.id, _T.seq, _T.submitted_at, _T.spec, *(schema.task.c[name] for name in rows.TASK_CHANGES))
_LIVE = tuple(state.value for state in TaskState if state not in ENDED)
FOUND = 10
LATELY = 10_000


def load(connection: Connection) -> Loaded:
    """Everything the scheduler needs after a restart."""
    alive = _T.status.in_(_LIVE)
    tasks = [
        rows.task_of(row) for row in connection.execute(select(*TASK_COLUMNS).where(alive).order_by(_T.seq))
    ]
    live_runs = workflows.live(connection)
    ledger_seq = connection.execute(select(schema.ledger.c.event_seq)).scalar() or 0
    return Loaded(
        tasks=tasks,
        runs=_runs_of_live_attempts(connection),
        nodes=[rows.node_of(row) for row in connection.execute(select(schema.node))],
        quotas=[rows.quota_of(row) for row in connection.execute(select(schema.quota))],
        settings={row.name: row.value for row in connection.execute(select(schema.setting))},
        last_seq=ledger_seq,
        last_task_seq=connection.execute(select(func.max(_T.seq))).scalar() or 0,
        log_offsets=_log_offsets(connection),
        ended=_ended_dependencies(connection),
        triggers=load_triggers(connection),
        waiting=load_waiting(connection),
        training=[
            _training(connection, task.id)
            for task in tasks
            if task.first_started_at is not None and task.spec.min_workers < task.spec.max_workers
        ],
        workflow_runs=live_runs,
        parts=workflows.parts(connection, [run.id for run in live_runs]),
        last_run_seq=connection.execute(select(func.max(schema.workflow_run.c.seq))).scalar() or 0,
    )


def _training(connection: Connection, task_id: TaskId) -> tuple[list[Metric], list[Record]]:
    m, e = schema.metric.c, schema.event.c
    columns = (m.task, m.attempt, m.rank, m.time, m.step, m.metrics)
    latest = select(*columns).where(m.task == task_id).order_by(m.time.desc(), m.id.desc())
    said = connection.execute(latest.limit(MAX_POINTS)).all()
    words = select(schema.event).where(e.task == task_id, e.kind.in_([kind.value for kind in RECALLED]))
    records = connection.execute(words.order_by(e.seq.desc()).limit(MAX_POINTS)).all()
    return (
        [rows.metric_of(row) for row in reversed(said)],
        [rows.record_of(row)[1] for row in reversed(records)],
    )


def _runs_of_live_attempts(connection: Connection) -> list[Run]:
    """All workers of every current attempt that still has one alive: how the others ended decides, too."""
    r = schema.run.c
    query = (
        select(schema.run)
        .join(schema.task, and_(_T.id == r.task, _T.attempt == r.attempt))
        .where(_T.status.in_(_LIVE))
        .order_by(_T.seq, r.rank)
    )
    found = [rows.run_of(row) for row in connection.execute(query)]
    alive = {run.id.task for run in found if run.live}
    return [run for run in found if run.id.task in alive]


def _log_offsets(connection: Connection) -> dict[tuple[RunId, Stream], int]:
    """The next offset wanted of every stream whose node may still offer it.

    Those are the open ones, those of live tasks, and those of tasks that ended lately: their nodes may not
    have been told yet that they can forget them.
    """
    s = schema.stream.c
    wanted = (s.task, s.attempt, s.rank, s.type, s.next)
    live = select(_T.id).where(_T.status.in_(_LIVE))
    ended = (
        select(_T.id).where(_T.ended_at.is_not(None)).order_by(_T.ended_at.desc()).limit(LATELY).subquery()
    )
    found: dict[tuple[RunId, Stream], int] = {}
    for query in (
        select(*wanted).where(or_(s.closed == 0, s.task.in_(live))),
        select(*wanted).join(ended, ended.c.id == s.task),
    ):
        for task, attempt, rank, kind, offset in connection.execute(query):
            found[RunId(TaskId(task), attempt, rank), Stream(kind)] = offset
    return found


def _ended_dependencies(connection: Connection) -> dict[TaskId, bool]:
    waiting = schema.task.alias()
    query = (
        select(_T.id, _T.status)
        .join(schema.dependency, schema.dependency.c.needs == _T.id)
        .join(waiting, waiting.c.id == schema.dependency.c.task)
        .where(_T.ended_at.is_not(None), waiting.c.status.in_(_LIVE))
    )
    return {TaskId(found): status == TaskState.SUCCEEDED.value for found, status in connection.execute(query)}


def task(connection: Connection, task_id: TaskId) -> Task | None:
    row = connection.execute(select(*TASK_COLUMNS).where(_T.id == rows.plain(task_id))).one_or_none()
    return None if row is None else rows.task_of(row)


def find(connection: Connection, prefix: str) -> list[TaskId]:
    """At most FOUND ids that start with `prefix`, the newest tasks' first."""
    query = select(_T.id).order_by(_T.seq.desc()).limit(FOUND)
    if prefix:
        # A range, not LIKE: it uses the index on every database, whatever the prefix contains.
        query = query.where(_T.id >= rows.plain(prefix), _T.id < rows.plain(prefix) + "\U0010ffff")
    return [TaskId(found) for (found,) in connection.execute(query)]


def tasks(
    connection: Connection, query: TaskFilter, limit: int, before: int | None
) -> tuple[list[Task], int | None]:
    """Newest first; the second value is the cursor of the next page, None after the last."""
    statement = _filtered(select(*TASK_COLUMNS), query)
    if before is not None:
        statement = statement.where(_T.seq < before)
    found = connection.execute(statement.order_by(_T.seq.desc()).limit(limit + 1)).all()
    page = [rows.task_of(row) for row in found[:limit]]
    return page, page[-1].seq if len(found) > limit and page else None


def _filtered(statement: Select[Any], query: TaskFilter) -> Select[Any]:
    if query.states:
        statement = statement.where(_T.status.in_(query.states))
    if query.user is not None:
        statement = statement.where(_T.owner == rows.plain(query.user)[: schema.KEY])
    if query.kinds:
        statement = statement.where(_T.kind.in_(query.kinds))
    if query.text:
        text = rows.plain(query.text)
        statement = statement.where(
            or_(
                func.lower(_T.name).contains(text.lower(), autoescape=True),
                _T.name.contains(text, autoescape=True),  # SQLite lowers ASCII only
                _T.id.contains(text.lower(), autoescape=True),
            )
        )
    for name, value in query.labels:
        label = schema.label.c
        # Not a correlated EXISTS: that would look at every task for a label few of them have.
        having = select(label.task).where(label.name == rows.label(name), label.value == rows.label(value))
        statement = statement.where(_T.id.in_(having))
    return statement


def counts(connection: Connection) -> dict[str, int]:
    query = select(_T.status, func.count().label("number")).group_by(_T.status)
    return {row.status: row.number for row in connection.execute(query)}


def runs(connection: Connection, task_id: TaskId) -> list[Run]:
    """Of all attempts, in order."""
    r = schema.run.c
    query = select(schema.run).where(r.task == rows.plain(task_id)).order_by(r.attempt, r.rank)
    return [rows.run_of(row) for row in connection.execute(query)]


def records(
    connection: Connection, after: int, limit: int, task_id: TaskId | None, newest_first: bool
) -> list[tuple[int, Record]]:
    e = schema.event.c
    query = select(schema.event).limit(limit)
    if task_id is not None:
        query = query.where(e.task == rows.plain(task_id))
    if newest_first:
        query = query.order_by(e.seq.desc())
        if after:
            query = query.where(e.seq < after)
    else:
        query = query.where(e.seq > after).order_by(e.seq)
    return [rows.record_of(row) for row in connection.execute(query)]


def metrics(connection: Connection, task_id: TaskId, after: float, limit: int) -> list[Metric]:
    """In order of time. A page never ends between two of the same moment, so `after` loses none."""
    m = schema.metric.c
    columns = (m.task, m.attempt, m.rank, m.time, m.step, m.metrics)
    mine = select(*columns).where(m.task == rows.plain(task_id))
    query = mine.where(m.time > after).order_by(m.time, m.id).limit(limit)
    found: Sequence[Any] = connection.execute(query).all()
    if found and len(found) == limit:
        last = found[-1].time
        same = connection.execute(mine.where(m.time == last).order_by(m.id)).all()
        found = [row for row in found if row.time != last] + list(same)
    return [rows.metric_of(row) for row in found]


def idempotent(connection: Connection, key: str) -> tuple[str, TaskId] | None:
    i = schema.idempotency.c
    row = connection.execute(select(i.digest, i.task).where(i.name == short(key))).one_or_none()
    return None if row is None else (row.digest, TaskId(row.task))


def tokens(connection: Connection) -> list[TokenRow]:
    t = schema.token.c
    return [
        TokenRow(row.id, row.digest, row.owner, row.role, row.created_at, row.expires_at, row.label)
        for row in connection.execute(select(schema.token).order_by(t.created_at, t.id))
    ]


def put_token(connection: Connection, token: TokenRow) -> None:
    """Insert, or replace the one with this id."""
    drop_token(connection, token.id)
    connection.execute(
        schema.token.insert().values(
            id=token.id,
            digest=token.digest,
            owner=rows.plain(token.user),
            role=token.role,
            created_at=token.created_at,
            expires_at=token.expires_at,
            label=rows.plain(token.label),
        )
    )


def drop_token(connection: Connection, token_id: str) -> bool:
    done = connection.execute(schema.token.delete().where(schema.token.c.id == rows.plain(token_id)))
    return done.rowcount > 0
