"""First come, first served with all there is."""

from __future__ import annotations

from collections.abc import Mapping

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.base import AllotmentView


class FcfsAllotment:
    """The first task takes as many workers as fit, up to its maximum; later ones take what is left.

    Who runs already keeps at least what it has; what becomes free goes to the earliest first.
    """

    name = "fcfs"
    suspends = False

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        budget = Budget(view)
        for claim in view.claims:
            if claim.workers and claim.movable:
                budget.give(claim, claim.workers)
        for claim in view.claims:
            if claim.workers or (claim.movable and budget.give(claim, claim.least)):
                budget.give(claim, budget.spare(claim))
        return budget.given
