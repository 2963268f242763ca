"""AFS-L (Hwang et al., NSDI 2021): apathetic future share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

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
        speeds = [[1 / seconds for seconds in seconds_each(claim)] for claim in served]
        left = [remaining(claim) for claim in served]

        def entrant(at: int) -> _Entrant | None:
            """None: more workers are not to be had, or would not make it faster."""
            claim = served[at]
            has = budget.given[claim.task.id]
            if not budget.spare(claim) or has >= len(speeds[at]) or speeds[at][has] <= speeds[at][has - 1]:
                return None
            return _Entrant(at, speeds[at][has - 1], speeds[at][has], left[at] / speeds[at][has - 1])

        # A complete binary tree: the entrants are its leaves, the root is tree[1].
        size = 1 << max(len(served) - 1, 0).bit_length()
        tree: list[_Entrant | None] = [None] * (2 * size)
        tree[size : size + len(served)] = [entrant(at) for at in range(len(served))]
        for place in range(size - 1, 0, -1):
            tree[place] = _contest(tree[2 * place], tree[2 * place + 1])
        while (winner := tree[1]) is not None:
            budget.give(served[winner.at])
            place = size + winner.at
            tree[place] = entrant(winner.at)
            while place > 1:
                place //= 2
                tree[place] = _contest(tree[2 * place], tree[2 * place + 1])
        return budget.given


class _Entrant(NamedTuple):
    """Speeds with what it has and with one more; `ends`: in how long at the present one."""

    at: int
    now: float
    more: float
    ends: float


def _contest(one: _Entrant | None, two: _Entrant | None) -> _Entrant | None:
    if one is None or two is None:
        return one or two
    if two.ends < one.ends:
        one, two = two, one
    return two if (two.more - two.now) / two.more > (one.more - one.now) / one.now else one
