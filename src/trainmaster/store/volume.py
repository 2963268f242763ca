"""How much work came, and how much was done: what sizing asks the database for."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, and_, case, cast, func, select

from trainmaster.domain.sizing import Done, Worked
from trainmaster.domain.units import Resources
from trainmaster.store import schema

_T, _R = schema.task.c, schema.run.c


def arrivals(connection: Connection, after: int, slot_s: float) -> tuple[dict[int, int], int]:
    """Submissions by slot of the tasks with a seq above `after`, and the largest seq (or `after`)."""
    slot = _whole(connection, _T.submitted_at / slot_s).label("slot")
    query = (
        select(slot, func.count().label("number"), func.max(_T.seq).label("last"))
        .where(_T.seq > after)
        .group_by(slot)
    )
    found = connection.execute(query).all()
    return {int(row.slot): row.number for row in found}, max((row.last for row in found), default=after)


def worked(connection: Connection, since: float, until: float, most_s: float) -> Worked:
    """Tasks that had started and ended in [since, until), with the workers of all their attempts."""
    ended = and_(_T.ended_at >= since, _T.ended_at < until, _T.first_started_at.is_not(None))
    tasks = connection.execute(select(func.count()).select_from(schema.task).where(ended)).scalar() or 0
    if not tasks:
        return Worked(0)
    ran = _R.ended_at - _R.started_at
    seconds = func.sum(case((ran > most_s, most_s), (ran < 0, 0.0), else_=ran))
    shape = (_R.cpu_m, _R.memory, _R.gpus, _R.lanes)
    query = (
        select(*shape, func.count().label("workers"), seconds.label("seconds"))
        .join(schema.task, _T.id == _R.task)
        .where(ended, _R.started_at.is_not(None), _R.ended_at.is_not(None))
        .group_by(*shape)
    )
    done = tuple(
        Done(Resources(row.cpu_m, row.memory, row.gpus, row.lanes), row.workers, float(row.seconds))
        for row in connection.execute(query)
    )
    return Worked(tasks, done)


def _whole(connection: Connection, number: ColumnElement[Any]) -> ColumnElement[Any]:
    """Rounded down. SQLite may be built without floor(), but its cast does that to positive numbers."""
    return cast(number, BigInteger) if connection.dialect.name == "sqlite" else func.floor(number)
