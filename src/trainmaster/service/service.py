"""The service as its surfaces see it: requests in, answers out."""

from __future__ import annotations

import asyncio
import gc
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from weakref import WeakValueDictionary

import structlog

from trainmaster.domain.cluster import Node, NodeState, Quota
from trainmaster.domain.errors import (
    IdempotencyConflict,
    InvalidTask,
    TaskEnded,
    TrainmasterError,
    UnknownNode,
    UnknownTask,
)
from trainmaster.domain.events import (
    CancelRequested,
    DrainRequested,
    Event,
    PriorityRequested,
    ProfileSwitched,
    QuotaChanged,
    ResizeRequested,
    TaskSubmitted,
)
from trainmaster.domain.ids import NodeId, TaskId, UserName, task_id
from trainmaster.domain.lifecycle import ENDED
from trainmaster.domain.run import Run, RunGauge
from trainmaster.domain.sizing import Grid, SizingKnobs
from trainmaster.domain.task import Task, TaskKind, TaskSpec, Urgency, validate
from trainmaster.domain.units import Resources, format_duration
from trainmaster.policies.learned import TaskNetwork
from trainmaster.policies.registry import PROFILES, Profile, named
from trainmaster.ports import Bus, Clock, Engine, Store
from trainmaster.scheduler.drains import restore_drained
from trainmaster.scheduler.explain import Explanation, Fact, explain
from trainmaster.scheduler.recall import recall
from trainmaster.scheduler.state import Progress, State, restore
from trainmaster.service.access import Access
from trainmaster.service.dispatch import Dispatch
from trainmaster.service.gauges import GaugeBook
from trainmaster.service.loop import Loop
from trainmaster.service.news import News, reported
from trainmaster.service.sizing import Sizing
from trainmaster.service.triggers import TriggerDesk
from trainmaster.service.workflows import Workflows

log = structlog.get_logger(__name__)

_SWEEP_BELOW = 5_000  # live tasks: with more, a full garbage collection would be felt


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """`volume_roots`: host folders that containers may mount. Ages in seconds.

    `networks`: by trained policy the weights it uses instead of the shipped ones. `grid`: how time is cut to
    forecast the volume; `sizing`: what holds until somebody sets it live.
    """

    profile: str = "default"
    profiles: Mapping[str, Profile] = field(default_factory=lambda: PROFILES)
    networks: Mapping[str, TaskNetwork] = field(default_factory=dict)
    volume_roots: tuple[str, ...] = ()
    keep_tasks_s: float = 30 * 86400.0
    keep_events_s: float = 90 * 86400.0
    keep_logs_s: float = 30 * 86400.0
    retention_every_s: float = 600.0
    default_grace_s: float = 10.0
    grid: Grid = field(default_factory=Grid)
    sizing: SizingKnobs = field(default_factory=SizingKnobs)
    environment: tuple[tuple[str, str], ...] = field(default=())


class Service:
    """Owns the loop. Built by `bootstrap`, which hands in the adapters."""

    def __init__(
        self, store: Store, engine: Engine, bus: Bus, clock: Clock, options: ServiceOptions, seed: int = 0
    ) -> None:
        self.store = store
        self.engine = engine
        self.bus = bus
        self.clock = clock
        self.options = options
        self.access = Access(store, clock)
        self.gauges = GaugeBook()
        self.state = State(seed=seed, profiles=dict(options.profiles), networks=options.networks)
        self.dispatch = Dispatch(engine)
        self.loop = Loop(self.state, store, clock, self.dispatch, bus, incarnation=secrets.token_hex(8))
        self.sizing = Sizing(self.loop, store, clock, options.grid, options.sizing, options.keep_tasks_s)
        self.workflows = Workflows(self.loop, self.state, store, clock, self._checked)
        self.loop.make_plan = self.workflows.make_plan
        depth = options.grid.lane_depth
        self.triggers = TriggerDesk(self.loop, store, clock, depth, self._checked, self.workflows)
        self.started_at = clock.now()
        self._jobs: list[asyncio.Task[None]] = []
        self._key_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # --- life ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load the present, go on with it, and adopt what runs."""
        loaded = await self.store.load()
        await self.access.load()
        profile = loaded.settings.get("profile", self.options.profile)
        if profile not in self.state.profiles:
            log.warning("profile unknown, using default", profile=profile)
            profile = "default"
        self.state.policies = named(profile, self.state.profiles, self.state.networks)
        self.state.next_seq = loaded.last_task_seq + 1
        restore_drained(self.state, loaded.settings)
        self.sizing.restore(loaded.settings)
        self.state.triggers.restore(loaded.triggers, loaded.waiting, self.state.limits.lead_s)
        restore(self.state, loaded.tasks, loaded.runs, loaded.quotas, loaded.ended, self.clock.now())
        for metrics, records in loaded.training:
            recall(self.state, map(reported, metrics), records)
        live_runs = await self.workflows.load(loaded)
        news = News(self.loop, self.clock, loaded.log_offsets, self.gauges.note_runs)
        self._jobs = [
            asyncio.create_task(self.loop.run(), name="scheduler loop"),
            asyncio.create_task(self._retain(), name="retention"),
            asyncio.create_task(self._watch_gauges(), name="gauges"),
            asyncio.create_task(self.sizing.run(), name="sizing"),
        ]
        if live_runs:
            await self.loop.deliver(live_runs)  # before nodes join and tell of their parts
        await self.engine.start(news)
        log.info("service started", live_tasks=len(loaded.tasks), live_runs=len(loaded.runs))

    async def stop(self, leave_running: bool) -> None:
        """`leave_running`: tasks go on and are adopted at the next start; else their workers are killed."""
        await self.engine.close(leave_running)
        await self.dispatch.close()
        await self.workflows.close()
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        await self.bus.close()

    async def ended(self) -> None:
        """Returns when the loop has, which it never should before `stop`."""
        await asyncio.wait({self._jobs[0]})

    @property
    def failed(self) -> BaseException | None:
        """What ended the loop, if anything did: without it there is no service."""
        job = self._jobs[0] if self._jobs else None
        return job.exception() if job is not None and job.done() and not job.cancelled() else None

    # --- tasks ---------------------------------------------------------------------------------------------

    async def submit(self, spec: TaskSpec, key: str | None = None, body_digest: str = "") -> Task:
        """Record a task and answer with it. The same key with the same body answers with the first task.

        Raises InvalidTask, Unplaceable, QuotaExceeded, IdempotencyConflict, StoreUnavailable, StoreFull.
        """
        spec = self._checked(spec)
        await self.know(spec.after)
        if key is None:
            new = task_id(secrets.randbits(64))
            await self._one(TaskSubmitted(new, spec))
            return await self.task(new)
        # Requests with one key may overlap: the later ones wait for the fate of the first.
        async with self._key_locks.setdefault(key, asyncio.Lock()):
            known = await self.store.idempotent(key)
            if known is None:
                new = task_id(secrets.randbits(64))
                await self._one(TaskSubmitted(new, spec), (key, body_digest, new))
                return await self.task(new)
        if known[0] != body_digest:
            raise IdempotencyConflict(
                f"the idempotency key {key!r} was used for another task, {known[1]}", task=known[1], key=key
            )
        return await self.task(known[1])

    async def submit_many(self, specs: Sequence[TaskSpec]) -> list[TaskId | TrainmasterError]:
        """Record many tasks in one transaction. Each is accepted or refused on its own."""
        answers: list[TaskId | TrainmasterError] = []
        events: list[Event] = []
        at: list[int] = []
        entropy = secrets.token_bytes(8 * len(specs))  # asking for each alone is felt in a bulk
        for begin, spec in zip(range(0, len(entropy), 8), specs, strict=True):
            try:
                checked = self._checked(spec)
                if checked.after:
                    await self.know(checked.after)
            except TrainmasterError as error:
                answers.append(error)
                continue
            new = task_id(int.from_bytes(entropy[begin : begin + 8]))
            at.append(len(answers))
            answers.append(new)
            events.append(TaskSubmitted(new, checked))
        for begin in range(0, len(events), 1000):
            refusals = await self.loop.request(events[begin : begin + 1000])
            for offset, refusal in enumerate(refusals):
                if refusal is not None:
                    answers[at[begin + offset]] = refusal
        return answers

    async def cancel(self, task: TaskId, by: UserName) -> Task:
        """Ask for the end of a task. It is CANCELLED once every worker is verifiably gone."""
        await self._one(CancelRequested(task, by))
        return await self.task(task)

    async def prioritise(
        self,
        task: TaskId,
        by: UserName,
        bumps: int = 0,
        value: float | None = None,
        urgency: Urgency | None = None,
    ) -> Task:
        await self._one(PriorityRequested(task, by, bumps, value, urgency))
        return await self.task(task)

    async def resize(self, task: TaskId, by: UserName, workers: int | None) -> Task:
        """Pin a task's number of workers; None gives it back to the policy. Raises NotResizable."""
        await self._one(ResizeRequested(task, workers, by))
        return await self.task(task)

    async def task(self, task: TaskId) -> Task:
        """Raises UnknownTask."""
        live = self.state.tasks.get(task)
        if live is not None:
            return live
        stored = await self.store.task(task)
        if stored is None:
            raise UnknownTask(f"there is no task {task}", task=task)
        return stored

    async def resolve(self, text: str) -> TaskId:
        """The one task whose id starts with `text` (with or without "t-"). Raises UnknownTask."""
        full = text if text.startswith("t-") else f"t-{text}"
        if TaskId(full) in self.state.tasks:
            return TaskId(full)
        found = await self.store.find(full)
        if full in found or len(found) == 1:
            return TaskId(full) if full in found else found[0]
        if found:
            some = ", ".join(found[:4])
            raise UnknownTask(f"{text} is ambiguous: {some} …", remedy="give more of the id", task=text)
        raise UnknownTask(f"there is no task {text}", task=text)

    def progress(self, task: TaskId) -> Progress | None:
        return self.state.progress.get(task)

    async def runs(self, task: TaskId) -> list[Run]:
        """Of every attempt, those of the current one as they are now."""
        stored = {run.id: run for run in await self.store.runs(task)}
        stored.update({run.id: run for run in self.state.runs.get(task, {}).values()})
        return sorted(stored.values(), key=lambda run: (run.id.attempt, run.id.rank))

    def run_gauge(self, run: Run) -> RunGauge | None:
        return self.gauges.run(run.node, run.id)

    async def explain(self, task_id: TaskId) -> Explanation:
        task = await self.task(task_id)
        if task.state in ENDED:
            attempts = f"attempt {task.attempt}" if task.attempt else "it never started"
            facts = [Fact("ran", f"{format_duration(task.ran_s)}, {attempts}")]
            return Explanation(task.id, task.state, f"{task.state}: {task.reason}.", "", facts)
        return explain(self.state, task, self.clock.now())

    # --- the cluster ---------------------------------------------------------------------------------------

    def nodes(self) -> list[Node]:
        return list(self.state.nodes.values())

    def node(self, node: str) -> Node:
        """Raises UnknownNode."""
        if NodeId(node) not in self.state.nodes:
            raise UnknownNode(f"there is no node {node}", node=node)
        return self.state.nodes[NodeId(node)]

    def used(self, node: NodeId) -> Resources:
        return self.state.used(node)

    def runs_on(self, node: NodeId) -> list[Run]:
        return sorted(self.state.on_node.get(node, {}).values(), key=lambda run: run.id)

    async def drain(self, node: str, drain: bool, by: UserName) -> Node:
        await self._one(DrainRequested(NodeId(node), drain, by))
        return self.node(node)

    def profile(self) -> Profile:
        return self.state.policies.profile

    async def switch_profile(self, name: str, by: UserName) -> Profile:
        """Raises UnknownProfile."""
        await self._one(ProfileSwitched(name, by))
        return self.profile()

    def quotas(self) -> list[Quota]:
        return sorted(self.state.quotas.values(), key=lambda quota: quota.user)

    async def set_quota(self, quota: Quota, by: UserName) -> Quota:
        await self._one(QuotaChanged(quota, by))
        return quota

    # --- inside --------------------------------------------------------------------------------------------

    async def _one(self, event: Event, idempotency: tuple[str, str, TaskId] | None = None) -> None:
        (refusal,) = await self.loop.request([event], idempotency)
        if isinstance(refusal, TaskEnded) and (task := getattr(event, "task", None)) is not None:
            ended = await self.task(task)  # raises UnknownTask if it never existed
            raise TaskEnded(f"{task} has already ended: {ended.state}", task=task, state=str(ended.state))
        if refusal is not None:
            raise refusal

    def _checked(self, spec: TaskSpec) -> TaskSpec:
        validate(spec)
        for volume in spec.volumes:
            check_volume(volume, self.options.volume_roots)
        if spec.kind is TaskKind.FUNCTION and not spec.resources.lanes:
            return replace(spec, resources=replace(spec.resources, lanes=1))
        return spec

    async def know(self, after: Sequence[TaskId]) -> None:
        """The scheduler holds live tasks only; tell it about ended ones that somebody depends on."""
        for dependency in after:
            if dependency not in self.state.tasks and dependency not in self.state.ended:
                stored = await self.store.task(dependency)
                if stored is not None and stored.state in ENDED:
                    self.state.ended[dependency] = stored.state == "SUCCEEDED"

    async def _watch_gauges(self) -> None:
        while True:
            for node in self.nodes():
                if node.state is not NodeState.GONE and node.gauges.time:
                    self.gauges.note_node(node.id, node.gauges)
            await asyncio.sleep(5.0)

    async def _retain(self) -> None:
        """Delete what is old, in bites, so that nothing grows without end."""
        while True:
            await asyncio.sleep(self.options.retention_every_s)
            now = self.clock.now()
            try:
                deleted = True
                while deleted:
                    counts = await self.store.expire(
                        tasks_before=now - self.options.keep_tasks_s,
                        records_before=now - self.options.keep_events_s,
                        logs_before=now - self.options.keep_logs_s,
                        limit=500,
                    )
                    deleted = any(counts.values())
                    await asyncio.sleep(0.1)
            except TrainmasterError as error:
                log.warning("retention postponed", error=error.message)
            if len(self.state.tasks) < _SWEEP_BELOW:
                gc.collect()


def check_volume(volume: str, roots: Sequence[str]) -> None:
    """Raise InvalidTask unless `volume` is "host:container[:ro|rw]" with the host folder under a root.

    The path is compared as written, and `..` is refused; the node resolves links before it mounts.
    """
    parts = volume.split(":")
    if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] not in ("ro", "rw")):
        raise InvalidTask(
            f"volumes: {volume!r} is not a volume", remedy='write "host:container" or "host:container:ro"',
            field="volumes",
        )  # fmt: skip
    host, inside = PurePosixPath(parts[0]), PurePosixPath(parts[1])
    if not host.is_absolute() or not inside.is_absolute() or ".." in host.parts + inside.parts:
        raise InvalidTask(
            f"volumes: {volume!r} needs two absolute paths without ..",
            remedy="write them out",
            field="volumes",
        )
    if not any(host.is_relative_to(root) for root in roots):
        allowed = ", ".join(roots) or "none"
        raise InvalidTask(
            f"volumes: {parts[0]} is outside the folders that may be mounted ({allowed})",
            remedy="ask the operator to add it to volume_roots in trainmaster.toml",
            field="volumes",
        )
