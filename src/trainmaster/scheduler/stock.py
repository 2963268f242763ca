"""The nodes that take work and what is free on each, kept from one cycle to the next.

Between two cycles a few nodes of thousands change. Only these are looked at again, and what was made of the
others stays: their views, their sum, their scores, and which of them hold a worker of some shape.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import NamedTuple

from trainmaster.domain.cluster import Node, NodeState
from trainmaster.domain.ids import NodeId
from trainmaster.domain.units import NOTHING, Resources
from trainmaster.policies.base import NodeView, Placement

# Asked so often for one shape of need, a heap of the nodes is worth what keeping it up to date costs.
_OFTEN = 8
_SHAPES = 256  # kept at a time

Score = tuple[float, ...]


class ShapeKey(NamedTuple):
    """What decides which nodes can hold a worker of a task."""

    need: Resources
    labels: tuple[tuple[str, str], ...]
    container: bool


class Shape:
    """The nodes with room for one worker of a shape now, by their order. Made by `Stock.shape`."""

    __slots__ = ("asked", "counts", "fitting", "heap", "key", "places", "seen", "wanted")

    def __init__(self, key: ShapeKey) -> None:
        self.key = key
        self.wanted = frozenset(key.labels)
        self.fitting: set[int] = set()
        self.heap: list[tuple[Score, int]] | None = None  # of the nodes that fit, and stale ones
        self.seen = -1  # so many changes of nodes are taken in; -1: none ever
        self.asked = 0  # how often for a node
        self.counts: dict[int, int] | None = None  # workers each node holds, once somebody asked
        self.places = 0  # their sum


class Stock:
    """What `Room` works with. Whoever changes a node says so (`touch`, `rebuild`); `refresh` acts on it."""

    def __init__(self) -> None:
        self.views: list[NodeView] = []
        self.nodes: list[Node] = []
        self.at: dict[NodeId, int] = {}
        self._touched: dict[NodeId, None] = {}
        self._stale = True
        self._cpu_m = self._memory = self._gpus = self._lanes = 0  # free over all nodes
        self._changes: list[int] = []  # orders of the nodes whose views were replaced, one after another
        self._shapes: dict[ShapeKey, Shape] = {}
        self._scores: list[Score] = []
        self._score: Callable[[NodeView], Score] = lambda view: ()
        self._scored_by: Placement | None = None
        self._scored = 0  # changes whose scores are known

    def touch(self, node: NodeId) -> None:
        """Something on the node changed: look at it again."""
        self._touched[node] = None

    def rebuild(self) -> None:
        """A node came, went, or takes work now and did not before."""
        self._stale = True

    def refresh(self, nodes: Mapping[NodeId, Node], look: Callable[[Node, int], NodeView]) -> None:
        """Bring everything up to date. `look` makes a view of a node of a given order."""
        if self._stale:
            self._begin(nodes, look)
            return
        for node_id in self._touched:
            at = self.at.get(node_id)
            if at is not None:
                self.nodes[at] = nodes[node_id]
                view = look(nodes[node_id], at)
                if view != self.views[at]:  # else it is as the cycle before expected
                    self.put(view)
        self._touched.clear()
        if len(self._changes) > 4 * len(self.views) + 1000 or len(self._shapes) > _SHAPES:
            self._forget()

    def _begin(self, nodes: Mapping[NodeId, Node], look: Callable[[Node, int], NodeView]) -> None:
        known = {view.id: view for view in self.views if view.id not in self._touched}
        self.nodes = [node for node in nodes.values() if node.state is NodeState.UP]
        self.views = []
        for order, node in enumerate(self.nodes):
            view = known.get(node.id)
            self.views.append(look(node, order) if view is None or view.order != order else view)
        self.at = {view.id: view.order for view in self.views}
        self._cpu_m = self._memory = self._gpus = self._lanes = 0
        for view in self.views:
            self._add(view.free, NOTHING)
        self._touched.clear()
        self._stale = False
        self._forget()
        self._scored_by = None

    def _forget(self) -> None:
        self._shapes.clear()
        self._scored_by = None
        self._changes.clear()

    def put(self, view: NodeView) -> None:
        """Replace the view of its order."""
        self._add(view.free, self.views[view.order].free)
        self.views[view.order] = view
        self._changes.append(view.order)

    def _add(self, more: Resources, less: Resources) -> None:
        self._cpu_m += more.cpu_m - less.cpu_m
        self._memory += more.memory - less.memory
        self._gpus += more.gpus - less.gpus
        self._lanes += more.lanes - less.lanes

    @property
    def free(self) -> Resources:
        """Over all nodes."""
        return Resources(self._cpu_m, self._memory, self._gpus, self._lanes)

    def shape(self, key: ShapeKey) -> Shape:
        """Up to date."""
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = Shape(key)
        since = len(self._changes) - shape.seen
        if not since:
            return shape
        if shape.seen < 0 or 2 * since > len(self.views):  # looking at all of them is less work
            need = key.need
            shape.heap = shape.counts = None
            shape.fitting = {view.order for view in self.views if need.fits(view.free)}
            if key.labels or key.container:
                shape.fitting = {at for at in shape.fitting if self._suits(shape, at)}
        else:
            self._catch_up(shape)
        shape.seen = len(self._changes)
        return shape

    def places(self, shape: Shape) -> int:
        """How many workers of the shape the nodes hold now."""
        if shape.counts is None:
            times_fitting = shape.key.need.times_fitting
            shape.counts = {at: times_fitting(self.views[at].free) for at in shape.fitting}
            shape.places = sum(shape.counts.values())
        return shape.places

    def _catch_up(self, shape: Shape) -> None:
        if shape.counts is not None:
            self._count_changed(shape, shape.counts)
        fits, fitting, heap = shape.key.need.fits, shape.fitting, shape.heap
        selective = shape.key.container or shape.wanted
        if heap is not None:
            self._score_changed()
        for at in self._changes[shape.seen :]:
            if not fits(self.views[at].free) or (selective and not self._suits(shape, at)):
                fitting.discard(at)
                continue
            fitting.add(at)
            if heap is not None:
                heapq.heappush(heap, (self._scores[at], at))

    def _count_changed(self, shape: Shape, counts: dict[int, int]) -> None:
        need, selective = shape.key.need, shape.key.container or shape.wanted
        for at in set(self._changes[shape.seen :]):
            free = self.views[at].free
            suits = need.fits(free) and (not selective or self._suits(shape, at))
            count = need.times_fitting(free) if suits else 0
            shape.places += count - counts.get(at, 0)
            counts[at] = count

    def _suits(self, shape: Shape, at: int) -> bool:
        node = self.nodes[at]
        return shape.wanted <= set(node.labels) and (not shape.key.container or node.containers)

    def scores(self, placement: Placement, score: Callable[[NodeView], Score]) -> list[Score]:
        """Of all nodes by `score`, which is what `placement`, that looks at nodes alone, says."""
        if self._scored_by is not placement:
            self._scored_by = placement
            for shape in self._shapes.values():
                shape.heap = None
            self._scores = [(*score(view), view.order) for view in self.views]
            self._scored = len(self._changes)
        self._score = score
        self._score_changed()
        return self._scores

    def _score_changed(self) -> None:
        for at in self._changes[self._scored :]:
            self._scores[at] = (*self._score(self.views[at]), at)
        self._scored = len(self._changes)

    def first(self, shape: Shape, often: bool) -> int:
        """The node that fits with the smallest score (see `scores`). If that is asked often, at a cost that
        does not grow with their number: what changed since it was put on the heap was put there again."""
        shape.asked += 1
        fitting, scores = shape.fitting, self._scores
        if shape.heap is None:
            if not often and shape.asked < _OFTEN:
                return min(fitting, key=scores.__getitem__)
            shape.heap = [(scores[at], at) for at in fitting]
            heapq.heapify(shape.heap)
        heap = shape.heap
        while True:
            score, at = heap[0]
            if at in fitting and scores[at] == score:
                return at
            heapq.heappop(heap)

    def took(self, shape: Shape, at: int) -> None:
        """Bring a shape that knew of everything else up to date with the latest change: of the node that was
        `first`."""
        view = self.views[at]
        score = self._scores[at] = (*self._score(view), at)
        self._scored = shape.seen = len(self._changes)
        need, heap = shape.key.need, shape.heap
        fits = need.fits(view.free)
        if shape.counts is not None:
            count = need.times_fitting(view.free) if fits else 0
            shape.places += count - shape.counts.get(at, 0)
            shape.counts[at] = count
        if not fits:
            shape.fitting.discard(at)
        elif heap is not None:
            heapq.heapreplace(heap, (score, at))
