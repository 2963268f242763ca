"""What is free where, during one cycle."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

from trainmaster.domain.cluster import Node, NodeState
from trainmaster.domain.ids import NodeId
from trainmaster.domain.replacing import replacer
from trainmaster.domain.task import Assignment, Task, TaskKind
from trainmaster.domain.units import Resources
from trainmaster.policies.admission import misfit
from trainmaster.policies.base import Context, NodeView, Placement
from trainmaster.scheduler.state import State

renewed = replacer(NodeView)

# Asked so often for one shape of need, a heap of the nodes is worth what keeping it up to date costs. Tasks
# of one worker may have many shapes, whose heaps would all have to be kept up at every placement.
_OFTEN = 8

# From a task and the orders of the nodes it fits on to those it may use.
Guard = Callable[[Task, set[int]], set[int]]


def shape_of(task: Task) -> tuple[object, ...]:
    """What decides which nodes can hold a worker of the task."""
    spec = task.spec
    return (spec.resources, spec.node_labels, spec.kind is TaskKind.CONTAINER)


def view_of(state: State, node: Node, order: int) -> NodeView:
    """A node as policies see it.

    A run counts as measured once it was there for a whole interval of measurement: the first sample that
    meets it knows only part of its use, or nothing. Both times are wall clock: the scheduler's, the node's.
    """
    gauges = node.gauges
    since = gauges.time - gauges.interval
    runs = state.on_node.get(node.id, {})
    departures = state.departures.get(node.id)
    return NodeView(
        id=node.id,
        capacity=node.capacity,
        free=node.capacity - state.used(node.id),
        pressure=max((gauges.cpu, gauges.memory, *gauges.gpu), default=0.0),
        index=node.index,
        runs=len(runs),
        order=order,
        unmeasured=sum(run.launched_at > since for run in runs.values()),
        departed=departures.runs(gauges) if departures else 0.0,
    )


class Room:
    """The nodes that take work, with what this cycle has already given away taken off.

    Candidates are remembered per shape of need: a placement changes one node, so only that node is looked at
    again.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self.views: list[NodeView] = []
        self._nodes: list[Node] = []
        known = state.views
        for node in state.nodes.values():
            if node.state is NodeState.UP:
                order = len(self.views)
                view = known.get(node.id)
                if view is None or view.order != order:
                    view = known[node.id] = view_of(state, node, order)
                self.views.append(view)
                self._nodes.append(node)
        self._at = {view.id: view.order for view in self.views}
        # No node has more of anything than this, and within a cycle the free amounts only shrink.
        self._largest = Resources(
            max((view.free.cpu_m for view in self.views), default=-1),
            max((view.free.memory for view in self.views), default=-1),
            max((view.free.gpus for view in self.views), default=-1),
            max((view.free.lanes for view in self.views), default=-1),
        )
        self._devices: dict[NodeId, list[int]] = {}
        self._fitting: dict[tuple[object, ...], set[int]] = {}
        self._heaps: dict[tuple[object, ...], list[tuple[tuple[float, ...], int]]] = {}
        self._scores: list[tuple[float, ...]] = []
        self._rescore: Callable[[NodeView], tuple[float, ...]] | None = None
        self.examined = 0

    def fitting(self, task: Task) -> set[int]:
        """The orders of the nodes with room for one worker of the task now. Not to be changed."""
        spec = task.spec
        key = shape_of(task)
        fitting = self._fitting.get(key)
        if fitting is None:
            fitting = set()
            if spec.resources.fits(self._largest):
                self.examined += len(self.views)
                fitting = {view.order for view in self.views if spec.resources.fits(view.free)}
            if spec.node_labels or spec.kind is TaskKind.CONTAINER:
                wanted = set(spec.node_labels)
                fitting = {
                    at
                    for at in fitting
                    if wanted <= set(self._nodes[at].labels)
                    and (spec.kind is not TaskKind.CONTAINER or self._nodes[at].containers)
                }
            self._fitting[key] = fitting
        self.examined += len(fitting)
        return fitting

    def able(self, task: Task) -> frozenset[int]:
        """The orders of the nodes that could hold one worker if they were empty."""
        spec = task.spec
        key = (*shape_of(task), len(self.views))
        able = self._state.able.get(key)
        if able is None:
            able = frozenset(at for at, node in enumerate(self._nodes) if misfit(spec, node) is None)
            self._state.able[key] = able
        return able

    def holds(self, task: Task) -> int:
        """How many workers of the task the nodes would hold if they were empty."""
        key = (*shape_of(task), len(self.views))
        holds = self._state.holds.get(key)
        if holds is None:
            need = task.spec.resources
            holds = sum(need.times_fitting(self.views[at].capacity) for at in self.able(task))
            self._state.holds[key] = holds
        return holds

    @property
    def free(self) -> Resources:
        """What is free now, over all nodes."""
        cpu_m = memory = gpus = lanes = 0
        for view in self.views:
            free = view.free
            cpu_m += free.cpu_m
            memory += free.memory
            gpus += free.gpus
            lanes += free.lanes
        return Resources(cpu_m, memory, gpus, lanes)

    def best(
        self, task: Task, guard: Guard | None, placement: Placement, context: Context, times: int = 1
    ) -> NodeView | None:
        """The node for one worker among those with room that `guard` leaves open; None if there is none.

        `times`: about how often the same will be asked in this cycle.
        """
        fitting = self.fitting(task)
        if guard is not None:
            fitting = guard(task, fitting)
        if not fitting:
            return None
        views = self.views
        if placement.by_node_alone:
            if not self._scores:
                self._rescore = lambda view: (*placement.score(view, task, context), view.order)
                self._scores = self._scored(placement, self._rescore)
            if guard is None and (times >= _OFTEN or shape_of(task) in self._heaps):
                return views[self._first(shape_of(task), fitting)]
            return views[min(fitting, key=self._scores.__getitem__)]
        score, at = min((placement.score(views[at], task, context), at) for at in fitting)
        return None if score[0] == math.inf else views[at]

    def _scored(
        self, placement: Placement, score: Callable[[NodeView], tuple[float, ...]]
    ) -> list[tuple[float, ...]]:
        """Of all nodes; a view that is still the one of an earlier cycle has its score of then."""
        state = self._state
        if state.scored_by is not placement:
            state.scored_by, state.scores = placement, {}
        scores = state.scores
        found = []
        for view in self.views:
            known = scores.get(view.id)
            if known is None or known[0] is not view:
                known = scores[view.id] = (view, score(view))
            found.append(known[1])
        return found

    def _first(self, shape: tuple[object, ...], fitting: set[int]) -> int:
        """The one with the smallest score, at a cost that does not grow with their number. What changed since
        it was put on the heap was put there again."""
        heap, scores = self._heaps.get(shape), self._scores
        if heap is None:
            heap = self._heaps[shape] = [(scores[at], at) for at in fitting]
            heapq.heapify(heap)
        while True:
            score, at = heap[0]
            if at in fitting and scores[at] == score:
                return at
            heapq.heappop(heap)

    def planned_node_usable(self, task: Task) -> bool:
        """Whether the node the task is planned for takes work and could hold the task if it were empty."""
        spec = task.spec
        at = self._at.get(spec.planned.node) if spec.planned is not None else None
        if at is None or at not in self.able(task):
            return False
        wanted = task.pinned or spec.min_workers
        return spec.resources.times_fitting(self.views[at].capacity) >= wanted

    def places(self, task: Task) -> int:
        """How many workers of the task the free resources hold."""
        need = task.spec.resources
        return sum(need.times_fitting(self.views[at].free) for at in self.fitting(task))

    def take(self, task: Task, view: NodeView) -> Assignment:
        """Give one worker's need away on a node."""
        need = task.spec.resources
        devices: tuple[int, ...] = ()
        if need.gpus:
            free = self._free_devices(view)
            devices = tuple(free[: need.gpus])
            del free[: need.gpus]
        self._replace(
            renewed(view, free=view.free - need, runs=view.runs + 1, unmeasured=view.unmeasured + 1)
        )
        return Assignment(view.id, devices)

    def give_back(self, task: Task, assignment: Assignment) -> None:
        """Undo a take of this cycle."""
        view = self.views[self._at[assignment.node]]
        if assignment.devices:
            self._devices[view.id] = sorted(self._free_devices(view) + list(assignment.devices))
        free = view.free + task.spec.resources
        self._replace(renewed(view, free=free, runs=view.runs - 1, unmeasured=view.unmeasured - 1))

    def with_freed(self, freed: dict[NodeId, Resources]) -> list[NodeView]:
        """The views as they would be with `freed` added; the room itself does not change."""
        return [
            renewed(view, free=view.free + freed[view.id]) if view.id in freed else view
            for view in self.views
        ]

    def node(self, view: NodeView) -> Node:
        return self._nodes[view.order]

    def _free_devices(self, view: NodeView) -> list[int]:
        if view.id not in self._devices:
            busy = self._state.busy_devices(view.id)
            self._devices[view.id] = [d for d in range(view.capacity.gpus) if d not in busy]
        return self._devices[view.id]

    def _replace(self, view: NodeView) -> None:
        self.views[view.order] = view
        if self._rescore is not None:
            self._scores[view.order] = self._rescore(view)
        for shape, heap in self._heaps.items():
            if shape[0].fits(view.free):  # type: ignore[attr-defined]
                heapq.heappush(heap, (self._scores[view.order], view.order))
        node = self._nodes[view.order]
        for (need, labels, container), fitting in self._fitting.items():
            suits = (
                need.fits(view.free)  # type: ignore[attr-defined]
                and (not container or node.containers)
                and (not labels or set(labels) <= set(node.labels))  # type: ignore[call-overload]
            )
            if suits:
                fitting.add(view.order)
            else:
                fitting.discard(view.order)
