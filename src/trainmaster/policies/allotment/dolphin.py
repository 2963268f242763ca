"""Dolphin (Lee et al., ICML ML Systems workshop 2016): the count with the shortest epoch, for one job at a
time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.allotment.estimates import fitted_seconds
from trainmaster.policies.allotment.fair import Fair
from trainmaster.policies.base import AllotmentView, Claim


@dataclass(frozen=True, slots=True)
class Dolphin:
    """Inside its fair share each task gets the count with the least predicted epoch time.

    The paper optimises one job on E machines, split into servers and workers; it changes the configuration
    only when the predicted epoch is shorter by more than `threshold`. Ours has no servers, so what is scanned
    is the count of workers up to the share; that several jobs share evenly is our reading (FS around it).
    What a task leaves is not passed on, as the paper's optimizer knows nothing of other jobs.
    """

    threshold: float = 0.05
    name: str = "dolphin"
    suspends: bool = False

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        shares = Fair().allot(view)
        budget = Budget(view)
        for claim in view.claims:
            share = shares[claim.task.id]
            if claim.movable and share:
                budget.give(claim, self._count(claim, share))
        return budget.given

    def _count(self, claim: Claim, share: int) -> int:
        seconds = fitted_seconds(claim)
        best = min(range(claim.least, share + 1), key=lambda count: seconds[count - 1])
        present = claim.workers
        if claim.least <= present <= share and seconds[best - 1] > seconds[present - 1] * (
            1 - self.threshold
        ):
            return present
        return best
