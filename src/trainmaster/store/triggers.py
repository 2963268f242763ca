"""Triggers and firings as rows, and questions about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from trainmaster.domain.firing import Cause, Firing, FiringOutcome, Trigger
from trainmaster.domain.ids import TaskId, TriggerId, UserName, WorkflowRunId
from trainmaster.ports import FiringRow
from trainmaster.store import schema
from trainmaster.store.rows import Row, plain
from trainmaster.store.schema import KEY

_encode = json.JSONEncoder(separators=(",", ":")).encode
_PART = 500


def trigger_row(trigger: Trigger) -> Row:
    """All columns of `time_trigger`."""
    return (
        trigger.id,
        plain(trigger.name),
        plain(trigger.user)[:KEY],
        int(trigger.paused),
        trigger.next_ms,
        trigger.last_ms,
        trigger.missed,
        _encode(trigger.definition()),
    )


def trigger_of(row: Sequence[Any]) -> Trigger:
    trigger, name, owner, paused, next_ms, last_ms, missed, definition = row
    return Trigger.defined(
        json.loads(definition),
        id=TriggerId(trigger),
        name=name,
        user=UserName(owner),
        paused=bool(paused),
        next_ms=next_ms,
        last_ms=last_ms,
        missed=missed,
    )


def firing_row(firing: Firing) -> Row:
    """All columns of `firing`."""
    return (
        firing.trigger,
        firing.due_ms,
        firing.outcome.value,
        firing.cause.value,
        firing.decided_at,
        firing.task,
        plain(firing.reason),
        firing.run,
    )


def firing_of(row: Sequence[Any]) -> Firing:
    trigger, due_ms, outcome, cause, decided_at, task, reason, run = row
    return Firing(
        TriggerId(trigger),
        due_ms,
        FiringOutcome(outcome),
        decided_at,
        Cause(cause),
        None if task is None else TaskId(task),
        reason,
        None if run is None else WorkflowRunId(run),
    )


def load_triggers(connection: Connection) -> list[Trigger]:
    t = schema.time_trigger
    return [trigger_of(row) for row in connection.execute(select(t).order_by(t.c.id))]


def load_waiting(connection: Connection) -> list[Firing]:
    """Firings that the overlap policy holds."""
    f = schema.firing.c
    query = select(schema.firing).where(f.outcome == FiringOutcome.WAITING.value)
    return [firing_of(row) for row in connection.execute(query.order_by(f.decided_at, f.due_ms))]


def firings(
    connection: Connection,
    trigger: TriggerId | None,
    since_ms: int | None,
    before_ms: int | None,
    outcomes: tuple[str, ...],
    limit: int,
) -> list[FiringRow]:
    """The latest first, due at `since_ms` or later and before `before_ms`."""
    f, t, w = schema.firing.c, schema.task.c, schema.workflow_run.c
    how = (
        func.coalesce(t.status, w.status),
        func.coalesce(t.first_started_at, w.begun_at),
        func.coalesce(t.ended_at, w.ended_at),
    )
    query = select(*schema.firing.columns, *how)
    query = query.outerjoin(schema.task, t.id == f.task)
    query = query.outerjoin(schema.workflow_run, w.id == f.workflow_run)
    query = query.order_by(f.due_ms.desc(), f.trigger_id).limit(limit)
    if trigger is not None:
        query = query.where(f.trigger_id == plain(trigger))
    if since_ms is not None:
        query = query.where(f.due_ms >= since_ms)
    if before_ms is not None:
        query = query.where(f.due_ms < before_ms)
    if outcomes:
        query = query.where(f.outcome.in_(outcomes))
    return [FiringRow(firing_of(row[:-3]), *row[-3:]) for row in connection.execute(query)]


def durations(connection: Connection, trigger: TriggerId, limit: int) -> list[float]:
    """Seconds that the latest tasks of a trigger ran which ended well."""
    f, t = schema.firing.c, schema.task.c
    query = (
        select(t.ran_s)
        .join(schema.firing, f.task == t.id)
        .where(f.trigger_id == plain(trigger), t.status == "SUCCEEDED")
        .order_by(f.due_ms.desc())
        .limit(limit)
    )
    return [ran_s for (ran_s,) in connection.execute(query)]


def drop_triggers(connection: Connection, triggers: Sequence[TriggerId]) -> None:
    """Their firings stay as history."""
    t, g = schema.time_trigger, schema.forgotten
    for begin in range(0, len(triggers), _PART):
        part = list(triggers[begin : begin + _PART])
        connection.execute(t.delete().where(t.c.id.in_(part)))
        connection.execute(g.delete().where(g.c.trigger_id.in_(part)))


def forget(connection: Connection, trigger: TriggerId, first_ms: int, last_ms: int) -> None:
    """Firings due from `first_ms` to `last_ms` are deleted: remember that there were some, while the trigger
    is there."""
    t, g = schema.time_trigger.c, schema.forgotten
    known = forgotten(connection, trigger)
    if known is not None:
        both = {"first_ms": min(first_ms, known[0]), "last_ms": max(last_ms, known[1])}
        connection.execute(g.update().where(g.c.trigger_id == trigger).values(**both))
    elif connection.execute(select(t.id).where(t.id == trigger)).one_or_none() is not None:
        connection.execute(g.insert().values(trigger_id=trigger, first_ms=first_ms, last_ms=last_ms))


def forgotten(connection: Connection, trigger: TriggerId) -> tuple[int, int] | None:
    """The first and the last due time of the firings that are not kept any more."""
    g = schema.forgotten.c
    found = connection.execute(select(g.first_ms, g.last_ms).where(g.trigger_id == plain(trigger)))
    row = found.one_or_none()
    return None if row is None else (row.first_ms, row.last_ms)
