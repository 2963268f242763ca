"""The coupled-scheduling paper's middleware scheduler (its Figure 2)."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

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
        ratios = []
        heap: list[tuple[float, int]] = []
        for at, claim in enumerate(served):
            seconds = fitted_seconds(claim)
            ideal = min(seconds)
            weight = 1.0 + int(claim.task.urgency)
            ratios.append([weight * each / ideal for each in seconds])
            if claim.movable:
                heap.append((-_gain(ratios[at], budget.given[claim.task.id]), at))
        heapq.heapify(heap)
        while heap:
            worse, at = heapq.heappop(heap)
            if worse < 0 and budget.give(served[at]):
                heapq.heappush(heap, (-_gain(ratios[at], budget.given[served[at].task.id]), at))
        return budget.given


def _gain(ratios: list[float], workers: int) -> float:
    return ratios[workers - 1] - ratios[workers] if workers < len(ratios) else 0.0
