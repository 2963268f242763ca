"""TRADL (Zheng et al., HPEC 2019): towards a first target at once, beyond it at leisure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.shares import weighted
from trainmaster.policies.base import AllotmentView, Claim


@dataclass(frozen=True, slots=True)
class Tradl:
    """Two tiers: a task whose accuracy has reached `target` has been delivered and keeps its minimum.

    The paper's rule for how many workers a task gets before is not available; ours is a weight of
    (target − accuracy) / slope, the time to the target at the present pace: who is far gets more. Without two
    reports of accuracy the weight is 1 (the mean of the others if there are any).
    """

    target: float = 0.85
    name: str = "tradl"
    suspends: bool = False

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        times = {claim.task.id: self.time_to_target(claim) for claim in view.claims}
        known = [time for time in times.values() if time]
        usual = sum(known) / len(known) if known else 1.0
        return weighted(view, {task: usual if time is None else time for task, time in times.items()})

    def time_to_target(self, claim: Claim) -> float | None:
        """Seconds; 0 once reached, None if unknown."""
        points = [p for p in claim.learned.points if p.accuracy is not None]
        if points and (points[-1].accuracy or 0.0) >= self.target:
            return 0.0
        if len(points) < 2:
            return None
        last, before = points[-1], points[max(len(points) - 5, 0)]
        rise = (last.accuracy or 0.0) - (before.accuracy or 0.0)
        if rise <= 0 or last.time <= before.time:
            return None
        return (self.target - (last.accuracy or 0.0)) / rise * (last.time - before.time)
