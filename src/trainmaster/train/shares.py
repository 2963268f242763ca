"""Shares of the global batch in proportion to measured speed.

Every worker knows every worker's seconds of every step, as they travel with the gradients, so all compute the
same shares without another message. The index of a worker is that of equations 1 and 2 of the
coupled-scheduling paper on its seconds per sample, D = α·mean(last m) + β·current, and the current value
while fewer are known.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

WINDOW = 5  # m
BETA = 0.3  # weight of the newest; α = 1 − β
LEAST = 0.05  # of an equal share: nobody gets less, or it could never show that it became faster
GAIN = 0.05  # shares change only if the step is expected to become shorter by so much


class Shares:
    """The shares of one generation, which begins with equal ones."""

    def __init__(self, size: int) -> None:
        self.weights = [1.0 / size] * size
        self._earlier: list[deque[float]] = [deque(maxlen=WINDOW) for _ in range(size)]
        self._since = 0

    def add(self, counts: Sequence[int], seconds: Sequence[float]) -> bool:
        """Take in one step: each worker's samples and seconds. True if the shares changed."""
        if len(counts) == 1 or any(
            count == 0 or spent <= 0 for count, spent in zip(counts, seconds, strict=True)
        ):
            return False
        index = []
        for earlier, count, spent in zip(self._earlier, counts, seconds, strict=True):
            now = spent / count
            known = len(earlier) == WINDOW
            index.append((1 - BETA) * math.fsum(earlier) / WINDOW + BETA * now if known else now)
            earlier.append(now)
        self._since += 1
        if self._since <= WINDOW:  # as many steps under the present shares
            return False
        wanted = proportional([1.0 / value for value in index])
        before = max(weight * value for weight, value in zip(self.weights, index, strict=True))
        after = max(weight * value for weight, value in zip(wanted, index, strict=True))
        if after > before * (1 - GAIN):
            return False
        self.weights, self._since = wanted, 0
        return True


def proportional(speeds: Sequence[float]) -> list[float]:
    """Shares that add up to 1, in proportion to `speeds` but none below `LEAST` of an equal one."""
    least = LEAST / len(speeds)
    total = math.fsum(speeds)
    raised = [max(speed / total, least) for speed in speeds]
    sum_raised = math.fsum(raised)
    return [share / sum_raised for share in raised]
