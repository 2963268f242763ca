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

    Thousands of workers are given out one by one, so how many more fit is remembered for the latest shape of
    need: giving to it takes exactly so many places away, and only another shape has to count anew.
    """

    def __init__(self, view: AllotmentView) -> None:
        self.given: dict[TaskId, int] = {}
        self._free = view.free
        held: dict[Resources, int] = {}
        for claim in view.claims:
            if claim.movable:
                need = claim.task.spec.resources
                held[need] = held.get(need, 0) + claim.workers
                self.given[claim.task.id] = 0
            else:
                self.given[claim.task.id] = claim.workers
        for need, workers in held.items():
            self._free += need * workers
        self._shape: Resources | None = None
        self._places = 0  # of that shape, that still fit
        self._taken = 0  # since `_free` was brought up to date

    def spare(self, claim: Claim) -> int:
        """How many more workers the claim could be given, by the room and by its own bounds."""
        if not claim.movable:
            return 0
        if claim.task.spec.resources is not self._shape:
            self._turn_to(claim.task.spec.resources)
        wanted = claim.most - self.given[claim.task.id]
        room = self._places
        return max(wanted if wanted < room else room, 0)

    def give(self, claim: Claim, count: int = 1) -> bool:
        """Give `count` more if there is room; a negative count takes back. False changes nothing."""
        task, given = claim.task, self.given
        if task.spec.resources is not self._shape:
            self._turn_to(task.spec.resources)
        has = given[task.id]
        if count > 0 and (not claim.movable or count > self._places or count > claim.most - has):
            return False
        given[task.id] = has + count
        self._places -= count
        self._taken += count
        return True

    def _turn_to(self, need: Resources) -> None:
        if need != self._shape:
            self._settle()
            self._places = need.times_fitting(self._free)
        self._shape = need

    def _settle(self) -> None:
        if self._shape is not None and self._taken:
            self._free -= self._shape * self._taken
        self._taken = 0

    def give_least(self, claims: Iterable[Claim]) -> list[Claim]:
        """Give each its minimum, in order, and return those that have theirs.

        Running tasks come first whatever the order, since they can never be given nothing.
        """
        ordered = sorted(claims, key=lambda claim: claim.workers == 0)
        return [claim for claim in ordered if not claim.movable or self.give(claim, claim.least)]

    @property
    def free(self) -> Resources:
        self._settle()
        return self._free
