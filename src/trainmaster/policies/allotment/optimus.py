"""Optimus (Peng et al., EuroSys 2018): workers go where they shorten the remaining time most."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.allotment.estimates import remaining, seconds_each
from trainmaster.policies.base import AllotmentView, Claim


class Optimus:
    """Everybody gets the minimum, then one more goes to the largest saving in time until none saves any.

    *Knows* step times and remaining steps where the claim carries them (as the Pollux artifact has it);
    otherwise both are estimated: the speed by the paper's model for synchronous training, the remaining steps
    by its convergence curve (`estimates`). A worker is one unit of the dominant resource; parameter servers
    do not exist here. Ties: the earliest in the order of the claims.
    """

    name = "optimus"
    suspends = False

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        budget = Budget(view)
        served = budget.give_least(view.claims)
        heap: list[tuple[float, int, tuple[float, ...], float]] = []
        for at, claim in enumerate(served):
            if claim.movable:
                step, left = seconds_each(claim), remaining(claim)
                heap.append((-_saved(step, left, budget.given[claim.task.id], claim), at, step, left))
        heapq.heapify(heap)
        while heap:
            worse, at, step, left = heap[0]
            claim = served[at]
            if worse < 0 and budget.give(claim):
                saved = _saved(step, left, budget.given[claim.task.id], claim)
                heapq.heapreplace(heap, (-saved, at, step, left))
            else:
                heapq.heappop(heap)
        return budget.given


def _saved(step: tuple[float, ...], left: float, workers: int, claim: Claim) -> float:
    """Seconds one more worker saves."""
    if workers + 1 > min(claim.most, len(step)):
        return 0.0
    return (step[workers - 1] - step[workers]) * left
