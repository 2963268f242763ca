"""Ours: one worker at a time to whom it helps most."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.allotment.estimates import log_speeds
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
        grow(budget, served, [self.value(c, view.now) for c in served], weights, self.look_ahead)
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

    def value(self, claim: Claim, now: float) -> Value:
        bonus = 0.0
        if claim.workers:
            since = claim.task.started_at if claim.learned.resized_at is None else claim.learned.resized_at
            horizon = max(now - (since if since is not None else now), self.least_horizon_s)
            bonus = math.log1p(claim.resize_s * self.caution / horizon)
        return Value(log_speeds(claim), claim.workers, bonus)


class Value(NamedTuple):
    """What counts are worth: `logs[w - 1]`, log(speed) with w workers, and `bonus` more for staying at the
    present count."""

    logs: tuple[float, ...]
    present: int
    bonus: float


def grow(
    budget: Budget,
    served: list[Claim],
    values: list[Value],
    weights: Mapping[TaskId, float],
    look_ahead: tuple[int, ...],
) -> None:
    """Give out what is left by the largest gain per worker over the steps `look_ahead`, which ascend. A jump
    back to the present count is always tried."""
    given, spare = budget.given, budget.spare

    def offer(at: int) -> tuple[float, int, int] | None:
        claim = served[at]
        task = claim.task.id
        has, (logs, present, bonus) = given[task], values[at]
        room = min(spare(claim), len(logs) - has)
        if room <= 0:
            return None
        now = logs[has - 1] + (bonus if has == present else 0.0)
        best, step = 0.0, 0
        for k in look_ahead:
            if k > room:
                break
            gain = (logs[has + k - 1] - now) / k
            if gain > best:
                best, step = gain, k
        back = present - has
        if 0 < back <= room and (gain := (logs[present - 1] + bonus - now) / back) > best:
            best, step = gain, back
        return (-best * weights[task], at, step) if step else None

    heap = [best for at, claim in enumerate(served) if claim.movable and (best := offer(at)) is not None]
    heapq.heapify(heap)
    while heap:
        _, at, step = heap[0]
        budget.give(served[at], step)
        following = offer(at)  # another, or a smaller step if room has become scarce meanwhile
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, following)
