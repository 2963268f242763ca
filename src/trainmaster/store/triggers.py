"""Triggers and firings as rows, and questions about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from trainmaster.domain.firing import Cause, Firing, FiringOutcome, Trigger
from trainmaster.domain.ids import TaskId, TriggerId, UserName
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
    )


def firing_of(row: Sequence[Any]) -> Firing:
    trigger, due_ms, outcome, cause, decided_at, task, reason = row
    return Firing(
        TriggerId(trigger),
        due_ms,
        FiringOutcome(outcome),
        decided_at,
        Cause(cause),
        None if task is None else TaskId(task),
        reason,
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
    f, t = schema.firing.c, schema.task.c
    columns = (*schema.firing.columns, t.status, t.first_started_at, t.ended_at)
    query = select(*columns).outerjoin(schema.task, t.id == f.task)
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
    for begin in range(0, len(triggers), _PART):
        part = list(triggers[begin : begin + _PART])
        connection.execute(schema.time_trigger.delete().where(schema.time_trigger.c.id.in_(part)))
