"""Tasks as they were: what a replay of the history asks the database for."""

from __future__ import annotations

from sqlalchemy import Connection, exists, func, or_, select

from trainmaster.domain.history import RecordKind
from trainmaster.domain.run import Run
from trainmaster.ports import Past
from trainmaster.store import rows, schema
from trainmaster.store.reader import TASK_COLUMNS

_T, _R, _E = schema.task.c, schema.run.c, schema.event.c
_PART = 500  # ids in one statement


def past(connection: Connection, since: float, until: float, limit: int) -> list[Past]:
    """The tasks that were there at some time in [since, until), in order of submission; of more than `limit`
    the newest."""
    there = (_T.submitted_at < until, or_(_T.ended_at.is_(None), _T.ended_at >= since))
    query = select(*TASK_COLUMNS).where(*there).order_by(_T.seq.desc()).limit(limit)
    tasks = [rows.task_of(row) for row in connection.execute(query)][::-1]
    runs: dict[str, list[Run]] = {task.id: [] for task in tasks}
    generations: dict[str, int] = {}
    reported: set[str] = set()
    for begin in range(0, len(tasks), _PART):
        ids = [task.id for task in tasks[begin : begin + _PART]]
        found = select(schema.run).where(_R.task.in_(ids)).order_by(_R.task, _R.attempt, _R.rank)
        for row in connection.execute(found):
            run = rows.run_of(row)
            runs[run.id.task].append(run)
        told = exists().where(schema.metric.c.task == _T.id)
        reported.update(task for (task,) in connection.execute(select(_T.id).where(_T.id.in_(ids), told)))
        elastic = [task.id for task in tasks[begin : begin + _PART] if task.spec.elastic]
        if elastic:
            regrouped = _E.kind == RecordKind.TASK_REGROUPED.value
            counts = select(_E.task, func.count()).where(_E.task.in_(elastic), regrouped).group_by(_E.task)
            generations.update((task, count) for task, count in connection.execute(counts))
    return [
        Past(task, tuple(runs[task.id]), generations.get(task.id, 0), task.id in reported) for task in tasks
    ]
