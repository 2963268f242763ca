"""AFS-L (Hwang et al., NSDI 2021): apathetic future share."""

from __future__ import annotations

from collections.abc import Mapping

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.allotment.estimates import remaining, seconds_each
from trainmaster.policies.base import AllotmentView, Claim


class Afs:
    """One worker at a time to the winner of a contest of pairs.

    Between a and b, a the one that would end first with what both have: b gets the worker if (p_b' − p_b) /
    p_b' > (p_a' − p_a) / p_a, where p is the speed with what it has and p' with one more; else a. (AFS-L's
    rule as we derived it; whoever has nothing yet counts with speed 0 and precedes.) *Knows* what the claims
    carry, else estimates as Optimus. Ties: the order of the claims.
    """

    name = "afs"
    suspends = False

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        budget = Budget(view)
        served = [claim for claim in budget.give_least(view.claims) if claim.movable]
        speeds = {claim.task.id: [1 / s for s in seconds_each(claim)] for claim in served}
        left = {claim.task.id: remaining(claim) for claim in served}
        while True:
            open_ = [
                claim
                for claim in served
                if budget.spare(claim)
                and (has := budget.given[claim.task.id]) < len(speeds[claim.task.id])
                and speeds[claim.task.id][has] > speeds[claim.task.id][has - 1]
            ]
            if not open_:
                return budget.given
            winner = open_[0]
            for other in open_[1:]:
                winner = _contest(winner, other, budget, speeds, left)
            budget.give(winner)


def _contest(
    one: Claim, two: Claim, budget: Budget, speeds: Mapping[TaskId, list[float]], left: Mapping[TaskId, float]
) -> Claim:
    def now_and_more(claim: Claim) -> tuple[float, float]:
        has = budget.given[claim.task.id]
        return speeds[claim.task.id][has - 1], speeds[claim.task.id][has]

    (p1, q1), (p2, q2) = now_and_more(one), now_and_more(two)
    if left[two.task.id] / p2 < left[one.task.id] / p1:
        one, two, p1, q1, p2, q2 = two, one, p2, q2, p1, q1
    return two if (q2 - p2) / q2 > (q1 - p1) / p1 else one
