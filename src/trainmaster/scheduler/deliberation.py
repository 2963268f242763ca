"""An allotment policy's answer: asked for once more where somebody starves, over several steps if need be.

While a policy thinks, the world goes on: what it says in the end is fitted to what is there by then. Nothing
is changed by that where nothing has changed, as in simulations, whose clock stands still meanwhile.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

from trainmaster.domain.ids import TaskId
from trainmaster.domain.replacing import replacer
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.base import Allotment, AllotmentView, Claim, Deliberate
from trainmaster.scheduler.elastic import shrinkable

as_claim = replacer(Claim)
renewed = replacer(AllotmentView)


@dataclass(frozen=True, slots=True)
class Answer:
    """`yielding`: groups in their cooldown were among those that may become smaller."""

    targets: Mapping[TaskId, int]
    yielding: bool


Deliberation = Generator[None, None, Answer]


def deliberation(policy: Allotment, view: AllotmentView) -> Deliberation:
    """Yields between two parts of the policy's thinking; one that does not deliberate has none."""
    targets = yield from _asked(policy, view)
    starved = _starved(view, targets)
    if starved and (claims := yielding(view.claims)) != view.claims:
        again = yield from _asked(policy, renewed(view, claims=claims))
        if any(again.get(claim.task.id, 0) >= claim.least for claim in starved):
            return Answer(again, True)
    return Answer(targets, False)


def yielding(claims: Sequence[Claim]) -> list[Claim]:
    """The claims, but groups in their cooldown, or with workers on their way in, may become smaller."""
    return [
        as_claim(claim, movable=True, least=least, most=claim.workers)
        if claim.workers
        and not claim.movable
        and shrinkable(claim.task)
        and (least := claim.task.pinned or claim.task.spec.min_workers) < claim.workers
        else claim
        for claim in claims
    ]


def within_bounds(claim: Claim, targets: Mapping[TaskId, int]) -> int:
    """The claim's target, what it has if it has none. 0 lets it wait, unless its count was asked for."""
    target = targets.get(claim.task.id, claim.workers)
    if claim.movable and (target or claim.task.pinned is not None):
        target = max(claim.least, min(target, claim.most))
    return target


def still_fitting(view: AllotmentView, targets: Mapping[TaskId, int]) -> dict[TaskId, int]:
    """What can be given in this view of targets that were decided upon in an earlier one, each within its
    claim's bounds: those that run keep what they were left with, then all get what they were to have beyond
    that, in the order of the claims."""
    budget = Budget(view)
    movable = [claim for claim in view.claims if claim.movable]
    for claim in movable:
        budget.give(claim, min(targets[claim.task.id], claim.workers, claim.most))
    for claim in movable:
        has = budget.given[claim.task.id]
        more = min(targets[claim.task.id] - has, budget.spare(claim))
        if more > 0 and has + more >= claim.least:
            budget.give(claim, more)
    return budget.given


def _asked(policy: Allotment, view: AllotmentView) -> Generator[None, None, Mapping[TaskId, int]]:
    if isinstance(policy, Deliberate):
        return (yield from policy.deliberate(view))
    return policy.allot(view)


def _starved(view: AllotmentView, targets: Mapping[TaskId, int]) -> list[Claim]:
    """Those that wait and for whose minimum the policy found no room, as opposed to letting them wait."""
    waiting = [claim for claim in view.claims if not claim.workers]
    short = [claim for claim in waiting if targets.get(claim.task.id, 0) < claim.least]
    if not short:
        return []
    left = view.free
    for claim in view.claims:
        unused = claim.workers - targets.get(claim.task.id, claim.workers)
        left += claim.task.spec.resources * unused
    return [claim for claim in short if not (claim.task.spec.resources * claim.least).fits(left)]
