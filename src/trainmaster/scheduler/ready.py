"""The tasks that could start now, in the order of the ordering policy.

Tasks that look alike to admission and placement (same user, same needs) share a *lot*: when the first of a
lot finds no room, none of the rest can, so a cycle looks at each lot once however long the queue is.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import count as count_from
from typing import NamedTuple

from trainmaster.domain.ids import TaskId
from trainmaster.domain.task import Task, TaskKind, TaskSpec
from trainmaster.domain.units import Resources


class LotKey(NamedTuple):
    user: str
    resources: Resources
    node_labels: tuple[tuple[str, str], ...]
    container: bool
    min_workers: int
    max_workers: int
    preempting: bool
    alone: int  # an elastic task is one of its own, since the allotment policy decides on each; else 0


Key = tuple[float, ...]
_Entry = tuple[Key, TaskId]


def lot_of(task: Task) -> LotKey:
    spec: TaskSpec = task.spec
    return LotKey(
        spec.user,
        spec.resources,
        spec.node_labels,
        spec.kind is TaskKind.CONTAINER,
        task.pinned or spec.min_workers,
        task.pinned or spec.max_workers,
        task.preempting,
        task.seq if spec.elastic else 0,
    )


class Ready:
    """A priority queue of lots, each a priority queue of tasks. Removal is lazy: stale ones are skipped."""

    def __init__(self) -> None:
        self._lots: dict[LotKey, list[_Entry]] = {}
        self._tops: list[tuple[Key, TaskId, LotKey]] = []  # the first of every lot, and stale ones
        self._entries: dict[TaskId, tuple[LotKey, Key]] = {}
        self.elastic = 0  # tasks that could have more workers than their minimum

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, task: TaskId) -> bool:
        return task in self._entries

    def __iter__(self) -> Iterator[TaskId]:
        return iter(self._entries)

    def put(self, task: Task, key: Key) -> None:
        """Add, or move to a new key."""
        # Those on whose behalf others were stopped come before everybody, whatever the ordering.
        full = ((0.0,) if task.preempting else (1.0,)) + key
        lot = lot_of(task)
        if self._entries.get(task.id) == (lot, full):
            return
        if task.id not in self._entries:
            self.elastic += task.spec.elastic
        self._entries[task.id] = (lot, full)
        heap = self._lots.setdefault(lot, [])
        heapq.heappush(heap, (full, task.id))
        if heap[0] == (full, task.id):
            heapq.heappush(self._tops, (full, task.id, lot))

    def remove(self, task: TaskId) -> None:
        entry = self._entries.pop(task, None)
        if entry is not None:
            self.elastic -= entry[0].alone > 0

    def rekey(self, tasks: Callable[[TaskId], Task], key: Callable[[Task], Key]) -> None:
        """Order everything anew, after the ordering policy changed."""
        ids = list(self._entries)
        self._lots.clear()
        self._tops.clear()
        self._entries.clear()
        self.elastic = 0
        for task_id in ids:
            task = tasks(task_id)
            self.put(task, key(task))

    def ahead_of(self, task: TaskId, limit: int) -> tuple[int, list[TaskId]]:
        """How many tasks precede this one, and the first `limit` of them in order."""
        if task not in self._entries:
            return 0, []
        mine = (self._entries[task][1], task)
        before = [(key, other) for other, (_, key) in self._entries.items() if (key, other) < mine]
        return len(before), [other for _, other in heapq.nsmallest(limit, before)]

    def first(self, count: int) -> list[TaskId]:
        """The first `count` tasks in order."""
        order = heapq.nsmallest(count, ((key, task) for task, (_, key) in self._entries.items()))
        return [task for _, task in order]

    def head(self, count: int) -> list[TaskId]:
        """The first `count` tasks in order, at a cost that does not depend on the queue's length.

        Best first through the heaps: that of the tops leads to those of the lots. A stale top is not later
        than the true head of its lot, so nothing is missed.
        """
        found: dict[TaskId, None] = {}
        begun: set[LotKey] = set()
        numbers = count_from(0)
        # (key and task, number against comparing what follows, lot or None for the tops, place in the heap)
        front: list[tuple[_Entry, int, LotKey | None, int]] = []

        def push(lot: LotKey | None, at: int) -> None:
            heap = self._tops if lot is None else self._lots.get(lot, [])
            if at < len(heap):
                heapq.heappush(front, (heap[at][:2], next(numbers), lot, at))

        push(None, 0)
        while front and len(found) < count:
            (key, task), _, lot, at = heapq.heappop(front)
            if lot is None:
                top = self._tops[at][2]
                if top not in begun:
                    begun.add(top)
                    push(top, 0)
            elif self._entries.get(task) == (lot, key):
                found[task] = None
            push(lot, 2 * at + 1)
            push(lot, 2 * at + 2)
        return list(found)

    def walk(self) -> Iterator[TaskId]:
        """The tasks in order, lot by lot: of a lot whose task is still queued when the walk goes on (it found
        no room) no further task is shown. The cost is that of what is shown, not of what is queued."""
        shown: set[LotKey] = set()
        try:
            while self._tops:
                key, task, lot = self._tops[0]
                if lot in shown or self._entries.get(task) != (lot, key):
                    heapq.heappop(self._tops)
                    if lot not in shown and (head := self._head(lot)) is not None:
                        heapq.heappush(self._tops, (*head, lot))
                    continue
                yield task
                if task in self._entries:
                    shown.add(lot)
        finally:
            for lot in shown:
                if (head := self._head(lot)) is not None:
                    heapq.heappush(self._tops, (*head, lot))

    def _head(self, lot: LotKey) -> _Entry | None:
        heap = self._lots.get(lot)
        while heap:
            key, task = heap[0]
            if self._entries.get(task) == (lot, key):
                return heap[0]
            heapq.heappop(heap)
        self._lots.pop(lot, None)
        return None
