"""Ours: one worker at a time to whom it helps most."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.allotment.estimates import seconds_each
from trainmaster.policies.base import AllotmentView, Claim


@dataclass(frozen=True, slots=True)
class MarginalGoodput:
    """Greedy on the sum of weight · log(speed), with the weights of least attained service.

    The next workers go to the claim with the largest weight · log(speed(w + k) / speed(w)) / k over the steps
    k of `look_ahead`, since speed is not concave in workers: a second node may first slow a task down. weight
    = 1 / (worker-seconds attained + `grace_s`): under heavy-tailed lengths what a task has had is the best
    guess of what it still needs, so short tasks pass long ones without anybody's knowing lengths.

    *Stay bonus*: a running task that changes its count pauses for `resize_s`. Every count but the present one
    is taken at speed · `horizon_s` / (`horizon_s` + resize_s · `caution`), where the horizon is what the task
    has run since its last resize, at least `least_horizon_s`: young tasks move easily, old ones when it pays.

    Speeds are the claim's known ones, else fitted online (`estimates`). With `oracle` the weight is 1 /
    (known remaining time with one worker): it *knows* lengths. With `suspends` the tasks of the least weight
    rest while there are more tasks than room. Ties: the earliest in the order of the claims.
    """

    look_ahead: tuple[int, ...] = (1, 2, 4, 8)
    grace_s: float = 7200.0
    caution: float = 4.0
    least_horizon_s: float = 300.0
    oracle: bool = False
    suspends: bool = False
    name: str = "marginal_goodput"

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        budget = Budget(view)
        weights = {claim.task.id: self.weight(claim, view.now) for claim in view.claims}
        order = sorted(view.claims, key=lambda claim: self._turn(claim, weights))
        served = [claim for claim in order if not claim.movable or budget.give(claim, claim.least)]
        grow(budget, served, [self.values(c, view.now) for c in served], weights, self.look_ahead)
        return budget.given

    def _turn(self, claim: Claim, weights: Mapping[TaskId, float]) -> tuple[float, ...]:
        """Minima go to those that must run, then to the rest: by weight if the policy may suspend."""
        must = claim.workers > 0 and not (self.suspends and claim.task.spec.preemptible)
        return (not must, -weights[claim.task.id] if self.suspends and not must else 0.0)

    def weight(self, claim: Claim, now: float) -> float:
        if self.oracle and claim.known is not None and claim.known.remaining is not None:
            return claim.known.rates[0] / claim.known.remaining
        attained = claim.task.running_s(now) * max(claim.workers, claim.least)
        return 1 / (attained + self.grace_s)

    def values(self, claim: Claim, now: float) -> tuple[float, ...]:
        """log(speed) with 1..most workers, with the stay bonus."""
        present = claim.workers
        penalty = 0.0
        if present:
            since = claim.task.started_at if claim.learned.resized_at is None else claim.learned.resized_at
            horizon = max(now - (since if since is not None else now), self.least_horizon_s)
            penalty = math.log1p(claim.resize_s * self.caution / horizon)
        return tuple(
            -math.log(seconds) - (penalty if count != present else 0.0)
            for count, seconds in enumerate(seconds_each(claim), 1)
        )


def grow(
    budget: Budget,
    served: list[Claim],
    values: list[tuple[float, ...]],
    weights: Mapping[TaskId, float],
    look_ahead: tuple[int, ...],
) -> None:
    """Give out what is left by the largest gain per worker. A jump back to the present count is always
    tried."""
    heap: list[tuple[float, int, int]] = []

    def offer(at: int) -> None:
        claim = served[at]
        has, value = budget.given[claim.task.id], values[at]
        room = min(budget.spare(claim), len(value) - has)
        best, step = 0.0, 0
        for k in (*look_ahead, claim.workers - has):
            if 0 < k <= room:
                gain = (value[has + k - 1] - value[has - 1]) * weights[claim.task.id] / k
                if gain > best:
                    best, step = gain, k
        if step:
            heapq.heappush(heap, (-best, at, step))

    for at, claim in enumerate(served):
        if claim.movable:
            offer(at)
    while heap:
        _, at, step = heapq.heappop(heap)
        if budget.give(served[at], step):
            offer(at)
        elif budget.spare(served[at]):
            offer(at)  # room has become scarce: a smaller step may fit
