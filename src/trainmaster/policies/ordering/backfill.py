"""EASY backfill (Lifka 1995; Mu'alem and Feitelson 2001)."""

from __future__ import annotations

from trainmaster.domain.task import Task
from trainmaster.policies.base import Discipline
from trainmaster.policies.ordering.common import PlainAdjustment


class Backfill(PlainAdjustment):
    """By urgency, priority and submission; the first task that does not fit gets a reservation.

    Later tasks may start before it if by their estimates they end before the reservation or use only what
    it leaves over. Tasks without estimate or timeout are taken to run for ever.
    """

    name = "backfill"
    discipline = Discipline.EASY

    def key(self, task: Task) -> tuple[float, ...]:
        return (-task.urgency, -task.priority, task.seq)
