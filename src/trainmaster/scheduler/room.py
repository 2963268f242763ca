"""What is free where, during one cycle."""

from __future__ import annotations

import math
from collections.abc import Callable

from trainmaster.domain.cluster import Node
from trainmaster.domain.ids import NodeId
from trainmaster.domain.replacing import replacer
from trainmaster.domain.task import Assignment, Task, TaskKind
from trainmaster.domain.units import Resources
from trainmaster.policies.admission import misfit
from trainmaster.policies.base import Context, NodeView, Placement
from trainmaster.scheduler.state import State
from trainmaster.scheduler.stock import Shape, ShapeKey

renewed = replacer(NodeView)

_OFTEN = 8  # workers placed one after another, for which the nodes are put on a heap at once

# From a task and the orders of the nodes it fits on to those it may use.
Guard = Callable[[Task, set[int]], set[int]]


def shape_of(task: Task) -> ShapeKey:
    """What decides which nodes can hold a worker of the task."""
    spec = task.spec
    return ShapeKey(spec.resources, spec.node_labels, spec.kind is TaskKind.CONTAINER)


def view_of(state: State, node: Node, order: int) -> NodeView:
    """A node as policies see it.

    A run counts as measured once it was there for a whole interval of measurement: the first sample that
    meets it knows only part of its use, or nothing. Both times are wall clock: the scheduler's, the node's.
    """
    gauges = node.gauges
    since = gauges.time - gauges.interval
    runs = state.on_node.get(node.id, {})
    departures = state.departures.get(node.id)
    unmeasured = 0
    for run in runs.values():
        unmeasured += run.launched_at > since
    return NodeView(
        node.id,
        node.capacity,
        node.capacity - state.used(node.id) if runs else node.capacity,
        max(gauges.cpu, gauges.memory, *gauges.gpu),
        node.index,
        len(runs),
        order,
        unmeasured,
        departures.runs(gauges) if departures else 0.0,
    )


class Room:
    """The nodes that take work, with what this cycle has already given away taken off.

    It works on `state.stock`, which keeps what is known of the nodes from cycle to cycle; what it gives away
    is looked at again in the next one.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._stock = stock = state.stock
        stock.refresh(state.nodes, lambda node, order: view_of(state, node, order))
        self.views = stock.views
        self._replaced: list[NodeView] = []  # as they were
        self._largest: Resources | None = None
        self._asked: set[ShapeKey] = set()
        self._task: Task | None = None  # whose shape was asked for last
        self._shape: Shape | None = None
        self._devices: dict[NodeId, list[int]] = {}
        self.examined = 0

    def fitting(self, task: Task) -> set[int]:
        """The orders of the nodes with room for one worker of the task now. Not to be changed."""
        return self._fits(task).fitting

    def _fits(self, task: Task) -> Shape:
        """`examined` counts what looking at the nodes in every cycle would take: a bound on one cycle's work
        that does not depend on what is known from the one before."""
        known = self._shape if task is self._task and self._shape is not None else None
        shape = self._stock.shape(known.key if known is not None else shape_of(task))
        self._task, self._shape = task, shape
        if shape.key not in self._asked:
            self._asked.add(shape.key)
            if shape.fitting or shape.key.need.fits(self._most_free()):
                self.examined += len(self.views)
        self.examined += len(shape.fitting)
        return shape

    def _most_free(self) -> Resources:
        """No node had more of anything when the cycle began."""
        if self._largest is None:
            free = [view.free for view in (*self.views, *self._replaced)]
            self._largest = Resources(
                max((each.cpu_m for each in free), default=-1),
                max((each.memory for each in free), default=-1),
                max((each.gpus for each in free), default=-1),
                max((each.lanes for each in free), default=-1),
            )
        return self._largest

    def able(self, task: Task) -> frozenset[int]:
        """The orders of the nodes that could hold one worker if they were empty."""
        spec = task.spec
        key = (*shape_of(task), len(self.views))
        able = self._state.able.get(key)
        if able is None:
            able = frozenset(at for at, node in enumerate(self._stock.nodes) if misfit(spec, node) is None)
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
        return self._stock.free

    def best(
        self, task: Task, guard: Guard | None, placement: Placement, context: Context
    ) -> NodeView | None:
        """The node for one worker among those with room that `guard` leaves open; None if there is none."""
        fitting = self.fitting(task)
        if guard is not None:
            fitting = guard(task, fitting)
        if not fitting:
            return None
        views = self.views
        if placement.by_node_alone:
            scores = self._stock.scores(placement, lambda view: placement.score(view, task, context))
            return views[min(fitting, key=scores.__getitem__)]
        score, at = min((placement.score(views[at], task, context), at) for at in fitting)
        return None if score[0] == math.inf else views[at]

    def fill(self, task: Task, placement: Placement, context: Context, wanted: int) -> list[Assignment]:
        """Take nodes for as many workers as fit, up to `wanted`: each the one that `best` would name without
        a guard, for a placement that looks at nodes alone."""
        stock, shape = self._stock, self._fits(task)
        stock.scores(placement, lambda view: placement.score(view, task, context))
        taken: list[Assignment] = []
        while shape.fitting and len(taken) < wanted:
            if taken:
                self.examined += len(shape.fitting)
            at = stock.first(shape, wanted >= _OFTEN)
            taken.append(self.take(task, self.views[at]))
            stock.took(shape, at)
        return taken

    def planned_node_usable(self, task: Task) -> bool:
        """Whether the node the task is planned for takes work and could hold the task if it were empty."""
        spec = task.spec
        at = self._stock.at.get(spec.planned.node) if spec.planned is not None else None
        if at is None or at not in self.able(task):
            return False
        wanted = task.pinned or spec.min_workers
        return spec.resources.times_fitting(self.views[at].capacity) >= wanted

    def places(self, task: Task) -> int:
        """How many workers of the task the free resources hold."""
        return self._stock.places(self._fits(task))

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
        view = self.views[self._stock.at[assignment.node]]
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

    def _free_devices(self, view: NodeView) -> list[int]:
        free = self._devices.get(view.id)
        if free is None:
            busy = self._state.busy_devices(view.id)
            free = self._devices[view.id] = [d for d in range(view.capacity.gpus) if d not in busy]
        return free

    def _replace(self, view: NodeView) -> None:
        self._replaced.append(self.views[view.order])
        self._stock.put(view)
        self._stock.touch(view.id)
