"""Tiresias (Gu et al., NSDI 2019): two-dimensional least attained service in discrete queues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.base import AllotmentView, Claim


@dataclass(frozen=True, slots=True)
class Tiresias:
    """Tasks keep the workers they ask for (their maximum) and run in the order of their queue; others rest.

    A task begins in the first queue and sinks into the next when its attained service, workers × seconds,
    passes a threshold. Inside a queue by submission (the paper: by start; the Pollux artifact: by entry,
    which needs a memory). Whoever does not fit is passed over. Running tasks that are not preemptible are
    served first. `thresholds` in worker-seconds: 16 worker-hours as in the Pollux artifact.
    """

    thresholds: tuple[float, ...] = (16 * 3600.0,)
    name: str = "tiresias"
    suspends: bool = True

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        budget = Budget(view)
        for claim in view.claims:
            if claim.movable and _must_run(claim):
                budget.give(claim, claim.workers)
        for claim in sorted(view.claims, key=lambda claim: self._rank(claim, view.now)):
            if claim.movable:
                budget.give(claim, claim.most - budget.given[claim.task.id])
        return budget.given

    def _rank(self, claim: Claim, now: float) -> tuple[float, ...]:
        size = claim.workers or claim.most
        attained = claim.task.running_s(now) * size
        queue = sum(attained >= threshold for threshold in self.thresholds)
        return (not _must_run(claim), queue, claim.task.seq)


def _must_run(claim: Claim) -> bool:
    return claim.workers > 0 and not claim.task.spec.preemptible
