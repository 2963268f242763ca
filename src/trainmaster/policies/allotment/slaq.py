"""SLAQ (Zhang et al., SoCC 2017): workers go where they lower the loss most."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.allotment.estimates import fitted_seconds, largest_drop, loss_curve
from trainmaster.policies.base import AllotmentView, Claim

Drop = Callable[[int], float]


@dataclass(frozen=True, slots=True)
class Slaq:
    """Everybody has the minimum; one more goes to the largest predicted extra drop of normalised loss.

    The drop over the next `epoch_s` seconds is predicted from the loss curve (`estimates.loss_curve`: the
    paper's 1/(ak² + bk + c) + d for first-order methods, here without its quadratic term) and iterations ∝
    time / seconds per step; it is divided by the largest drop between two reports so far. A task without
    three losses counts with a drop of 1 per epoch at the speed of its minimum, so that it is explored (the
    paper is silent). Until nothing fits. Ties: the order of the claims.
    """

    epoch_s: float = 60.0
    name: str = "slaq"
    suspends: bool = False

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        budget = Budget(view)
        served = budget.give_least(view.claims)
        drops = [self.drop(claim) for claim in served]
        reached = [0.0] * len(served)  # the drop with the workers each would have after its next one
        heap: list[tuple[float, int]] = []
        for at, claim in enumerate(served):
            if claim.movable:
                has, more = budget.given[claim.task.id], 0.0
                if has < claim.most:
                    reached[at] = drops[at](has + 1)
                    more = reached[at] - drops[at](has)
                heap.append((-more, at))
        heapq.heapify(heap)
        while heap:
            _, at = heap[0]
            claim = served[at]
            if not budget.give(claim):
                heapq.heappop(heap)
                continue
            has, more = budget.given[claim.task.id], 0.0
            if has < claim.most:
                before, reached[at] = reached[at], drops[at](has + 1)
                more = reached[at] - before
            heapq.heapreplace(heap, (-more, at))
        return budget.given

    def drop(self, claim: Claim) -> Drop:
        """Predicted normalised drop of the loss over the next epoch by the number of workers, 1..most. Asked
        one by one, as few of thousands of numbers are needed."""
        seconds = fitted_seconds(claim)
        curve = loss_curve(claim)
        if curve is None:
            return lambda workers: seconds[0] / seconds[workers - 1]
        largest = largest_drop(claim)
        if largest <= 0:
            return lambda workers: 0.0
        a, b, _ = curve
        step, epoch = claim.learned.points[-1].step, self.epoch_s
        now = 1 / max(a * step + b, 1e-12)
        return lambda workers: (now - 1 / max(a * (step + epoch / seconds[workers - 1]) + b, 1e-12)) / largest
