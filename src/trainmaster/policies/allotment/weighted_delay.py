"""The coupled-scheduling paper's middleware scheduler (its Figure 2)."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.allotment.estimates import fitted_seconds
from trainmaster.policies.base import AllotmentView


@dataclass(frozen=True, slots=True)
class WeightedDelay:
    """If everybody can have the maximum, everybody has it; otherwise the scheme with the least weighted
    delay.

    The paper compares "the weighted delay ratio of each allocation scheme" and gives no formula. Ours: the
    sum over tasks of weight · (predicted / ideal seconds), ideal with the maximum of workers, weight = 1 +
    urgency (the paper wants tasks weighted by importance). Schemes are not enumerated: from the minima, one
    worker at a time goes where it lowers the sum most, which is optimal where seconds fall convexly. Ties: by
    claim order.
    """

    name: str = "weighted_delay"
    suspends: bool = False

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        budget = Budget(view)
        served = budget.give_least(view.claims)
        heap: list[tuple[float, int, _Delay]] = []
        for at, claim in enumerate(served):
            if claim.movable:
                seconds = fitted_seconds(claim)
                delay = _Delay(seconds, 1.0 + int(claim.task.urgency), min(seconds))
                heap.append((-_gain(delay, budget.given[claim.task.id]), at, delay))
        heapq.heapify(heap)
        while heap:
            worse, at, delay = heap[0]
            if worse < 0 and budget.give(served[at]):
                heapq.heapreplace(heap, (-_gain(delay, budget.given[served[at].task.id]), at, delay))
            else:
                heapq.heappop(heap)
        return budget.given


class _Delay(NamedTuple):
    """weight · seconds / ideal of one task."""

    seconds: tuple[float, ...]
    weight: float
    ideal: float


def _gain(delay: _Delay, workers: int) -> float:
    """What one more worker takes off it."""
    seconds, weight, ideal = delay
    if workers >= len(seconds):
        return 0.0
    return weight * seconds[workers - 1] / ideal - weight * seconds[workers] / ideal
