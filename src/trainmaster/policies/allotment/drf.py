"""DRF (Ghodsi et al., NSDI 2011): dominant resource fairness between users."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping

from trainmaster.domain.ids import TaskId, UserName
from trainmaster.domain.units import NOTHING, Resources
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
        queues: dict[UserName, deque[Claim]] = {}
        used: dict[UserName, Resources] = {}
        for claim in view.claims:
            user = claim.task.spec.user
            queues.setdefault(user, deque()).append(claim)
            used.setdefault(user, NOTHING)
            if claim.workers and claim.movable:
                budget.give(claim, claim.least)
            used[user] += claim.task.spec.resources * budget.given[claim.task.id]
        first = {user: at for at, user in enumerate(queues)}
        heap = [(_share(used[user], total), first[user], user) for user in queues]
        heapq.heapify(heap)
        while heap:
            _, _, user = heapq.heappop(heap)
            if (took := _next(budget, queues[user])) is not None:
                used[user] += took
                heapq.heappush(heap, (_share(used[user], total), first[user], user))
        return budget.given


def _capacity(view: AllotmentView) -> Resources:
    """Of all nodes, which are thousands: summed number by number."""
    capacities = [node.capacity for node in view.nodes]
    return Resources(
        cpu_m=sum(c.cpu_m for c in capacities),
        memory=sum(c.memory for c in capacities),
        gpus=sum(c.gpus for c in capacities),
    )


def _next(budget: Budget, queue: deque[Claim]) -> Resources | None:
    """What the first that can takes. Room and bounds only get narrower, so who once cannot never will."""
    while queue:
        claim = queue[0]
        count = 1 if budget.given[claim.task.id] else claim.least
        if claim.movable and budget.give(claim, count):
            return claim.task.spec.resources * count
        queue.popleft()
    return None


def _share(used: Resources, total: Resources) -> float:
    pairs = ((used.cpu_m, total.cpu_m), (used.memory, total.memory), (used.gpus, total.gpus))
    return max((part / whole for part, whole in pairs if whole), default=0.0)
