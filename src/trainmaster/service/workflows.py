"""Workflows as the surfaces see them: definitions, runs, and how far each run has come."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import structlog

from trainmaster.domain.cluster import NodeState
from trainmaster.domain.errors import (
    IdempotencyConflict,
    InvalidWorkflow,
    NotResumable,
    TrainmasterError,
    UnknownStage,
    UnknownWorkflow,
    UnknownWorkflowRun,
    WorkflowRunEnded,
)
from trainmaster.domain.events import (
    Event,
    WorkflowCancelRequested,
    WorkflowOpened,
    WorkflowPlanned,
    WorkflowRegistered,
)
from trainmaster.domain.ids import NodeId, TaskId, UserName, WorkflowRunId, workflow_run_id
from trainmaster.domain.target import WorkflowTarget
from trainmaster.domain.task import TaskSpec
from trainmaster.domain.workflow import (
    MAX_VALUE_BYTES,
    Definition,
    Graph,
    WorkflowSpec,
    validate,
    with_defaults,
)
from trainmaster.domain.workflow_run import PartEnd, PlannedPart, WorkflowRun, WorkflowState
from trainmaster.ports import Clock, Loaded, Store, WorkflowRow
from trainmaster.scheduler.library import Library
from trainmaster.scheduler.state import State
from trainmaster.scheduler.unfolding import Unfolding, resumed
from trainmaster.service.loop import Loop
from trainmaster.service.workflow_plan import CannotPlan, Planner, known_algorithm

log = structlog.get_logger(__name__)

_LEARN_FROM = 20  # runs, for the durations of a plan
_LOOKS_FOR_NODES, _LOOK_EVERY_S = 50, 0.2
_GRAPHS = 64  # compiled definitions and rebuilt runs that are remembered


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A planned part and what became of it. Seconds count from the run's beginning."""

    name: str
    planned: PlannedPart
    node: NodeId | None = None
    start_s: float | None = None
    finish_s: float | None = None


@dataclass(frozen=True, slots=True)
class PlanReport:
    """How far reality strayed from the plan."""

    run: WorkflowRun
    rows: list[PlanRow]

    @property
    def stray_s(self) -> float | None:
        """Mean distance of the real from the planned starts."""
        off = [abs(row.start_s - row.planned.start_s) for row in self.rows if row.start_s is not None]
        return sum(off) / len(off) if off else None

    @property
    def on_planned_node(self) -> float | None:
        """Share of the parts that ran where they were planned."""
        there = [row.node == row.planned.node for row in self.rows if row.node is not None]
        return sum(there) / len(there) if there else None


@dataclass(frozen=True, slots=True)
class Progressed:
    """A run with how far it has come. `live`: it may still change."""

    run: WorkflowRun
    unfolding: Unfolding
    live: bool


class Workflows:
    """Everything about workflows that needs the store or the loop."""

    def __init__(
        self, loop: Loop, state: State, store: Store, clock: Clock, check: Callable[[TaskSpec], TaskSpec]
    ) -> None:
        self._check = check
        self._loop = loop
        self._state = state
        self._store = store
        self._clock = clock
        self._planner = Planner()
        self._planning: set[asyncio.Task[None]] = set()
        # Held while definitions are made or read and the scheduler is told, so that none overtakes another.
        self.defining = asyncio.Lock()
        self._graphs: dict[tuple[str, int], Graph] = {}
        self._ended: dict[tuple[WorkflowRunId, int], Unfolding] = {}
        self._key_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def load(self, loaded: Loaded) -> list[Event]:
        """Learn what triggers start and have started, before the loop runs. Returns what that is to be told
        first: the runs that were live."""
        self._state.next_run_seq = loaded.last_run_seq + 1
        targets = [trigger.target for trigger in loaded.triggers]
        for key in {(one.workflow, one.version) for one in targets if isinstance(one, WorkflowTarget)}:
            try:
                self._state.library.put(await self.definitions(*key))
            except UnknownWorkflow as error:  # the firings will say so, too
                log.error("a trigger has no workflow", error=error.message)
        events: list[Event] = []
        for run in loaded.workflow_runs:
            try:
                library = await self._library(run.pins)
            except TrainmasterError as error:
                log.error("a workflow run cannot go on", run=run.id, error=error.message)
                continue
            events.append(WorkflowOpened(run, library, tuple(loaded.parts.get(run.id, ()))))
            if run.trigger:
                self._state.triggers.started(run.trigger, run.id)
        return events

    def make_plan(self, run: WorkflowRunId) -> None:
        """Begin to; the loop is told when it is done."""
        planning = asyncio.create_task(self._plan(run), name=f"plan {run}")
        self._planning.add(planning)
        planning.add_done_callback(self._planning.discard)

    async def close(self) -> None:
        for planning in self._planning:
            planning.cancel()
        await asyncio.gather(*self._planning, return_exceptions=True)
        await self._planner.close()

    # --- definitions ---------------------------------------------------------------------------------------

    async def register(self, spec: WorkflowSpec, by: UserName) -> WorkflowRow:
        """Keep a definition as the next version; what says the same as the latest is no new version.

        Raises InvalidWorkflow and those below it, UnknownWorkflow for one it contains.
        """
        try:
            made = await asyncio.to_thread(validate, spec)
        except RecursionError:
            raise InvalidWorkflow(
                "a value is nested too deeply", remedy="put it into a file", field="stages"
            ) from None
        for stage in spec.stages:
            if stage.task is not None and stage.task.volumes:
                self._check(stage.task)
        if spec.plan and not await asyncio.to_thread(known_algorithm, spec.plan):
            raise InvalidWorkflow(
                f"plan: there is no algorithm {spec.plan!r}",
                remedy='use "auto", or one of those in docs/how-to/plan-a-graph',
                field="plan",
            )
        await self._known(spec)
        async with self.defining:
            version = await self._store.put_workflow(spec, by, self._clock.now())
            self._remember((spec.name, version), made)
            if spec.name in self._state.library:
                # Not a request, which may be refused: the version is recorded, and must be known.
                await self._loop.deliver([WorkflowRegistered(await self.definitions(spec.name))])
        row = await self._store.workflow(spec.name, version)
        assert row is not None
        return row

    async def definitions(self, name: str, version: int | None = None) -> tuple[Definition, ...]:
        """A workflow with all it may come to, as they are now. Raises UnknownWorkflow."""
        found: dict[tuple[str, int], Definition] = {}
        asked, open_ = {(name, version)}, [(name, version)]
        while open_:
            name, version = open_.pop()
            latest = await self.definition(name)
            number = latest.version if version is None else version
            if (name, number) in found:
                continue
            made = await self.graph(name, number)
            found[name, number] = Definition(made, number, number == latest.version)
            inner = {(stage.workflow, stage.version) for stage in made.spec.stages if stage.workflow}
            open_ += sorted(inner - asked, key=str)
            asked |= inner
        return tuple(found.values())

    async def definition(self, name: str, version: int | None = None) -> WorkflowRow:
        """Raises UnknownWorkflow."""
        row = await self._store.workflow(name, version)
        if row is None:
            of = "" if version is None else f" in version {version}"
            raise UnknownWorkflow(f"there is no workflow {name}{of}", workflow=name)
        return row

    async def graph(self, name: str, version: int) -> Graph:
        known = self._graphs.get((name, version))
        if known is None:
            row = await self.definition(name, version)
            known = await asyncio.to_thread(validate, row.spec)
            self._remember((name, version), known)
        return known

    # --- runs ----------------------------------------------------------------------------------------------

    async def start(
        self,
        name: str,
        parameters: Mapping[str, Any],
        by: UserName,
        version: int | None = None,
        key: str | None = None,
        digest: str = "",
    ) -> WorkflowRun:
        """Run a workflow. The same key with the same request answers with the first run.

        Raises UnknownWorkflow, WrongParameter, IdempotencyConflict, StoreUnavailable, StoreFull.
        """
        if key is None:
            return await self._start(name, parameters, by, version)
        key = f"workflow-run:{key}"
        async with self._key_locks.setdefault(key, asyncio.Lock()):
            known = await self._store.idempotent(key)
            if known is None:
                return await self._start(name, parameters, by, version, (key, digest))
        if known[0] != digest:
            raise IdempotencyConflict(f"the idempotency key was used for another run, {known[1]}", key=key)
        return await self.run(WorkflowRunId(known[1]))

    async def _start(
        self,
        name: str,
        parameters: Mapping[str, Any],
        by: UserName,
        version: int | None,
        key: tuple[str, str] | None = None,
    ) -> WorkflowRun:
        row = await self.definition(name, version)
        values = json.dumps(with_defaults(row.spec, dict(parameters)), separators=(",", ":"))
        if len(values) > MAX_VALUE_BYTES:
            raise InvalidWorkflow(
                f"parameters: {len(values)} bytes, more than {MAX_VALUE_BYTES}",
                remedy="write them to a file and hand over its path",
                field="parameters",
            )
        pins = Library(await self.definitions(name, row.version)).pins(name, row.version)
        run = WorkflowRun(
            id=workflow_run_id(secrets.randbits(64)),
            seq=0,
            workflow=name,
            version=row.version,
            owner=by,
            created_at=self._clock.now(),
            parameters=values,
            pins=pins,
        )
        event = WorkflowOpened(run, await self._library(pins), fresh=True, by=by)
        await self._one(event, None if key is None else (*key, TaskId(run.id)))
        return await self.run(run.id)

    async def cancel(self, run: WorkflowRunId, by: UserName) -> WorkflowRun:
        """End every task of a run. It is CANCELLED once they are verifiably gone. Raises WorkflowRunEnded."""
        await self._one(WorkflowCancelRequested(run, by))
        return await self.run(run)

    async def resume(self, run_id: WorkflowRunId, by: UserName) -> WorkflowRun:
        """Do again what has not succeeded, and all that follows it. Raises NotResumable."""
        run = await self.run(run_id)
        if run.state not in (WorkflowState.FAILED, WorkflowState.CANCELLED):
            raise NotResumable(
                f"{run.id} is {run.state}: only what failed or was cancelled is resumed", run=run.id
            )
        if run.parent is not None:
            raise NotResumable(
                f"{run.id} is part of {run.parent.run}", remedy=f"resume {run.parent.run}", run=run.id
            )
        parts = tuple(await self._store.parts(run_id))
        library = await self._library(run.pins)
        again = resumed(library[run.workflow], run, parts)
        event = WorkflowOpened(again, library, parts, resumed=True, by=by)
        await self._one(event)
        return await self.run(run_id)

    async def run(self, run: WorkflowRunId) -> WorkflowRun:
        """Raises UnknownWorkflowRun."""
        live = self._state.unfoldings.get(run)
        if live is not None:
            return live.run
        stored = await self._store.workflow_run(run)
        if stored is None:
            raise UnknownWorkflowRun(f"there is no workflow run {run}", run=run)
        return stored

    async def resolve(self, text: str) -> WorkflowRunId:
        """The one run whose id starts with `text` (with or without "w-"). Raises UnknownWorkflowRun."""
        full = WorkflowRunId(text if text.startswith("w-") else f"w-{text}")
        if full in self._state.unfoldings:
            return full
        found = await self._store.find_workflow_runs(full)
        if full in found or len(found) == 1:
            return full if full in found else found[0]
        if found:
            raise UnknownWorkflowRun(
                f"{text} is ambiguous: {', '.join(found[:4])} …", remedy="give more of the id", run=text
            )
        raise UnknownWorkflowRun(f"there is no workflow run {text}", run=text)

    async def progress(self, run_id: WorkflowRunId) -> Progressed:
        """A run with its stages, live or told again from what is stored. Raises UnknownWorkflowRun."""
        live = self._state.unfoldings.get(run_id)
        if live is not None:
            return Progressed(live.run, live, True)
        run = await self.run(run_id)
        key = (run.id, run.round)
        unfolding = self._ended.get(key)
        if unfolding is None:
            graph = await self.graph(run.workflow, run.version)
            unfolding = Unfolding(graph, run)
            unfolding.replay(await self._store.parts(run_id))
            if run.ended:
                if unfolding.left:
                    unfolding.stop()  # what had not begun when it ended never will
                if len(self._ended) >= _GRAPHS:
                    self._ended.pop(next(iter(self._ended)))
                self._ended[key] = unfolding
        return Progressed(run, unfolding, False)

    async def parts(self, run_id: WorkflowRunId, stage: str) -> list[PartEnd]:
        """What became of the parts of one stage, the latest of each. Raises UnknownStage."""
        told = await self.progress(run_id)
        if stage not in told.unfolding.graph.at:
            raise UnknownStage(
                f"{run_id} has no stage {stage}", remedy="see them with `workflow show`", stage=stage
            )
        latest: dict[str, PartEnd] = {}
        for end in await self._store.parts(run_id, stage):
            latest[end.part.key] = end
        return list(latest.values())

    async def plan_report(self, run_id: WorkflowRunId) -> PlanReport:
        """The plan of a run against what became of it. Raises UnknownWorkflowRun."""
        run = await self.run(run_id)
        places = await self._store.places(run_id)
        rows = {name: PlanRow(name, part) for name, part in run.plan.items()}
        for end in await self._store.parts(run_id):
            key = end.part.key
            name = f"{end.part.stage}[{key}]" if key else end.part.stage
            if name in rows:
                zero = run.created_at if run.begun_at is None else run.begun_at
                began = None if end.started_at is None else end.started_at - zero
                over = None if end.ended_at is None else end.ended_at - zero
                rows[name] = PlanRow(name, run.plan[name], places.get(TaskId(end.id)), began, over)
        return PlanReport(run, list(rows.values()))

    # --- inside --------------------------------------------------------------------------------------------

    async def _plan(self, run_id: WorkflowRunId) -> None:
        """Make the plan a run waits for, or say why it has none: it runs either way."""
        unfolding = self._state.unfoldings.get(run_id)
        if unfolding is None:
            return
        plan = unfolding.graph.spec.plan
        await self._some_node()
        try:
            learned = await self._store.durations(unfolding.run.workflow, _LEARN_FROM)
            made = await self._planner.plan(unfolding.graph, learned, list(self._state.nodes.values()))
        except (CannotPlan, TrainmasterError) as why:
            answer = WorkflowPlanned(run_id, f"not planned: {why}")
        except Exception as error:
            log.exception("planning failed", run=run_id)
            answer = WorkflowPlanned(run_id, f"not planned: {type(error).__name__}")
        else:
            profile = self._state.policies.profile.name
            followed = self._state.policies.placement.name == "plan"
            told = "" if followed else f", which the profile {profile} does not follow (`planned` does)"
            answer = WorkflowPlanned(run_id, f"planned by {plan}{told}", made.parts, made.forecast_s)
        with contextlib.suppress(TrainmasterError):  # somebody else leads, who asks for it again
            await self._loop.deliver([answer])

    async def _some_node(self) -> None:
        """Until a node takes work, for a while: after a restart they join a moment later."""
        for _ in range(_LOOKS_FOR_NODES):
            if any(node.state is NodeState.UP for node in self._state.nodes.values()):
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _one(self, event: Event, idempotency: tuple[str, str, TaskId] | None = None) -> None:
        (refusal,) = await self._loop.request([event], idempotency)
        if refusal is None:
            return
        if isinstance(refusal, WorkflowRunEnded):
            ended = await self.run(WorkflowRunId(refusal.fields["run"]))  # raises if it never existed
            raise WorkflowRunEnded(f"{ended.id} has already ended: {ended.state}", run=ended.id)
        raise refusal

    async def _known(self, spec: WorkflowSpec) -> None:
        """Everything it contains must exist, but for itself."""
        for stage in spec.stages:
            if stage.workflow and stage.workflow != spec.name:
                await self.definition(stage.workflow, stage.version)

    async def _library(self, pins: Sequence[tuple[str, int]]) -> dict[str, Graph]:
        return {name: await self.graph(name, version) for name, version in pins}

    def _remember(self, key: tuple[str, int], graph: Graph) -> None:
        if len(self._graphs) >= _GRAPHS:
            self._graphs.pop(next(iter(self._graphs)))
        self._graphs[key] = graph
