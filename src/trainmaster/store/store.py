"""The `Store` port over SQLAlchemy: SQLite, PostgreSQL, MySQL and MariaDB."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

from sqlalchemy import Connection

from trainmaster.domain.history import Record
from trainmaster.domain.ids import NodeId, RunId, TaskId, TriggerId, UserName, WorkflowRunId
from trainmaster.domain.run import Run, Stream
from trainmaster.domain.sizing import Worked
from trainmaster.domain.task import Task
from trainmaster.domain.workflow import WorkflowSpec
from trainmaster.domain.workflow_run import PartEnd, WorkflowRun
from trainmaster.ports import (
    Batch,
    FiringRow,
    Loaded,
    LogPage,
    LogQuery,
    Metric,
    Past,
    TaskFilter,
    TokenRow,
    WorkflowRow,
)
from trainmaster.store import (
    log_bytes,
    log_pages,
    migrate,
    past,
    reader,
    retention,
    triggers,
    volume,
    workflows,
)
from trainmaster.store.alarms import SqlAlarms
from trainmaster.store.engine import connect
from trainmaster.store.replicas import SqlReplicas
from trainmaster.store.writer import Writer

# Ended tasks remembered to have their whole log stored.
_COMPLETE = 10_000


class SqlStore:
    """The truth, in one database.

    `url`: `sqlite:///file` (the folder must exist), `postgresql://user:password@host/name` or `mysql://…`.
    `timeout_s`: how long a server may take to answer before it counts as unavailable.

    Every method may raise StoreUnavailable (try again), StoreFull (make room) or StoreRefused (a defect);
    after the first two the same object works again as soon as the database does.
    """

    def __init__(self, url: str, *, timeout_s: float = 30.0) -> None:
        self._database = connect(url, timeout_s=timeout_s)
        self._writer = Writer(self._database.dialect)
        self._complete: dict[TaskId, None] = {}
        self.alarms = SqlAlarms(self._database)
        self.replicas = SqlReplicas(self._database)

    async def open(self) -> None:
        """Connect, and migrate to the newest schema."""
        await self._database.open()
        await self._database.write(migrate.upgrade)

    async def close(self) -> None:
        await self._database.close()

    def lead(self, token: int) -> None:
        """From now on `commit` raises Deposed once another leader has taken the scheduler's lease."""
        self._writer.token = token

    async def commit(self, batch: Batch) -> int:
        """Store the whole batch or nothing, durably. Returns the sequence number of its last record.

        A batch may be committed again after StoreUnavailable or StoreFull, which leave open whether it was
        stored: one that was is recognised by its id, and changes nothing. One without an id is given one.
        """
        if not batch.id:
            batch.id = uuid4().hex
        committed = await self._database.write(lambda c: self._writer.apply(c, batch), self._writer.done)
        return committed.seq

    async def load(self) -> Loaded:
        return await self._database.read(reader.load)

    async def task(self, task: TaskId) -> Task | None:
        return await self._database.read(lambda c: reader.task(c, task))

    async def find(self, prefix: str) -> list[TaskId]:
        return await self._database.read(lambda c: reader.find(c, prefix))

    async def tasks(
        self, query: TaskFilter, limit: int, before: int | None = None
    ) -> tuple[list[Task], int | None]:
        return await self._database.read(lambda c: reader.tasks(c, query, limit, before))

    async def counts(self) -> dict[str, int]:
        return await self._database.read(reader.counts)

    async def runs(self, task: TaskId) -> list[Run]:
        return await self._database.read(lambda c: reader.runs(c, task))

    async def records(
        self, after: int = 0, limit: int = 1000, task: TaskId | None = None, newest_first: bool = False
    ) -> list[tuple[int, Record]]:
        return await self._database.read(lambda c: reader.records(c, after, limit, task, newest_first))

    async def metrics(self, task: TaskId, after: float = 0.0, limit: int = 10_000) -> list[Metric]:
        return await self._database.read(lambda c: reader.metrics(c, task, after, limit))

    async def log_page(
        self,
        task: TaskId,
        query: LogQuery,
        limit: int,
        before: int | None = None,
        after: int | None = None,
    ) -> LogPage:
        complete = await self._all_there(task)
        return await log_pages.log_page(self._database, task, query, limit, before, after, complete)

    def log_bytes(self, task: TaskId, stream: Stream, attempt: int, rank: int) -> AsyncIterator[bytes]:
        return log_bytes.log_bytes(self._database, RunId(task, attempt, rank), stream)

    async def firings(
        self,
        trigger: TriggerId | None = None,
        *,
        since_ms: int | None = None,
        before_ms: int | None = None,
        outcomes: tuple[str, ...] = (),
        limit: int = 100,
    ) -> list[FiringRow]:
        return await self._database.read(
            lambda c: triggers.firings(c, trigger, since_ms, before_ms, outcomes, limit)
        )

    async def forgotten(self, trigger: TriggerId) -> tuple[int, int] | None:
        return await self._database.read(lambda c: triggers.forgotten(c, trigger))

    async def trigger_durations(self, trigger: TriggerId, limit: int) -> list[float]:
        return await self._database.read(lambda c: triggers.durations(c, trigger, limit))

    async def arrivals(self, after: int, slot_s: float) -> tuple[dict[int, int], int]:
        return await self._database.read(lambda c: volume.arrivals(c, after, slot_s))

    async def worked(self, since: float, until: float, most_s: float) -> Worked:
        return await self._database.read(lambda c: volume.worked(c, since, until, most_s))

    async def past(self, since: float, until: float, limit: int) -> list[Past]:
        return await self._database.read(lambda c: past.past(c, since, until, limit))

    async def put_workflow(self, spec: WorkflowSpec, owner: UserName, now: float) -> int:
        def put(connection: Connection) -> int:
            self._writer.check_lead(connection)
            return workflows.put(connection, spec, owner, now)

        return await self._database.write(put)

    async def workflow(self, name: str, version: int | None = None) -> WorkflowRow | None:
        return await self._database.read(lambda c: workflows.workflow(c, name, version))

    async def workflows(self, name: str | None = None) -> list[WorkflowRow]:
        return await self._database.read(lambda c: workflows.workflows(c, name))

    async def workflow_run(self, run: str) -> WorkflowRun | None:
        return await self._database.read(lambda c: workflows.run(c, run))

    async def find_workflow_runs(self, prefix: str) -> list[WorkflowRunId]:
        return await self._database.read(lambda c: workflows.find(c, prefix))

    async def workflow_runs(
        self, workflow: str | None, states: Sequence[str], limit: int, before: int | None = None
    ) -> tuple[list[WorkflowRun], int | None]:
        return await self._database.read(lambda c: workflows.runs(c, workflow, states, limit, before))

    async def parts(self, run: WorkflowRunId, stage: str | None = None) -> list[PartEnd]:
        return await self._database.read(lambda c: workflows.parts(c, [run], stage)[run])

    async def places(self, run: WorkflowRunId) -> dict[TaskId, NodeId]:
        return await self._database.read(lambda c: workflows.places(c, run))

    async def durations(self, workflow: str, runs: int) -> dict[str, tuple[float, int]]:
        return await self._database.read(lambda c: workflows.durations(c, workflow, runs))

    async def idempotent(self, key: str) -> tuple[str, TaskId] | None:
        return await self._database.read(lambda c: reader.idempotent(c, key))

    async def tokens(self) -> list[TokenRow]:
        return await self._database.read(reader.tokens)

    async def put_token(self, token: TokenRow) -> None:
        await self._database.write(lambda c: reader.put_token(c, token))

    async def drop_token(self, token_id: str) -> bool:
        return await self._database.write(lambda c: reader.drop_token(c, token_id))

    async def expire(
        self, *, tasks_before: float, records_before: float, logs_before: float, limit: int
    ) -> dict[str, int]:
        deleted = await self._database.write(
            lambda c: retention.expire(
                c,
                tasks_before=tasks_before,
                records_before=records_before,
                logs_before=logs_before,
                limit=limit,
            )
        )
        await self._database.write(retention.give_back)
        return deleted

    async def _all_there(self, task: TaskId) -> bool:
        """Asked before the page is read, so that a page that says so has the last lines."""
        if task not in self._complete:
            if not await self._database.read(lambda c: log_bytes.complete(c, task)):
                return False
            if len(self._complete) >= _COMPLETE:
                self._complete.pop(next(iter(self._complete)))
            self._complete[task] = None
        return True
