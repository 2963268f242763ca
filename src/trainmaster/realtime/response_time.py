"""Response-time analysis for fixed priorities on one worker: exact for sporadic tasks, whatever the
deadlines.

Preemptive: Joseph and Pandya 1986, Audsley et al. 1993; deadlines beyond the period: Lehoczky 1990.
Non-preemptive: Davis, Burns, Bril and Lukkien 2007 (their correction of the analysis of CAN): *every* job of
the busy period is looked at, since the first need not be the slowest.
"""

from __future__ import annotations

from collections.abc import Sequence

from trainmaster.realtime.model import MOST_STEPS, Order, Recurring, Verdict, by_priority, utilisation


class _TooLong(Exception):
    """The busy period has more steps than anybody wants to wait for."""


def response_times(tasks: Sequence[Recurring], order: Order, preemptive: bool = False) -> Verdict:
    """Worst response times under RM or DM, and whether all are within their deadlines.

    Ties of priority go to the one given first: it counts as higher.
    """
    name = f"response-time-{order.value}" + ("" if preemptive else "-non-preemptive")
    total = utilisation(tasks)
    if total > 1:
        return Verdict(name, False, True, f"U = {float(total):.3f} is more than one worker has")
    ranked = by_priority(tasks, order)
    budget = [MOST_STEPS]
    responses: dict[str, int | None] = {}
    late: list[str] = []
    try:
        for at, task in enumerate(ranked):
            higher, lower = ranked[:at], ranked[at + 1 :]
            found = (
                _preemptive(task, higher, budget)
                if preemptive
                else _non_preemptive(task, higher, lower, budget)
            )
            responses[task.name] = found
            if found is None:
                late.append(task.name)
    except _TooLong:
        return Verdict(name, None, True, f"the busy period is too long to follow (U = {float(total):.3f})")
    if late:
        return Verdict(name, False, True, f"past its deadline: {', '.join(late)}", responses)
    return Verdict(name, True, True, "every response is within its deadline", responses)


def _preemptive(task: Recurring, higher: list[Recurring], budget: list[int]) -> int | None:
    """The q-th job since the critical instant ends at w = (q + 1)C + Σ ⌈w/Tⱼ⌉Cⱼ; the busy period is over when
    it ends before the next release. None as soon as one is late."""
    worst, job, end = 0, 0, task.cost
    while True:
        while True:
            _spend(budget)
            demand = (job + 1) * task.cost + sum(-(-end // other.period) * other.cost for other in higher)
            if demand == end:
                break
            end = demand
            if end - job * task.period > task.deadline:
                return None
        worst = max(worst, end - job * task.period)
        if worst > task.deadline:
            return None
        job += 1
        if end <= job * task.period:
            return worst
        end += task.cost


def _non_preemptive(
    task: Recurring, higher: list[Recurring], lower: list[Recurring], budget: list[int]
) -> int | None:
    """The q-th job begins at w = B + qC + Σ (⌊w/Tⱼ⌋ + 1)Cⱼ and then runs to its end.

    B: the longest job of lower priority, less the one tick by which it must have begun earlier. A release at
    the very moment of the start still goes first, hence the floor plus one.
    """
    blocking = max((other.cost - 1 for other in lower), default=0)
    busy = _busy_period(blocking, [*higher, task], budget)
    worst, start = 0, blocking
    for job in range(-(-busy // task.period)):
        start = max(start, blocking + job * task.cost)
        while True:
            _spend(budget)
            demand = blocking + job * task.cost
            demand += sum((start // other.period + 1) * other.cost for other in higher)
            if demand == start:
                break
            start = demand
            if start + task.cost - job * task.period > task.deadline:
                return None
        worst = max(worst, start + task.cost - job * task.period)
        if worst > task.deadline:
            return None
    return worst


def _busy_period(blocking: int, tasks: list[Recurring], budget: list[int]) -> int:
    """The least t > 0 with t = B + Σ ⌈t/Tⱼ⌉Cⱼ."""
    length = blocking + sum(task.cost for task in tasks)
    while True:
        _spend(budget)
        longer = blocking + sum(-(-length // task.period) * task.cost for task in tasks)
        if longer == length:
            return length
        length = longer


def _spend(budget: list[int]) -> None:
    budget[0] -= 1
    if budget[0] < 0:
        raise _TooLong
