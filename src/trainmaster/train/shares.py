"""Shares of the global batch by measured speed.

Every worker knows every worker's seconds of every step, as they travel with the gradients, so all compute the
same shares without another message. A worker takes t = a + b·n seconds for n samples. The fixed cost a is
fitted to steps of different size (other shares, the smaller last batch of an epoch). The time per sample is
the index of equations 1 and 2 of the coupled-scheduling paper on (t − a)/n: b = α·mean(last m) + β·current,
and the current value while fewer are known. Its sampling points are the looks at the shares, a few steps
apart, each with the mean of the steps since the last: single steps scatter by more than shares should move.
Shares make all finish at the same time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

WINDOW = 5  # m, in looks at the shares
BETA = 0.3  # weight of the newest; α = 1 − β
EVERY = 6  # steps from one look to the next
LEAST = 0.05  # of an equal share: nobody gets less, or it could never show that it became faster
GAIN = 0.05  # shares change only if the step is expected to become shorter by so much
FITTED = 60  # steps the fixed cost is fitted to
SPREAD = 1.25  # it is fitted once the largest of them has so many times the samples of the smallest
MOST_FIXED = 0.9  # of the shortest step: the rest is left to the samples, whatever the fit says


class Speed:
    """What is known of one worker: `fixed_s` a step and `sample_s` a sample, as of the last `fit`."""

    def __init__(self) -> None:
        self.fixed_s = 0.0
        self.sample_s = 0.0
        self._steps: deque[tuple[int, float]] = deque(maxlen=FITTED)
        self._unseen = 0  # steps since the last fit
        self._points: deque[tuple[int, int, float]] = deque(maxlen=WINDOW)  # steps, samples, seconds

    def add(self, count: int, spent_s: float) -> None:
        """Take in one step of `count` > 0 samples."""
        self._steps.append((count, spent_s))
        self._unseen += 1

    def fit(self) -> None:
        """Learn from the steps since the last fit, of which there is one at least."""
        newest = list(self._steps)[-self._unseen :]
        self.fixed_s = fixed_cost(self._steps, self.fixed_s)
        point = (len(newest), sum(n for n, _ in newest), math.fsum(spent for _, spent in newest))
        now = self._each_s(point)
        if len(self._points) == WINDOW:
            past = math.fsum(map(self._each_s, self._points)) / WINDOW
            now = (1 - BETA) * past + BETA * now
        self.sample_s = now
        self._points.append(point)
        self._unseen = 0

    def _each_s(self, point: tuple[int, int, float]) -> float:
        steps, samples, seconds = point
        return (seconds - steps * self.fixed_s) / samples

    def time_s(self, samples: float) -> float:
        return self.fixed_s + self.sample_s * samples


class Shares:
    """The shares of one generation, which begins with equal ones."""

    def __init__(self, size: int) -> None:
        self.weights = [1.0 / size] * size
        self.speeds = [Speed() for _ in range(size)]
        self._batch = 0
        self._since = 0

    def add(self, counts: Sequence[int], seconds: Sequence[float]) -> bool:
        """Take in one step: each worker's samples and seconds. True if the shares changed."""
        if len(counts) == 1 or any(
            count == 0 or spent <= 0 for count, spent in zip(counts, seconds, strict=True)
        ):
            return False
        for speed, count, spent in zip(self.speeds, counts, seconds, strict=True):
            speed.add(count, spent)
        self._batch = max(self._batch, sum(counts))  # the last of an epoch may be smaller
        self._since += 1
        # Only now and then, as a fit takes as long as a hundredth of a short step.
        if self._since % EVERY:
            return False
        for speed in self.speeds:
            speed.fit()
        wanted = balanced(self.speeds, self._batch)
        if self._step_s(wanted) > self._step_s(self.weights) * (1 - GAIN):
            return False
        self.weights, self._since = wanted, 0
        return True

    def _step_s(self, weights: Sequence[float]) -> float:
        return max(
            speed.time_s(weight * self._batch) for speed, weight in zip(self.speeds, weights, strict=True)
        )


def fixed_cost(steps: Sequence[tuple[int, float]], before: float) -> float:
    """The a ≥ 0 of the least-squares line t = a + b·n, b ≥ 0, through (samples, seconds).

    `before`, what was known, while the sizes are too alike to tell; never above `MOST_FIXED` of the shortest.
    """
    counts = [count for count, _ in steps]
    if max(counts) >= SPREAD * min(counts):
        mean_n = math.fsum(counts) / len(steps)
        mean_t = math.fsum(spent for _, spent in steps) / len(steps)
        slope = math.fsum((n - mean_n) * (t - mean_t) for n, t in steps) / math.fsum(
            (n - mean_n) ** 2 for n in counts
        )
        before = mean_t - max(slope, 0.0) * mean_n
    return min(max(before, 0.0), MOST_FIXED * min(spent for _, spent in steps))


def balanced(speeds: Sequence[Speed], batch: int) -> list[float]:
    """Shares that add up to 1 and let all take equally long over `batch` samples, none below the least.

    With T the common time, nᵢ = (T − aᵢ)/bᵢ; who would get less than `LEAST` of an equal share gets that, and
    the others divide the rest.
    """
    least = LEAST * batch / len(speeds)
    raised: set[int] = set()
    while True:
        free = [at for at in range(len(speeds)) if at not in raised]
        rest = batch - least * len(raised)
        per_second = math.fsum(1 / speeds[at].sample_s for at in free)
        fixed = math.fsum(speeds[at].fixed_s / speeds[at].sample_s for at in free)
        time_s = (rest + fixed) / per_second
        parts = [least] * len(speeds)
        for at in free:
            parts[at] = (time_s - speeds[at].fixed_s) / speeds[at].sample_s
        below = {at for at in free if parts[at] < least}
        if not below:
            return [part / batch for part in parts]
        raised |= below
