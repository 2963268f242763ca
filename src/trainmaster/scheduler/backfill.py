"""What may overtake a blocked task (EASY backfill; Mu'alem and Feitelson, IEEE TPDS 12(6), 2001)."""

from __future__ import annotations

from dataclasses import dataclass

from trainmaster.domain.ids import NodeId
from trainmaster.domain.task import Task
from trainmaster.domain.units import NOTHING, Resources
from trainmaster.policies.base import Discipline
from trainmaster.scheduler.room import Guard, Room
from trainmaster.scheduler.state import State


def protection(state: State, room: Room, blocked: Task, discipline: Discipline, now: float) -> Guard | None:
    """What other tasks may still use although `blocked` comes first. None: nothing at all."""
    if discipline is Discipline.SKIP:
        return lambda task, fitting: fitting
    able = room.able(blocked)
    reservation = reserve(state, room, blocked, now) if discipline is Discipline.EASY else None
    if reservation is None:
        return None if len(able) == len(room.views) else lambda task, fitting: fitting - able
    return lambda task, fitting: _backfilling(room, task, fitting, reservation, now)


@dataclass(frozen=True, slots=True)
class Reservation:
    """When the blocked task can start by the estimates, and what is left over on its nodes then."""

    start: float
    spare: dict[NodeId, Resources]


def reserve(state: State, room: Room, blocked: Task, now: float) -> Reservation | None:
    """Let running tasks end in the order of their estimates until the blocked task fits.

    None if it never would. A task without an estimate ends never; one past its estimate ends now.
    """
    need, wanted = blocked.spec.resources, blocked.spec.min_workers
    free = {room.views[at].id: room.views[at].free for at in room.able(blocked)}
    held = {node: need.times_fitting(amount) for node, amount in free.items()}
    places = sum(held.values())
    for end, task_id in state.ends:
        for run in state.runs[task_id].values():
            if run.live and run.node in free:
                free[run.node] += run.resources
                fits = need.times_fitting(free[run.node])
                places += fits - held[run.node]
                held[run.node] = fits
        if places >= wanted:
            for node in sorted(held, key=lambda node: -held[node]):
                taken = min(held[node], wanted)
                free[node] -= need * taken
                wanted -= taken
                if not wanted:
                    break
            return Reservation(max(end, now), free)
    return None


def _backfilling(room: Room, task: Task, fitting: set[int], reservation: Reservation, now: float) -> set[int]:
    """The nodes on which the task ends before the reservation begins, or uses only what it leaves over."""
    length = task.spec.estimate_s if task.spec.estimate_s is not None else task.spec.timeout_s
    if length is not None and now + length <= reservation.start:
        return fitting
    need, spare = task.spec.resources, reservation.spare
    return {
        at
        for at in fitting
        if (left := spare.get(room.views[at].id)) is None or (left != NOTHING and need.fits(left))
    }
