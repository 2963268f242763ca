"""How long to wait for the others before calling them hung, from how long steps really take."""

from __future__ import annotations

from collections import deque

from trainmaster.train.clock import SYSTEM, Clock

WINDOW = 20  # recent steps that count
FACTOR = 10.0  # a step may take so many times the slowest recent one
FIRST_FACTOR = 2.0  # … and so may what lies between two epochs


class Pace:
    """Measures this worker's time from one agreement to the next, the waiting included.

    A step that takes longer than `limit_s` is a hang. The first step of an epoch is allowed `between_s` at
    least, as scripts evaluate and save there, each worker at its own speed.
    """

    def __init__(self, least_s: float, between_s: float, clock: Clock = SYSTEM) -> None:
        self._clock = clock
        self._least_s = least_s
        self._between_s = max(between_s, least_s)
        self._steps: deque[float] = deque(maxlen=WINDOW)
        self._longest_between_s = 0.0
        self._last = self._clock.monotonic()
        self._first = True

    def restart(self) -> None:
        """Something other than a step comes or came: the next one is a first."""
        self._first = True
        self._last = self._clock.monotonic()

    def agreed(self) -> None:
        """A step was agreed on just now."""
        now = self._clock.monotonic()
        taken = now - self._last
        if self._first:
            self._longest_between_s = max(self._longest_between_s, taken)
        else:
            self._steps.append(taken)
        self._first, self._last = False, now

    @property
    def step_s(self) -> float:
        """Mean of the recent steps; 0 before the first."""
        return sum(self._steps) / len(self._steps) if self._steps else 0.0

    @property
    def limit_s(self) -> float:
        """How long to wait for the others from now on."""
        if self._first or not self._steps:
            return max(self._between_s, FIRST_FACTOR * self._longest_between_s)
        return max(self._least_s, FACTOR * max(self._steps))
