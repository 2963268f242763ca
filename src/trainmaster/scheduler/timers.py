"""Things due at a time, as part of the state."""

from __future__ import annotations

import heapq
from enum import StrEnum
from typing import NamedTuple

from trainmaster.domain.ids import TaskId


class TimerKind(StrEnum):
    ATTEMPT_TIMEOUT = "attempt-timeout"
    QUEUE_TIMEOUT = "queue-timeout"
    BACKOFF_OVER = "backoff-over"  # or a release time has come
    PRIORITY_PERIOD = "priority-period"
    GROUP_PATIENCE = "group-patience"  # stamp: the generation that should have begun
    JOINER_PATIENCE = "joiner-patience"  # stamp: the rank that should be a member
    WORKFLOW_TIMEOUT = "workflow-timeout"  # this and the next two: of a workflow run; stamp: its round
    WORKFLOW_TIME = "workflow-time"  # it may begin
    WORKFLOW_PATIENCE = "workflow-patience"  # it begins without its plan
    ALLOTMENT = "allotment"  # of no task: look at the worker counts again


OF_RUNS = frozenset({TimerKind.WORKFLOW_TIMEOUT, TimerKind.WORKFLOW_TIME, TimerKind.WORKFLOW_PATIENCE})


class Timer(NamedTuple):
    """`stamp` names the situation the timer was set in (an attempt number); a later one makes it void."""

    due: float
    kind: TimerKind
    task: TaskId
    stamp: int


class Timers:
    """A heap. Setting never replaces: whoever takes a timer checks its stamp against the present."""

    def __init__(self) -> None:
        self._heap: list[Timer] = []

    def set(self, timer: Timer) -> None:
        heapq.heappush(self._heap, timer)

    def due(self, now: float) -> list[Timer]:
        """Take all timers due by `now`, earliest first."""
        taken = []
        while self._heap and self._heap[0].due <= now:
            taken.append(heapq.heappop(self._heap))
        return taken

    def next_due(self) -> float | None:
        return self._heap[0].due if self._heap else None

    def __len__(self) -> int:
        return len(self._heap)
