"""Deleting what is old, a bounded bite at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Table, exists, select

from trainmaster.domain.firing import FiringOutcome
from trainmaster.domain.ids import TriggerId
from trainmaster.domain.lifecycle import ENDED, TaskState
from trainmaster.store import schema
from trainmaster.store.triggers import forget

# Ids in one statement.
_PART = 500
_TASKS_AT_ONCE = 20
# One bite of logs: 8 MB at most, so that nobody waits long for it.
_LOG_ROWS = 125
# Pages SQLite gives back to the file system after a bite (4 KiB each).
_PAGES = 2000

_LIVE = tuple(state.value for state in TaskState if state not in ENDED)
_OWNED = (
    schema.label,
    schema.dependency,
    schema.run,
    schema.event,
    schema.stream,
    schema.metric,
    schema.idempotency,
)


def expire(
    connection: Connection, *, tasks_before: float, records_before: float, logs_before: float, limit: int
) -> dict[str, int]:
    """Delete at most `limit` of each: ended tasks with all they own, workflow runs, records, firings, log
    rows. Counts by kind.

    Log rows, of up to 64 KB each, go at most _LOG_ROWS at a time for the tasks and as many besides. Call it
    again until it finds nothing. A task that a live task still depends on stays. Of a live task only old
    records and log rows go.
    """
    tasks, log_rows = _tasks(connection, tasks_before, limit)
    return {
        "tasks": tasks,
        "runs": _workflow_runs(connection, tasks_before, limit),
        "records": _oldest(connection, schema.event, records_before, limit),
        "firings": _firings(connection, records_before, limit),
        "logs": log_rows + _logs(connection, logs_before, min(limit, _LOG_ROWS)),
    }


def _tasks(connection: Connection, before: float, limit: int) -> tuple[int, int]:
    """(tasks, log rows) deleted. A task whose log is long goes bite by bite, itself with the last."""
    t, g = schema.task.c, schema.log.c
    waiting = schema.task.alias()
    needed = exists().where(
        schema.dependency.c.needs == t.id,
        schema.dependency.c.task == waiting.c.id,
        waiting.c.status.in_(_LIVE),
    )
    w = schema.workflow_run.c
    going_on = exists().where(w.id == t.workflow_run, w.ended_at.is_(None))
    query = select(t.id).where(t.ended_at < before, ~needed, ~going_on).order_by(t.ended_at).limit(limit)
    ids = [found for (found,) in connection.execute(query)]
    gone, log_rows = 0, 0
    for part in _parts(ids, _TASKS_AT_ONCE):
        rows = select(g.id).where(g.task.in_(part)).limit(_LOG_ROWS - log_rows + 1)
        found = [row_id for (row_id,) in connection.execute(rows)][: _LOG_ROWS - log_rows]
        for some in _parts(found):
            connection.execute(schema.log.delete().where(g.id.in_(some)))
        log_rows += len(found)
        if log_rows >= _LOG_ROWS:
            break
        for table in _OWNED:
            connection.execute(table.delete().where(table.c.task.in_(part)))
        connection.execute(schema.task.delete().where(t.id.in_(part)))
        gone += len(part)
    return gone, log_rows


def _workflow_runs(connection: Connection, before: float, limit: int) -> int:
    """Those that ended long ago, once their tasks are gone."""
    w, t = schema.workflow_run.c, schema.task.c
    has_tasks = exists().where(t.workflow_run == w.id)
    query = select(w.id).where(w.ended_at < before, ~has_tasks).order_by(w.seq).limit(limit)
    ids = [found for (found,) in connection.execute(query)]
    for part in _parts(ids):
        connection.execute(schema.workflow_run.delete().where(w.id.in_(part)))
        connection.execute(schema.idempotency.delete().where(schema.idempotency.c.task.in_(part)))
    return len(ids)


def _oldest(connection: Connection, table: Table, before: float, limit: int) -> int:
    """Records are numbered in order of time, so only the oldest need looking at."""
    e = table.c
    oldest = connection.execute(select(e.seq, e.time).order_by(e.seq).limit(limit)).all()
    ids = [seq for seq, time in oldest if time < before]
    for part in _parts(ids):
        connection.execute(table.delete().where(e.seq.in_(part)))
    return len(ids)


def _firings(connection: Connection, before: float, limit: int) -> int:
    """A firing goes with the records of its day; one that waits stays. What fired is remembered by a range of
    due times, so that no back-fill can fire it again."""
    f = schema.firing.c
    old = select(f.trigger_id, f.due_ms, f.outcome).where(
        f.decided_at < before, f.outcome != FiringOutcome.WAITING.value
    )
    keys = connection.execute(old.order_by(f.decided_at).limit(limit)).all()
    by_trigger: dict[str, list[int]] = {}
    fired: dict[str, list[int]] = {}
    for trigger, due_ms, outcome in keys:
        by_trigger.setdefault(trigger, []).append(due_ms)
        if outcome == FiringOutcome.FIRED.value:
            fired.setdefault(trigger, []).append(due_ms)
    for trigger, dues in by_trigger.items():
        for part in _parts(dues):
            connection.execute(schema.firing.delete().where(f.trigger_id == trigger, f.due_ms.in_(part)))
    for trigger, dues in fired.items():
        forget(connection, TriggerId(trigger), min(dues), max(dues))
    return len(keys)


def _logs(connection: Connection, before: float, limit: int) -> int:
    g = schema.log.c
    query = select(g.id).where(g.time < before).order_by(g.time).limit(limit)
    ids = [found for (found,) in connection.execute(query)]
    for part in _parts(ids):
        connection.execute(schema.log.delete().where(g.id.in_(part)))
    return len(ids)


def give_back(connection: Connection) -> None:
    """SQLite: return free pages to the file system, a bounded number."""
    if connection.dialect.name == "sqlite":
        raw: Any = connection.connection.driver_connection
        # Each step of this statement frees one page, and `execute` takes only the first. (`executescript`
        # ends the transaction, in which nothing has happened.)
        raw.executescript(f"PRAGMA incremental_vacuum({_PAGES})")


def _parts(ids: list[Any], size: int = _PART) -> Iterable[list[Any]]:
    for begin in range(0, len(ids), size):
        yield ids[begin : begin + size]
