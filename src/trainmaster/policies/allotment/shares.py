"""Giving out by weight: everybody has the minimum, the rest goes where workers per weight are fewest."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.base import AllotmentView


def weighted(view: AllotmentView, weights: Mapping[TaskId, float]) -> Mapping[TaskId, int]:
    """Weighted max-min shares inside the bounds. A weight of 0 keeps a claim at its minimum. Ties: by
    `seq`."""
    budget = Budget(view)
    served = budget.give_least(view.claims)
    given = budget.given
    heap = [
        (given[claim.task.id] / weight, claim.task.seq, at, weight)
        for at, claim in enumerate(served)
        if claim.movable and (weight := weights[claim.task.id]) > 0
    ]
    heapq.heapify(heap)
    while heap:
        _, seq, at, weight = heap[0]
        claim = served[at]
        if budget.give(claim):
            heapq.heapreplace(heap, (given[claim.task.id] / weight, seq, at, weight))
        else:
            heapq.heappop(heap)
    return given
