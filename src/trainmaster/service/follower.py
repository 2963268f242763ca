"""The service of a process that does not lead: answers from the store, and takes submissions as letters."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Protocol

from trainmaster.domain.cluster import Node
from trainmaster.domain.errors import IdempotencyConflict, NoLeader, TrainmasterError, UnknownTask
from trainmaster.domain.group import GroupPlan
from trainmaster.domain.ids import NodeId, RunId, TaskId, task_id
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.replica import Letter
from trainmaster.domain.run import RunSpec, Stream
from trainmaster.domain.task import Task, TaskSpec
from trainmaster.policies.registry import named
from trainmaster.ports import Bus, Caps, Clock, Engine, Sink, Store
from trainmaster.scheduler.state import restore
from trainmaster.service.service import Service, ServiceOptions


class Letters(Protocol):
    """Where submissions wait for the next leader."""

    async def put_letter(self, letter: Letter) -> Letter: ...

    async def letter(self, task: TaskId) -> Letter | None: ...

    async def letters(self, limit: int) -> list[Letter]: ...

    async def opened(self, task: TaskId, refusal: dict[str, Any] | None) -> None: ...


class Replicated(Service):
    """One of several: it knows of submissions that wait in letters, or were refused out of one."""

    def __init__(
        self,
        store: Store,
        letters: Letters,
        engine: Engine,
        bus: Bus,
        clock: Clock,
        options: ServiceOptions,
    ) -> None:
        super().__init__(store, engine, bus, clock, options)
        self._letters = letters

    async def task(self, task: TaskId) -> Task:
        """Raises UnknownTask, and what the leader refused the submission for."""
        try:
            return await super().task(task)
        except UnknownTask:
            letter = await self._letters.letter(task)
            if letter is None:
                raise
            return _as_task(letter)

    async def resolve(self, text: str) -> TaskId:
        try:
            return await super().resolve(text)
        except UnknownTask:
            if await self._letters.letter(TaskId(text)) is None:
                raise
            return TaskId(text)


class Follower(Replicated):
    """The present as the store has it when `start` is called. It decides nothing, and nothing runs in it."""

    def __init__(
        self, store: Store, letters: Letters, bus: Bus, clock: Clock, options: ServiceOptions
    ) -> None:
        super().__init__(store, letters, _NoNodes(), bus, clock, options)
        self.loop.trouble = NoLeader("nobody leads at the moment")

    async def start(self) -> None:
        loaded = await self.store.load()
        await self.access.load()
        profile = loaded.settings.get("profile", self.options.profile)
        if profile in self.state.profiles:
            self.state.policies = named(profile, self.state.profiles, self.state.networks)
        self.sizing.restore(loaded.settings)
        self.state.triggers.restore(loaded.triggers, loaded.waiting, self.state.limits.lead_s)
        restore(self.state, loaded.tasks, loaded.runs, loaded.quotas, loaded.ended, self.clock.now())
        for run in loaded.workflow_runs:
            self.state.triggers.started(run.trigger, run.id)
        self.state.nodes.update({node.id: node for node in loaded.nodes})

    async def stop(self, leave_running: bool) -> None:
        await self.bus.close()

    async def submit(self, spec: TaskSpec, key: str | None = None, body_digest: str = "") -> Task:
        """Leave it for the next leader, durably. The answer is SUBMITTED: nobody has decided on it yet.

        Raises InvalidTask, IdempotencyConflict, StoreUnavailable, StoreFull.
        """
        spec = self._checked(spec)
        new = task_id(secrets.randbits(64))
        letter = Letter(new, spec, self.clock.now(), key or "", body_digest)
        kept = await self._letters.put_letter(letter)
        if kept.task == new:
            return _as_task(kept)
        if kept.digest != body_digest:
            raise IdempotencyConflict(
                f"the idempotency key {key!r} was used for another task, {kept.task}", task=kept.task, key=key
            )
        return await self.task(kept.task)

    async def submit_many(self, specs: Sequence[TaskSpec]) -> list[TaskId | TrainmasterError]:
        answers: list[TaskId | TrainmasterError] = []
        for spec in specs:
            try:
                answers.append((await self.submit(spec)).id)
            except TrainmasterError as error:
                answers.append(error)
        return answers


def _as_task(letter: Letter) -> Task:
    if letter.refusal is not None:
        told = letter.refusal
        error = TrainmasterError(str(told["message"]), remedy=str(told["remedy"]), task=letter.task)
        error.code, error.status = str(told["code"]), int(told["status"])
        raise error
    return Task(
        letter.task, 0, letter.spec, TaskState.SUBMITTED, letter.made_at, letter.spec.urgency,
        letter.spec.priority, reason="recorded; it waits for somebody to lead",
    )  # fmt: skip


class _NoNodes:
    """The engine of who has none."""

    caps = Caps()

    async def start(self, sink: Sink) -> None: ...

    async def nodes(self) -> list[Node]:
        return []

    async def launch(self, node: NodeId, runs: Sequence[RunSpec]) -> None:
        raise NoLeader("who does not lead starts nothing")

    async def stop(self, node: NodeId, run: RunId, grace_s: float) -> None:
        raise NoLeader("who does not lead stops nothing")

    async def tell(self, node: NodeId, run: RunId, plan: GroupPlan) -> None:
        raise NoLeader("who does not lead tells nobody anything")

    async def forget(self, node: NodeId, runs: Sequence[RunId]) -> None:
        raise NoLeader("who does not lead forgets nothing")

    async def read_log(self, node: NodeId, run: RunId, stream: Stream, offset: int, limit: int) -> bytes:
        raise NoLeader("who does not lead reads from no node")

    async def close(self, leave_running: bool) -> None: ...
