"""What a set of runs amounts to: means, hypervolume, dominance, paired differences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

REFERENCE = (0.855, 15_000.0)  # accuracy and seconds: worse than every method of the paper
_T95 = {4: 2.776, 9: 2.262, 19: 2.093}  # of Student's t, by degrees of freedom


def hypervolume(points: Iterable[tuple[float, float]], reference: tuple[float, float] = REFERENCE) -> float:
    """Area (accuracy × seconds) that (accuracy, seconds) points dominate, up to the reference: more accurate
    and faster is better."""
    worst_accuracy, worst_time = reference
    area, reached = 0.0, worst_accuracy
    for accuracy, time in sorted(points, key=lambda p: (p[1], -p[0])):
        if time < worst_time and accuracy > reached:
            area += (accuracy - reached) * (worst_time - time)
            reached = accuracy
    return area


def dominates(first: tuple[float, float], second: tuple[float, float]) -> bool:
    """At least as accurate and as fast, and better in one."""
    return first[0] >= second[0] and first[1] <= second[1] and first != second


def interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95 % confidence interval of paired differences (Student's t)."""
    values = np.asarray(differences, dtype=float)
    count = len(values)
    if count < 2:
        return float(values.mean()), -math.inf, math.inf
    half = _T95.get(count - 1, 2.0) * float(values.std(ddof=1)) / math.sqrt(count)
    return float(values.mean()), float(values.mean()) - half, float(values.mean()) + half
