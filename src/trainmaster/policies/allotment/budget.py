"""How many workers may still be given, while an allotment policy makes up its mind."""

from __future__ import annotations

from collections.abc import Iterable

from trainmaster.domain.ids import TaskId
from trainmaster.domain.units import Resources
from trainmaster.policies.base import AllotmentView, Claim


class Budget:
    """The room of a view, given out worker by worker.

    Begins with everybody at nothing, except the claims that cannot be moved: they keep what they have. Sums
    over all nodes: that room may be scattered over nodes is the placement's affair.
    """

    def __init__(self, view: AllotmentView) -> None:
        self.given: dict[TaskId, int] = {}
        self._free = view.free
        for claim in view.claims:
            if claim.movable:
                self._free += claim.task.spec.resources * claim.workers
                self.given[claim.task.id] = 0
            else:
                self.given[claim.task.id] = claim.workers

    def spare(self, claim: Claim) -> int:
        """How many more workers the claim could be given, by the room and by its own bounds."""
        if not claim.movable:
            return 0
        room = claim.task.spec.resources.times_fitting(self._free)
        return max(min(room, claim.most - self.given[claim.task.id]), 0)

    def give(self, claim: Claim, count: int = 1) -> bool:
        """Give `count` more if there is room; a negative count takes back. False changes nothing."""
        if count > self.spare(claim):
            return False
        self.given[claim.task.id] += count
        self._free -= claim.task.spec.resources * count
        return True

    def give_least(self, claims: Iterable[Claim]) -> list[Claim]:
        """Give each its minimum, in order, and return those that have theirs.

        Running tasks come first whatever the order, since they can never be given nothing.
        """
        ordered = sorted(claims, key=lambda claim: claim.workers == 0)
        return [claim for claim in ordered if not claim.movable or self.give(claim, claim.least)]

    @property
    def free(self) -> Resources:
        return self._free
