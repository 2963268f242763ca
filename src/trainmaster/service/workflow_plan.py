"""A workflow's run by a static plan: from known durations and nodes to where and when each part should be.

What can be placed is what is known beforehand: stages of one task, and those in parts whose number stands in
the definition. Other stages take their time in the plan but stay unplaced. Data transfers are not known, so
edges cost nothing. An algorithm may plan several copies of a task; the one that ends first is run.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainmaster.domain.cluster import Node, NodeState
from trainmaster.domain.ids import NodeId
from trainmaster.domain.units import Resources
from trainmaster.domain.workflow import Graph, Stage
from trainmaster.domain.workflow_run import PlannedPart
from trainmaster.service.children import ask

WITHIN_S = 300.0  # of a whole plan; the first one by an algorithm compiles
MOST_PARTS = 20_000
_MOST_SLOTS = 64  # of one node
_REMEMBERED = 32


@dataclass(frozen=True, slots=True)
class PlanMade:
    """`parts` by name of the part: the stage, or `stage[key]`."""

    forecast_s: float
    parts: Mapping[str, PlannedPart]


class CannotPlan(Exception):
    """Why there is no plan, for a person. The run goes on without one."""


@dataclass(frozen=True, slots=True)
class _Question:
    names: list[str | None]  # of the tasks of the graph to be planned; None: nothing to be placed
    work: list[float]
    edges: list[tuple[int, int]]


class Planner:
    """Remembers its latest plans, so that running the same workflow again waits for nothing."""

    def __init__(self) -> None:
        self._known: dict[str, PlanMade] = {}
        self._making: dict[str, asyncio.Task[PlanMade]] = {}

    async def plan(
        self, graph: Graph, learned: Mapping[str, tuple[float, int]], nodes: Sequence[Node]
    ) -> PlanMade:
        """Raises CannotPlan. `learned`: mean seconds and number of earlier tasks, by stage."""
        asked = _question(graph, learned)
        slots = _slots(graph, nodes)
        request = json.dumps(
            {
                "work": asked.work,
                "edges": asked.edges,
                "processors": len(slots),
                "algorithm": graph.spec.plan,
            }
        )
        key = f"{slots}{asked.names}{request}"
        if key not in self._known:
            making = self._making.get(key)
            if making is None:
                making = self._making[key] = asyncio.create_task(self._make(key, asked, slots, request))
                making.add_done_callback(lambda done: done.cancelled() or done.exception())
            return await asyncio.shield(making)  # however many runs ask for it, it is made once
        return self._known[key]

    async def close(self) -> None:
        for making in self._making.values():
            making.cancel()
        await asyncio.gather(*self._making.values(), return_exceptions=True)

    async def _make(self, key: str, asked: _Question, slots: list[NodeId], request: str) -> PlanMade:
        try:
            made = _placed(asked, slots, await _ask(request))
        finally:
            self._making.pop(key, None)
        if len(self._known) >= _REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[key] = made
        return made


def known_algorithm(name: str) -> bool:
    """Imports numpy at its first call."""
    from trainmaster.dagsched.registry import ALGORITHMS

    return name in ALGORITHMS


def _question(graph: Graph, learned: Mapping[str, tuple[float, int]]) -> _Question:
    names: list[str | None] = []
    work: list[float] = []
    edges: list[tuple[int, int]] = []
    ends: list[int] = [0] * len(graph.before)  # of each stage the task of the graph that stands for its end
    missing = []
    for number in graph.order:
        stage = graph.spec.stages[number]
        keys = _keys(stage)
        seconds = stage.task.estimate_s if stage.task is not None else None
        if seconds is None and stage.name in learned:
            seconds = round(learned[stage.name][0], 3)
        if seconds is None and keys is not None:
            missing.append(stage.name)
        parts = [None] if keys is None else [f"{stage.name}[{key}]" if key else stage.name for key in keys]
        own = range(len(names), len(names) + len(parts))
        names += parts
        work += [max(seconds or 0.0, 0.001)] * len(parts)
        edges += [(ends[need], at) for need in graph.before[number] for at in own]
        ends[number] = own[-1] if len(parts) == 1 else len(names)
        if len(parts) != 1:  # all of them meet in a task of no length, or edges would multiply
            names.append(None)
            work.append(0.0)
            before = own or [ends[need] for need in graph.before[number]]
            edges += [(at, ends[number]) for at in before]
        if len(names) > MOST_PARTS:
            raise CannotPlan(f"it has more than {MOST_PARTS} parts")
    if missing:
        more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
        raise CannotPlan(f"it is not known yet how long {', '.join(missing[:4])}{more} take")
    return _Question(names, work, edges)


def _keys(stage: Stage) -> list[str] | None:
    """The parts of a stage, as far as the definition says; None if that is found at run time."""
    if stage.workflow or stage.broadcast or stage.emits:
        return None
    for text in (stage.each, stage.shards):
        if text is not None:
            value = json.loads(text)
            if isinstance(value, str):
                return None
            return [str(n) for n in range(value if isinstance(value, int) else len(value))]
    return [""]


def _slots(graph: Graph, nodes: Sequence[Node]) -> list[NodeId]:
    """A processor for each task a node could run at once, were all as large as the largest."""
    needs = [stage.task.resources for stage in graph.spec.stages if stage.task is not None]
    largest = Resources(
        *(max((getattr(n, name) for n in needs), default=0) for name in ("cpu_m", "memory", "gpus", "lanes"))
    )
    slots = []
    for node in nodes:
        if node.state is NodeState.UP:
            slots += [node.id] * min(largest.times_fitting(node.capacity), _MOST_SLOTS)
    if not slots:
        raise CannotPlan("no node that takes work can hold its largest task")
    return slots


async def _ask(request: str) -> dict[str, object]:
    try:
        code, out, errors = await ask("trainmaster.service.planner", request.encode(), WITHIN_S)
    except TimeoutError:
        raise CannotPlan(f"planning took longer than {WITHIN_S:g} s") from None
    if code:
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        raise CannotPlan(f"the planner failed: {last[:200]}")
    found: dict[str, object] = json.loads(out)
    return found


def _placed(asked: _Question, slots: Sequence[NodeId], told: Mapping[str, object]) -> PlanMade:
    best: dict[int, tuple[float, float, int]] = {}  # of each task: finish, start, processor
    for task, processor, start, finish in told["placements"]:  # type: ignore[attr-defined]
        if task not in best or (finish, start, processor) < best[task]:
            best[task] = (finish, start, processor)
    turns: dict[NodeId, int] = {}
    parts: dict[str, PlannedPart] = {}
    for task, (finish, start, processor) in sorted(best.items(), key=lambda item: (item[1][1], item[0])):
        name, node = asked.names[task], slots[processor]
        if name is not None:
            parts[name] = PlannedPart(node, turns.get(node, 0), start, finish)
            turns[node] = turns.get(node, 0) + 1
    return PlanMade(float(told["makespan"]), parts)  # type: ignore[arg-type]
