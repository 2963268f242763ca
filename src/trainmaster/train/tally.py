"""How many samples the group gets through a second, and when it is time to say so again."""

from __future__ import annotations

import time

FIRST_STEPS = 5  # of a generation, before anything is said
EVERY_S = 2.0


class Tally:
    """Counts since it was last taken. One for each generation: their speeds are to be told apart."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._samples = 0
        self._steps = 0
        self._said = False

    def step(self, samples: int, urgent: bool) -> bool:
        """Count a step. True if it is time to tell: sometimes, or at once when `urgent`."""
        self._samples += samples
        self._steps += 1
        if urgent or (not self._said and self._steps >= FIRST_STEPS):
            return True
        return self._said and time.monotonic() - self._since >= EVERY_S

    def take(self) -> float:
        """Samples per second since the beginning or the last time."""
        now = time.monotonic()
        rate = self._samples / max(now - self._since, 1e-9)
        self._since, self._samples, self._said = now, 0, True
        return round(rate, 3)
