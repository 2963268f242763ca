"""Slotted ALOHA (Roberts 1975): nobody orders, everybody claims at random."""

from __future__ import annotations

from trainmaster.domain.chance import mix
from trainmaster.domain.task import Task
from trainmaster.policies.base import Discipline
from trainmaster.policies.ordering.common import PlainAdjustment


class Aloha(PlainAdjustment):
    """By a random slot, drawn anew for every attempt from a window that doubles with each (binary back-off).

    Stands for decentralised schedulers, where the claims of one slot collide; here the earlier submitted
    wins. The slot is a function of the task's number and attempt, so a replay draws the same.
    """

    name = "aloha"
    discipline = Discipline.SKIP

    def key(self, task: Task) -> tuple[float, ...]:
        window = 8 << min(task.attempt, 7)
        return (mix(task.seq, task.attempt) % window, task.seq)
