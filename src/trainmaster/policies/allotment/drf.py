"""DRF (Ghodsi et al., NSDI 2011): dominant resource fairness between users."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping

from trainmaster.domain.ids import TaskId, UserName
from trainmaster.domain.units import Resources
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.base import AllotmentView, Claim


class Drf:
    """Progressive filling: the user with the smallest dominant share gets the next worker that fits.

    A share is the largest of a user's fractions of the cluster's cores, memory and GPUs. Running tasks have
    their minimum first, as they cannot be given nothing; a waiting task starts with its whole minimum. Inside
    a user: the first in the order of the claims until it has its maximum (the paper gives no order). Ties
    between users: by their first claim.
    """

    name = "drf"
    suspends = False

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        budget = Budget(view)
        total = _capacity(view)
        users: dict[UserName, _User] = {}
        for claim in view.claims:
            name = claim.task.spec.user
            user = users.get(name)
            if user is None:
                user = users[name] = _User(total)
            user.queue.append(claim)
            if claim.workers and claim.movable:
                budget.give(claim, claim.least)
            user.use(claim.task.spec.resources, budget.given[claim.task.id])
        heap = [(user.share, first, user) for first, user in enumerate(users.values())]
        heapq.heapify(heap)
        while heap:
            _, first, user = heap[0]
            if user.take(budget):
                heapq.heapreplace(heap, (user.share, first, user))
            else:
                heapq.heappop(heap)
        return budget.given


class _User:
    """What a user's tasks hold, and those that may have more, in their order."""

    __slots__ = ("_held", "_total", "queue")

    def __init__(self, total: Resources) -> None:
        self.queue: deque[Claim] = deque()
        self._total = (total.cpu_m, total.memory, total.gpus)
        self._held = (0, 0, 0)

    def use(self, need: Resources, count: int) -> None:
        """`count` workers more."""
        cpu_m, memory, gpus = self._held
        self._held = (cpu_m + need.cpu_m * count, memory + need.memory * count, gpus + need.gpus * count)

    @property
    def share(self) -> float:
        """The dominant one."""
        dominant = 0.0
        for part, whole in zip(self._held, self._total, strict=True):
            if whole and part / whole > dominant:
                dominant = part / whole
        return dominant

    def take(self, budget: Budget) -> bool:
        """Give to the first that can. Room and bounds only get narrower, so who once cannot never will."""
        queue = self.queue
        while queue:
            claim = queue[0]
            count = 1 if budget.given[claim.task.id] else claim.least
            if claim.movable and budget.give(claim, count):
                self.use(claim.task.spec.resources, count)
                return True
            queue.popleft()
        return False


def _capacity(view: AllotmentView) -> Resources:
    """Of all nodes, which are thousands: summed number by number."""
    capacities = [node.capacity for node in view.nodes]
    return Resources(
        cpu_m=sum(c.cpu_m for c in capacities),
        memory=sum(c.memory for c in capacities),
        gpus=sum(c.gpus for c in capacities),
    )
