"""The processor-demand test for EDF on one worker: exact for sporadic tasks, whatever the deadlines.

Preemptive: dbf(t) ≤ t at every deadline of the first busy period (Baruah, Mok and Rosier 1990), walked from
its end towards zero by QPA (Zhang and Burns 2009, Theorem 4), which looks at a few points only.
Non-preemptive: dbf(t) + max{Cⱼ − 1 : Dⱼ > t} ≤ t (Jeffay, Stanat and Martel 1991; George, Rivierre and Spuri
1996, Theorem 15): a job with a later deadline may have begun one tick before. The blocking falls with t, so
QPA's argument does not hold; every deadline is looked at.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction

from trainmaster.realtime.model import MOST_STEPS, Recurring, Verdict, utilisation


def demand(tasks: Sequence[Recurring], until: int) -> int:
    """dbf(t): the work of all jobs released and due within [0, t], all tasks released first at 0."""
    return sum(
        ((until - task.deadline) // task.period + 1) * task.cost for task in tasks if until >= task.deadline
    )


def processor_demand(tasks: Sequence[Recurring], preemptive: bool = False) -> Verdict:
    """Is the set feasible under EDF on one worker?"""
    name = "processor-demand" + ("" if preemptive else "-non-preemptive")
    total = utilisation(tasks)
    if total > 1:
        return Verdict(name, False, True, f"U = {float(total):.3f} is more than one worker has")
    if not tasks:
        return Verdict(name, True, True, "there is nothing to do")
    horizon = _horizon(tasks, total)
    if horizon is None:
        return Verdict(name, None, True, f"the busy period is too long to follow (U = {float(total):.3f})")
    late = _qpa(tasks, horizon) if preemptive else _every_deadline(tasks, horizon)
    if late == 0:
        return Verdict(name, True, True, f"the demand never exceeds the time, looked at up to tick {horizon}")
    if late is None:
        return Verdict(name, None, True, "there are too many deadlines to look at")
    needed = demand(tasks, late) + (0 if preemptive else _blocking(tasks, late))
    return Verdict(name, False, True, f"within {late} ticks there can be {needed} ticks of work due")


def _horizon(tasks: Sequence[Recurring], total: Fraction) -> int | None:
    """No deadline can be missed first after this: the shorter of the busy period and the bound of Baruah et
    al. (max Dᵢ, Σ(Tᵢ − Dᵢ)Uᵢ / (1 − U)); None if neither is at hand."""
    bounds = []
    if total < 1:
        slack = sum(((task.period - task.deadline) * task.utilisation for task in tasks), Fraction(0))
        bounds.append(max(*(task.deadline for task in tasks), int(slack / (1 - total)), 1))
    length = sum(task.cost for task in tasks)
    for _ in range(MOST_STEPS):
        longer = sum(-(-length // task.period) * task.cost for task in tasks)
        if longer == length:
            bounds.append(max(length, *(task.deadline for task in tasks)))
            break
        if bounds and longer > bounds[0]:
            break
        length = longer
    return min(bounds, default=None)


def _qpa(tasks: Sequence[Recurring], horizon: int) -> int | None:
    """A time whose demand exceeds it; 0 if there is none."""
    first = min(task.deadline for task in tasks)
    at = _last_deadline_before(tasks, horizon + 1)
    for _ in range(MOST_STEPS):
        needed = demand(tasks, at)
        if needed > at:
            return at
        if needed <= first:
            return 0
        at = needed if needed < at else _last_deadline_before(tasks, at)
    return None


def _last_deadline_before(tasks: Sequence[Recurring], limit: int) -> int:
    return max(
        (
            (limit - 1 - task.deadline) // task.period * task.period + task.deadline
            for task in tasks
            if task.deadline < limit
        ),
        default=0,
    )


def _every_deadline(tasks: Sequence[Recurring], horizon: int) -> int | None:
    """A time at which demand and blocking exceed it; 0 if there is none, None if there are too many to look
    at."""
    done = last = 0
    for count, (at, cost) in enumerate(_deadlines(tasks, horizon)):
        if at != last:
            if last and done + _blocking(tasks, last) > last:
                return last
            last = at
        done += cost
        if count > MOST_STEPS:
            return None
    return last if last and done + _blocking(tasks, last) > last else 0


def _deadlines(tasks: Sequence[Recurring], horizon: int) -> Iterator[tuple[int, int]]:
    """(deadline, cost) of every job due by the horizon, in order."""
    heap = [(task.deadline, at) for at, task in enumerate(tasks)]
    heapq.heapify(heap)
    while heap and heap[0][0] <= horizon:
        due, at = heap[0]
        yield due, tasks[at].cost
        heapq.heapreplace(heap, (due + tasks[at].period, at))


def _blocking(tasks: Sequence[Recurring], at: int) -> int:
    return max((task.cost - 1 for task in tasks if task.deadline > at), default=0)
