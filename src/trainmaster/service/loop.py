"""The single writer. Events come in, `scheduler.step` decides, one transaction records, then commands leave.

While a transaction is on its way to the disk the next events gather, so the batch grows with the load and
durability does not cost throughput.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from trainmaster.domain.commands import Command, ForNode, MakePlan
from trainmaster.domain.errors import Deposed, StoreFull, StoreUnavailable, TrainmasterError
from trainmaster.domain.events import Event
from trainmaster.domain.ids import TaskId, WorkflowRunId
from trainmaster.domain.run import LogChunk
from trainmaster.ports import Batch, Bus, Clock, Metric, Store
from trainmaster.scheduler.state import Outcome, State
from trainmaster.scheduler.step import step
from trainmaster.service.dispatch import Dispatch

log = structlog.get_logger(__name__)

_MAX_EVENTS = 2000  # of one step: keeps a decision short and a transaction small
_REFUSE_AFTER_S = 2.0  # with the store away this long, new requests are refused instead of kept waiting
_ANSWER_WITHIN_S = 10.0  # a request whose transaction hangs is answered "unknown outcome" after this
_RETRY_FIRST_S, _RETRY_MOST_S = 0.05, 1.0


@dataclass(slots=True)
class Entry:
    """Something to be decided and recorded together: all of it durable, or none."""

    events: Sequence[Event]
    done: asyncio.Future[list[TrainmasterError | None]]
    logs: Sequence[LogChunk] = ()
    metrics: Sequence[Metric] = ()
    idempotency: tuple[str, str, TaskId] | None = None
    request: bool = False


@dataclass(slots=True)
class Loop:
    """`run` until cancelled. Nothing else may touch `state`."""

    state: State
    store: Store
    clock: Clock
    dispatch: Dispatch
    bus: Bus
    incarnation: str  # makes the ids of batches differ from those of every earlier life
    make_plan: Callable[[WorkflowRunId], None] = lambda run: None  # begins to, and returns at once
    trouble: TrainmasterError | None = None
    steps: int = 0
    _inbox: list[Entry] = field(default_factory=list)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _trouble_since: float = 0.0

    async def request(
        self, events: Sequence[Event], idempotency: tuple[str, str, TaskId] | None = None
    ) -> list[TrainmasterError | None]:
        """Decide and record requests of users; one answer each, None for accepted.

        Raises StoreUnavailable or StoreFull when the store is away: at once if nothing was decided yet, else
        after a wait, with the outcome unknown (the idempotency key settles it).
        """
        if self.trouble is not None and self.clock.now() - self._trouble_since > _REFUSE_AFTER_S:
            raise self.trouble
        done = self._put(Entry(events, asyncio.get_running_loop().create_future(), request=True))
        if idempotency is not None:
            self._inbox[-1].idempotency = idempotency
        try:
            return await asyncio.wait_for(asyncio.shield(done), _ANSWER_WITHIN_S)
        except TimeoutError:
            done.add_done_callback(lambda future: future.exception())
            raise StoreUnavailable(
                "the request was taken but is not recorded yet: its outcome is unknown",
            ) from self.trouble

    async def deliver(
        self, events: Sequence[Event], logs: Sequence[LogChunk] = (), metrics: Sequence[Metric] = ()
    ) -> None:
        """Decide and record news of nodes. Returns once durable, however long that takes."""
        await self._put(Entry(events, asyncio.get_running_loop().create_future(), logs, metrics))

    def _put(self, entry: Entry) -> asyncio.Future[list[TrainmasterError | None]]:
        self._inbox.append(entry)
        self._wake.set()
        return entry.done

    async def run(self) -> None:
        """Raises Deposed once another process leads; what was asked meanwhile is answered with it, too."""
        outcome = Outcome(again=True)
        entries: list[Entry] = []
        try:
            while True:
                await self._rest(outcome)
                entries = self._take()
                outcome = await self._turn(entries)
        except Deposed as error:
            self.trouble, self._trouble_since = error, 0.0
            for entry in [*entries, *self._inbox]:
                if not entry.done.done():
                    entry.done.set_exception(error)
                    entry.done.exception()  # whoever asked may be gone
            raise

    async def _rest(self, last: Outcome) -> None:
        """Until there is news or a timer is due."""
        if last.again:
            await asyncio.sleep(0)  # a step that had nothing to record has let nobody else in
        if last.again or self._inbox:
            return
        timeout = None if last.wake_at is None else max(last.wake_at - self.clock.now(), 0.0)
        try:
            await asyncio.wait_for(self._wake.wait(), timeout)
        except TimeoutError:
            pass

    def _take(self) -> list[Entry]:
        taken: list[Entry] = []
        count = 0
        while self._inbox and (not taken or count + len(self._inbox[0].events) <= _MAX_EVENTS):
            entry = self._inbox.pop(0)
            count += len(entry.events)
            taken.append(entry)
        if not self._inbox:
            self._wake.clear()
        return taken

    async def _turn(self, entries: list[Entry]) -> Outcome:
        now = self.clock.now()
        events = [event for entry in entries for event in entry.events]
        outcome = step(self.state, events, now)
        self.steps += 1
        batch = as_batch(outcome)
        batch.id = f"{self.incarnation}-{self.steps}"
        for entry in entries:
            batch.logs.extend(entry.logs)
            batch.metrics.extend(entry.metrics)
            if entry.idempotency is not None and (
                entry.idempotency[2] in outcome.new_tasks or entry.idempotency[2] in outcome.workflow_runs
            ):
                batch.idempotency.append(entry.idempotency)
        if not batch.empty():
            last = await self._commit(batch)
            await self._tell(batch, last)
        self._answer(entries, outcome)
        self._send(outcome.commands)
        return outcome

    async def _commit(self, batch: Batch) -> int:
        """Until it is stored. The decision is made; only its record is late, so nothing may overtake it."""
        wait = _RETRY_FIRST_S
        while True:
            try:
                last = await self.store.commit(batch)
            except (StoreUnavailable, StoreFull) as error:
                if self.trouble is None:
                    self._trouble_since = self.clock.now()
                    log.error("store is away", error=error.message, code=error.code)
                self.trouble = error
                self._refuse_new(error)
                await asyncio.sleep(wait)
                wait = min(wait * 2, _RETRY_MOST_S)
            else:
                if self.trouble is not None:
                    log.info("store is back", away_s=round(self.clock.now() - self._trouble_since, 1))
                self.trouble = None
                return last

    def _refuse_new(self, error: TrainmasterError) -> None:
        """Requests nobody has decided on yet are told so; news of nodes is kept."""
        if self.clock.now() - self._trouble_since <= _REFUSE_AFTER_S:
            return
        kept = []
        for entry in self._inbox:
            if entry.request and not entry.done.done():
                entry.done.set_exception(error)
            else:
                kept.append(entry)
        self._inbox = kept

    def _answer(self, entries: list[Entry], outcome: Outcome) -> None:
        position = 0
        for entry in entries:
            answers = [outcome.refused.get(position + offset) for offset in range(len(entry.events))]
            position += len(entry.events)
            if not entry.done.done():
                entry.done.set_result(answers)

    def _send(self, commands: Sequence[Command]) -> None:
        for_nodes: list[ForNode] = []
        for command in commands:
            if isinstance(command, MakePlan):
                self.make_plan(command.run)
            else:
                for_nodes.append(command)
        if for_nodes:
            self.dispatch.send(for_nodes)

    async def _tell(self, batch: Batch, last: int) -> None:
        if batch.records:
            await self.bus.publish("events", {"last": last})
        logged = {chunk.run.task for chunk in batch.logs} | {metric.run.task for metric in batch.metrics}
        if logged:
            await self.bus.publish("logs", {"tasks": sorted(logged)})


def as_batch(outcome: Outcome) -> Batch:
    """The rows of an outcome."""
    batch = Batch(
        runs=list(outcome.runs.values()),
        records=outcome.records,
        nodes=list(outcome.nodes.values()),
        quotas=outcome.quotas,
        settings=dict(outcome.settings),
        triggers=list(outcome.triggers.values()),
        firings=list(outcome.firings.values()),
        dropped_triggers=outcome.dropped_triggers,
        workflow_runs=list(outcome.workflow_runs.values()),
    )
    for task in outcome.tasks.values():
        (batch.new_tasks if task.id in outcome.new_tasks else batch.tasks).append(task)
    return batch
