"""Ours: how many workers a task may have, by what it gains, by its worth, and by who waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainmaster.domain.learned import Phase
from trainmaster.domain.task import Task, Urgency
from trainmaster.policies.base import Claim
from trainmaster.policies.convergence import accuracies, least_gain

_WINDOW = 5  # epochs over which a gain is taken
_URGENT = 6.0  # what an urgent task is worth; a normal one is worth 1 to 6
_HIGHEST = 12.0


@dataclass(frozen=True, slots=True)
class Crews:
    """The most workers of each task, where training ends by stop(β) of the RLPTO paper.

    1. *Crew*: up to `crew` workers while anybody waits, up to `alone` when nobody does. Few tasks train at
       once, each with a few workers, instead of all with one: what is served first is done first.
    2. *Earned*: one worker, and one more for every `step` · `beta` of accuracy that the task gains per epoch;
       its least gain so far counts. So workers leave one by one before the end, and what training in parts
       costs in accuracy has been given back when training stops. RLPTO's reduction goes by the same gains,
       but takes a worker each cycle below one threshold, long before the end. Where that is less than
       `before` epochs from it, a worker is earned by more: gains fall with the square of the epochs e, so
       they are (1 + before / e)² · `beta` so long before the end.
    3. *Worth*: both times (worth / mean worth of all claims)^`haste`: who is worth more than the others has
       more workers, and keeps them to the end, at the price of accuracy. Of equal tasks nothing changes.

    Settings were found on calibration seeds (docs/results/rlpto.md).
    """

    beta: float
    step: float = 2.5
    before: float = 8.0
    crew: int = 3
    alone: int = 5
    haste: float = 4.0

    def sizes(self, claims: Sequence[Claim], factors: Sequence[tuple[float, float]]) -> list[int]:
        """For each claim, within its bounds. `factors`: of its crew, and of `step`, 1 to change nothing."""
        if not claims:
            return []
        limit = self.crew if any(not claim.workers for claim in claims) else self.alone
        worths = [worth(claim.task) for claim in claims]
        mean = sum(worths) / len(worths)
        found = []
        for claim, value, (crew, step) in zip(claims, worths, factors, strict=True):
            size = min(limit * crew, self.earned(claim, step)) * (value / mean) ** self.haste
            found.append(max(min(round(size), claim.most), claim.least))
        return found

    def earned(self, claim: Claim, factor: float = 1.0) -> float:
        """How many workers its gains are worth; as many as it may have until there are enough to tell."""
        if claim.learned.phase is not Phase.NONE:
            return 1
        values = accuracies(claim.learned)
        gain = least_gain(values, _WINDOW)
        if gain is None:
            return claim.most
        step = max(self.step, (1 + self.before / len(values)) ** 2)
        return 1 + max(gain, 0.0) // (step * factor * self.beta)


def worth(task: Task) -> float:
    """1 + priority (0 to 5) of a normal task, 6 of an urgent and 12 of the highest one."""
    if task.urgency is Urgency.NORMAL:
        return 1 + min(max(task.priority, 0.0), _URGENT - 1)
    return _URGENT if task.urgency is Urgency.URGENT else _HIGHEST
