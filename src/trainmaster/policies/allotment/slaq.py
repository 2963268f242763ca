"""SLAQ (Zhang et al., SoCC 2017): workers go where they lower the loss most."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.allotment.estimates import fitted_seconds, loss_curve
from trainmaster.policies.base import AllotmentView, Claim


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
        drops = [self.drops(claim) for claim in served]
        heap = [
            (-_gain(drops[at], budget.given[claim.task.id]), at)
            for at, claim in enumerate(served)
            if claim.movable
        ]
        heapq.heapify(heap)
        while heap:
            _, at = heapq.heappop(heap)
            if budget.give(served[at]):
                heapq.heappush(heap, (-_gain(drops[at], budget.given[served[at].task.id]), at))
        return budget.given

    def drops(self, claim: Claim) -> tuple[float, ...]:
        """Predicted normalised drop of the loss over the next epoch with 1..most workers."""
        seconds = fitted_seconds(claim)
        curve = loss_curve(claim)
        if curve is None:
            return tuple(seconds[0] / each for each in seconds)
        losses = [point.loss for point in claim.learned.points if point.loss is not None]
        largest = max((a - b for a, b in itertools.pairwise(losses)), default=0.0)
        if largest <= 0:
            return (0.0,) * len(seconds)
        a, b, _ = curve
        step = claim.learned.points[-1].step
        now = 1 / max(a * step + b, 1e-12)
        return tuple((now - 1 / max(a * (step + self.epoch_s / s) + b, 1e-12)) / largest for s in seconds)


def _gain(drops: tuple[float, ...], workers: int) -> float:
    return drops[workers] - drops[workers - 1] if workers < len(drops) else 0.0
