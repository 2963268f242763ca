"""Whole streams as they were written, and the question whether a task's log is all there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from sqlalchemy import Connection, select

from trainmaster.domain.ids import RunId, TaskId
from trainmaster.domain.run import RunState, Stream
from trainmaster.domain.task import TaskKind
from trainmaster.store import rows, schema
from trainmaster.store.database import Database

BITE_ROWS = 16

_L = schema.log.c
_S = schema.stream.c


async def log_bytes(database: Database, run: RunId, stream: Stream) -> AsyncIterator[bytes]:
    """The bytes of one stream from what is kept of its beginning to the latest, the unfinished line too.

    Memory is bounded by BITE_ROWS rows. What arrives meanwhile is given as well, never with a gap.
    """
    run_text = rows.plain(str(run))
    last_row, offset = 0, -1
    while True:
        found, tail, tail_start = await database.read(partial(_next_rows, run_text, stream, last_row))
        for row_id, start, data in found:
            last_row, offset = row_id, start + len(data)
            yield data
        if len(found) < BITE_ROWS:
            # The tail was read before the rows: if they have grown by then, they hold bytes of it already.
            rest = tail[max(offset - tail_start, 0) :]
            if rest:
                yield rest
            return


def _next_rows(
    run: str, stream: Stream, after: int, connection: Connection
) -> tuple[list[tuple[int, int, bytes]], bytes, int]:
    """The next rows as (id, start, bytes), then the stream's tail and its offset."""
    state = connection.execute(
        select(_S.tail, _S.next).where(_S.run == run, _S.type == stream.value)
    ).one_or_none()
    statement = (
        select(_L.id, _L.start, _L.content, _L.raw)
        .where(_L.run == run, _L.type == stream.value, _L.id > after)
        .order_by(_L.id)
        .limit(BITE_ROWS)
    )
    found = [
        (row_id, start, content.encode() if raw is None else bytes(raw))
        for row_id, start, content, raw in connection.execute(statement)
    ]
    tail = b"" if state is None else bytes(state.tail)
    return found, tail, 0 if state is None else state.next - len(tail)


def complete(connection: Connection, task_id: TaskId) -> bool:
    """True if nothing more can be added to the task's log.

    The task has ended; no stream of a run is open (PROGRESS aside, and aside from runs that were lost, of
    which nobody can bring more); and each process or container run that began has closed its streams, be
    they empty: STDOUT and STDERR, or RAW alone. Function runs need none, nor do runs that never began.
    """
    task = connection.execute(
        select(schema.task.c.ended_at, schema.task.c.kind).where(schema.task.c.id == rows.plain(task_id))
    ).one_or_none()
    if task is None or task.ended_at is None:
        return False
    streams: dict[str, dict[str, bool]] = {}
    query = select(_S.run, _S.type, _S.closed).where(
        _S.task == rows.plain(task_id), _S.type != Stream.PROGRESS.value
    )
    for run, kind, closed in connection.execute(query):
        streams.setdefault(run, {})[kind] = bool(closed)
    r = schema.run.c
    for run, status, started_at in connection.execute(
        select(r.id, r.status, r.started_at).where(r.task == rows.plain(task_id))
    ):
        if status == RunState.LOST.value:
            continue
        its = streams.get(run, {})
        if not all(its.values()):
            return False
        if task.kind == TaskKind.FUNCTION.value or started_at is None:
            continue
        if Stream.RAW.value not in its and not {Stream.STDOUT.value, Stream.STDERR.value} <= its.keys():
            return False
    return True
