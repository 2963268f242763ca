"""How many samples the group gets through a second, and when it is time to say so again."""

from __future__ import annotations

from trainmaster.train.clock import SYSTEM, Clock

FIRST_STEPS = 5  # of a generation, before anything is said
EVERY_S = 2.0
SOONEST_S = 0.5  # shares of a noisy machine change all the time


class Tally:
    """Counts since it was last taken. One for each generation: their speeds are to be told apart."""

    def __init__(self, clock: Clock = SYSTEM) -> None:
        self._clock = clock
        self._since = clock.monotonic()
        self._samples = 0
        self._steps = 0
        self._said = False
        self._changed = False

    def step(self, samples: int, changed: bool) -> bool:
        """Count a step. True if it is time to tell: now and then, or soon once the shares have `changed`."""
        self._samples += samples
        self._steps += 1
        self._changed |= changed
        if not self._said:
            return self._changed or self._steps >= FIRST_STEPS
        return self._clock.monotonic() - self._since >= (SOONEST_S if self._changed else EVERY_S)

    def take(self) -> float:
        """Samples per second since the beginning or the last time."""
        now = self._clock.monotonic()
        rate = self._samples / max(now - self._since, 1e-9)
        self._since, self._samples = now, 0
        self._said, self._changed = True, False
        return round(rate, 3)
