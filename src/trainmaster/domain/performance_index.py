"""The performance index of a node (equations 1 and 2 of the coupled-scheduling paper).

    D_n = α · mean(d_{n−m} … d_{n−1}) + β · d_n    while n ≥ m + 1, with α + β = 1
    D_n = d_n                                      before

d_n is the n-th sample of the probe: larger is faster. The paper's text can also be read with finished
indexes D instead of samples d under the mean; samples make the memory end after m probes, so a node that was
slow once is not held to it for ever.
"""

from __future__ import annotations

import math
from collections import deque


class PerformanceIndex:
    """Takes samples, oldest first, and gives the index after each.

    `window` is m, the number of earlier samples; `alpha` (0..1) is their weight, the rest the current one's.
    """

    def __init__(self, window: int = 5, alpha: float = 0.5) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1, got {window}")
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha must be within 0..1, got {alpha}")
        self._alpha = alpha
        self._earlier: deque[float] = deque(maxlen=window)
        self.value: float | None = None

    def add(self, sample: float) -> float:
        """Take one sample (work per second) and return the index. Raises ValueError unless finite and ≥ 0."""
        if not (math.isfinite(sample) and sample >= 0):
            raise ValueError(f"a sample must be finite and not negative, got {sample}")
        if len(self._earlier) < (self._earlier.maxlen or 0):
            self.value = sample
        else:
            # The mean is formed anew, as a running sum would drift; fsum keeps it within the samples' range.
            mean = math.fsum(self._earlier) / len(self._earlier)
            self.value = self._alpha * mean + (1 - self._alpha) * sample
        self._earlier.append(sample)
        return self.value
