"""FS: the room is split evenly over the concurrent tasks."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.base import AllotmentView


class Fair:
    """Equal shares for all tasks, running and waiting, inside each one's bounds.

    Everybody gets the minimum first; then whoever has least gets one more, until nothing fits (max-min
    fairness in workers). Ties: the earliest submitted.
    """

    name = "fair"
    suspends = False

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        budget = Budget(view)
        served = budget.give_least(view.claims)
        heap = [(budget.given[claim.task.id], claim.task.seq, at) for at, claim in enumerate(served)]
        heapq.heapify(heap)
        while heap:
            has, seq, at = heap[0]
            if budget.give(served[at]):
                heapq.heapreplace(heap, (has + 1, seq, at))
            else:
                heapq.heappop(heap)
        return budget.given
