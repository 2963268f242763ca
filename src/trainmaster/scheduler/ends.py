"""When running tasks should end, by their estimates."""

from __future__ import annotations

import bisect
from collections.abc import Iterator

from trainmaster.domain.ids import TaskId
from trainmaster.domain.task import Task


def expected_end(task: Task) -> float | None:
    """By the estimate, else by the timeout; None if neither is known or the task does not run."""
    length = task.spec.estimate_s if task.spec.estimate_s is not None else task.spec.timeout_s
    start = task.started_at if task.started_at is not None else task.accepted_at
    return None if length is None or start is None else start + length


class Ends:
    """Tasks sorted by expected end, kept up to date. Tasks without an estimate are left out."""

    def __init__(self) -> None:
        self._sorted: list[tuple[float, TaskId]] = []
        self._end: dict[TaskId, float] = {}

    def __iter__(self) -> Iterator[tuple[float, TaskId]]:
        return iter(self._sorted)

    def put(self, task: Task) -> None:
        """Add, or move."""
        end = expected_end(task)
        if self._end.get(task.id) == end:
            return
        self.remove(task.id)
        if end is not None:
            self._end[task.id] = end
            bisect.insort(self._sorted, (end, task.id))

    def remove(self, task: TaskId) -> None:
        end = self._end.pop(task, None)
        if end is not None:
            del self._sorted[bisect.bisect_left(self._sorted, (end, task))]
