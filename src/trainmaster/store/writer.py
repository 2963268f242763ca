"""Store a batch in one transaction, with one statement per table it touches."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Dialect

from trainmaster.domain.errors import Deposed, StoreUnavailable
from trainmaster.domain.run import LogChunk, Stream
from trainmaster.ports import Batch
from trainmaster.store import rows, schema, workflows
from trainmaster.store.log_rows import StreamState, absorb, as_text
from trainmaster.store.statements import Row, Statements
from trainmaster.store.triggers import drop_triggers, firing_row, trigger_row

# Batches remembered, to recognise one that is committed again because its outcome was unknown.
RECENT = 16
# Open streams whose state is kept in memory between commits.
CACHED_STREAMS = 20_000
_LOOKUP = 200

StreamKey = tuple[str, str]  # run, type


@dataclass(slots=True)
class Committed:
    """What a transaction wrote: the last record, the version of the ledger, the streams as they are now."""

    seq: int
    version: int = 0
    streams: dict[StreamKey, StreamState] = field(default_factory=dict)


class Writer:
    """Turns batches into rows. `apply` runs inside a transaction; `done` is called once that is durable.

    A batch with an `id` is stored once: the ledger row remembers the latest ids, and is written by the same
    transaction. The row is also locked by it, so writers in other processes wait, and record numbers grow in
    the order of commits.
    """

    def __init__(self, dialect: Dialect) -> None:
        make = Statements(dialect)
        self._new_tasks = make.insert(schema.task)
        self._tasks = make.update(schema.task, rows.TASK_CHANGES)
        self._labels = make.insert(schema.label)
        self._dependencies = make.insert(schema.dependency)
        self._runs = make.upsert(schema.run)
        self._events = make.insert(schema.event)
        self._nodes = make.upsert(schema.node)
        self._quotas = make.upsert(schema.quota)
        self._settings = make.upsert(schema.setting)
        self._idempotency = make.insert(schema.idempotency)
        self._workflow_runs = make.upsert(schema.workflow_run)
        self._metrics = make.insert(schema.metric)
        self._log = make.insert(schema.log)
        self._streams = make.upsert(schema.stream)
        self._triggers = make.upsert(schema.time_trigger)
        self._firings = make.upsert(schema.firing)
        self._ledger = make.update(schema.ledger, ("version", "event_seq", "log_id", "recent"))
        lock = "" if make.kind == "sqlite" else " FOR UPDATE"
        self._lock = f"SELECT version, event_seq, log_id, recent, fence FROM ledger WHERE id = 1{lock}"
        self.token: int | None = None  # of the lease this writer commits under; None: nobody else writes
        self._mark = {"sqlite": "?", "mysql": "%s"}.get(make.kind, "$")
        self._cache: dict[StreamKey, StreamState] = {}
        self._cached_version = -1

    def apply(self, connection: Connection, batch: Batch) -> Committed:
        """Write everything; the caller's transaction makes it all or nothing."""
        ledger = connection.exec_driver_sql(self._lock).one_or_none()
        if ledger is None:
            raise StoreUnavailable("the database has no tables yet", remedy="open the store first")
        version, seq, log_id, recent_text, fence = ledger
        self._must_lead(fence)
        recent: list[list[Any]] = json.loads(recent_text)
        if batch.id:
            for known, its_seq in recent:
                if known == batch.id:
                    return Committed(its_seq)
        self._write_tasks(connection, batch)
        self._runs.run(connection, [rows.run_row(r) for r in {r.id: r for r in batch.runs}.values()])
        self._events.run(
            connection, [rows.record_row(seq + n, record) for n, record in enumerate(batch.records, 1)]
        )
        seq += len(batch.records)
        self._write_rest(connection, batch)
        streams: dict[StreamKey, StreamState] = {}
        if batch.logs:
            if version != self._cached_version:
                self._cache.clear()
            log_id, streams = self._write_logs(connection, batch.logs, log_id)
        if batch.id:
            recent = [[batch.id, seq], *recent[: RECENT - 1]]
        self._ledger.run(connection, [(version + 1, seq, log_id, json.dumps(recent), 1)])
        return Committed(seq, version + 1, streams)

    def check_lead(self, connection: Connection) -> None:
        """Raise Deposed, for what a leader writes besides batches."""
        if self.token is not None:
            self._must_lead(connection.exec_driver_sql(self._lock).one()[-1])

    def _must_lead(self, fence: int) -> None:
        """`fence`: as this transaction reads it, under a lock that whoever takes the lease needs, too."""
        if self.token is not None and fence != self.token:
            raise Deposed(f"leader {fence} has followed leader {self.token}", token=self.token, latest=fence)

    def done(self, committed: Committed) -> None:
        """The transaction is durable: remember the streams it moved."""
        if not committed.version:
            return
        if committed.version != self._cached_version + 1 or len(self._cache) > CACHED_STREAMS:
            self._cache.clear()
        for key, state in committed.streams.items():
            if state.closed:
                self._cache.pop(key, None)
            else:
                self._cache[key] = state
        self._cached_version = committed.version

    def _write_tasks(self, connection: Connection, batch: Batch) -> None:
        if batch.new_tasks:
            new = {task.id: task for task in batch.new_tasks}
            new.update((task.id, task) for task in batch.tasks if task.id in new)
            self._new_tasks.run(connection, [rows.task_row(t) for t in new.values()])
            self._labels.run(connection, [row for t in new.values() for row in rows.label_rows(t)])
            self._dependencies.run(connection, [row for t in new.values() for row in rows.dependency_rows(t)])
            changed = {task.id: task for task in batch.tasks if task.id not in new}
        else:
            changed = {task.id: task for task in batch.tasks}
        self._tasks.run(connection, [rows.task_changes(t) for t in changed.values()])

    def _write_rest(self, connection: Connection, batch: Batch) -> None:
        if batch.nodes:
            self._nodes.run(connection, [rows.node_row(n) for n in {n.id: n for n in batch.nodes}.values()])
        if batch.quotas:
            quotas = {q.user: q for q in batch.quotas}
            self._quotas.run(connection, [rows.quota_row(q) for q in quotas.values()])
        if batch.triggers:
            self._triggers.run(
                connection, [trigger_row(t) for t in {t.id: t for t in batch.triggers}.values()]
            )
        if batch.firings:
            kept = {(f.trigger, f.due_ms): f for f in batch.firings}
            self._firings.run(connection, [firing_row(f) for f in kept.values()])
        if batch.dropped_triggers:
            drop_triggers(connection, batch.dropped_triggers)
        if batch.settings:
            self._settings.run(connection, [(k, rows.plain(v)) for k, v in batch.settings.items()])
        if batch.idempotency:
            self._idempotency.run(connection, [(short(k), d, t) for k, d, t in batch.idempotency])
        if batch.workflow_runs:
            runs = {run.id: run for run in batch.workflow_runs}
            self._workflow_runs.run(connection, [workflows.run_row(run) for run in runs.values()])
        if batch.metrics:
            self._metrics.run(connection, [rows.metric_row(m) for m in batch.metrics])

    def _write_logs(
        self, connection: Connection, chunks: list[LogChunk], log_id: int
    ) -> tuple[int, dict[StreamKey, StreamState]]:
        """Rows in order of the streams' first chunks, then each stream's new state."""
        by_stream: dict[StreamKey, list[LogChunk]] = {}
        for chunk in chunks:
            by_stream.setdefault((str(chunk.run), chunk.stream.value), []).append(chunk)
        before = self._states(connection, by_stream)
        log_rows: list[Row] = []
        stream_rows: list[Row] = []
        after: dict[StreamKey, StreamState] = {}
        for key, its_chunks in by_stream.items():
            run_text, kind = key
            run = its_chunks[0].run
            old = before.get(key)
            new, found = absorb(old or StreamState(), its_chunks, keep=kind != Stream.PROGRESS.value)
            for row in found:
                log_id += 1
                content, raw = as_text(row.data)
                place = (kind, run.task, run.attempt, run.rank, run_text, row.start, len(row.data))
                shape = (row.lines, int(row.follows), int(row.goes_on))
                log_rows.append((log_id, row.time, *place, *shape, content, raw))
            if new != old:
                after[key] = new
                state = (new.next, new.tail, int(new.follows), new.time, int(new.closed))
                stream_rows.append((run_text, kind, run.task, run.attempt, run.rank, *state))
        self._log.run(connection, log_rows)
        self._streams.run(connection, stream_rows)
        return log_id, after

    def _states(
        self, connection: Connection, wanted: dict[StreamKey, list[LogChunk]]
    ) -> dict[StreamKey, StreamState]:
        """The present state of streams, from memory or the table."""
        found = {key: self._cache[key] for key in wanted if key in self._cache}
        runs = list(dict.fromkeys(run for run, kind in wanted if (run, kind) not in found))
        for begin in range(0, len(runs), _LOOKUP):
            part = runs[begin : begin + _LOOKUP]
            marks = ", ".join(f"${n + 1}" if self._mark == "$" else self._mark for n in range(len(part)))
            sql = f"SELECT run, type, next, tail, follows, time, closed FROM stream WHERE run IN ({marks})"
            if self._mark == "%s":
                sql = sql.replace(" next,", " `next`,")
            for run, kind, offset, tail, follows, time, closed in connection.exec_driver_sql(
                sql, tuple(part)
            ):
                found[run, kind] = StreamState(offset, bytes(tail), bool(follows), time, bool(closed))
        return found


def short(key: str) -> str:
    """An idempotency key as it is stored: a digest if it is too long for the column."""
    text = rows.plain(key)
    # MySQL compares without spaces at the end.
    if len(text) <= schema.KEY and text == key == key.rstrip(" "):
        return key
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
