"""AFS-L (Hwang et al., NSDI 2021): apathetic future share."""

from __future__ import annotations

from collections.abc import Mapping

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.allotment.estimates import remaining, seconds_each
from trainmaster.policies.base import AllotmentView


class Afs:
    """One worker at a time to the winner of a tournament of pairs.

    Between a and b, a the one that would end first with what both have: b gets the worker if (p_b' − p_b) /
    p_b' > (p_a' − p_a) / p_a, where p is the speed with what it has and p' with one more; else a. (AFS-L's
    rule as we derived it; whoever has nothing yet counts with speed 0 and precedes.) Neighbours meet first
    (the paper names the contest, not who meets whom), and after each gift only the winner's contests are held
    anew. *Knows* what the claims carry, else estimates as Optimus. Ties: the order of the claims.
    """

    name = "afs"
    suspends = False

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        budget = Budget(view)
        served = [claim for claim in budget.give_least(view.claims) if claim.movable]
        seconds = [seconds_each(claim) for claim in served]
        left = [remaining(claim) for claim in served]

        def entrant(at: int) -> _Entrant | None:
            """None: more workers are not to be had, or would not make it faster."""
            claim, each = served[at], seconds[at]
            has = budget.given[claim.task.id]
            if not budget.spare(claim) or has >= len(each):
                return None
            now, more = 1 / each[has - 1], 1 / each[has]
            if more <= now:
                return None
            return (left[at] / now, (more - now) / now, (more - now) / more, at)

        # A complete binary tree: the entrants are its leaves, the root is tree[1].
        size = 1 << max(len(served) - 1, 0).bit_length()
        tree: list[_Entrant | None] = [None] * (2 * size)
        tree[size : size + len(served)] = [entrant(at) for at in range(len(served))]
        for place in range(size - 1, 0, -1):
            tree[place] = _contest(tree[2 * place], tree[2 * place + 1])
        while (winner := tree[1]) is not None:
            at = winner[3]
            budget.give(served[at])
            place = size + at
            tree[place] = best = entrant(at)
            while place > 1:
                other = tree[place ^ 1]
                best = _contest(other, best) if place & 1 else _contest(best, other)
                place >>= 1
                tree[place] = best
        return budget.given


# In how long it ends at its present speed; what one more worker adds, by the present speed and by the one it
# would have then; its place among the claims.
_Entrant = tuple[float, float, float, int]


def _contest(one: _Entrant | None, two: _Entrant | None) -> _Entrant | None:
    if one is None or two is None:
        return one or two
    if two[0] < one[0]:
        one, two = two, one
    return two if two[2] > one[1] else one
