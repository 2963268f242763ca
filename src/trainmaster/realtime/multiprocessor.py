"""Tests for m workers that share one queue (global scheduling). All sufficient: "yes" is certain, "no" is not
known.

A task is sequential (one job on one worker at a time), and its deadline is at most its period except for
`gfb`.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from trainmaster.realtime.model import Order, Recurring, Verdict, by_priority, utilisation


def too_much(tasks: Sequence[Recurring], workers: int) -> Verdict | None:
    """The necessary condition: U ≤ m, and no job needs longer than its deadline. None if it holds."""
    total = utilisation(tasks)
    if total > workers:
        return Verdict("capacity", False, True, f"U = {float(total):.3f} is more than {workers} workers have")
    for task in tasks:
        if task.cost > task.deadline:
            reason = f"{task.name} needs {task.cost} ticks, its deadline is {task.deadline}"
            return Verdict("capacity", False, True, reason)
    return None


def gfb(tasks: Sequence[Recurring], workers: int) -> Verdict:
    """Global preemptive EDF: Σδ ≤ m − (m − 1)·max δ (Goossens, Funk and Baruah 2003, Theorem 5, with
    densities for utilisations as shown sound by Bertogna, Cirinei and Lipari 2005)."""
    densities = [task.density for task in tasks] or [Fraction(0)]
    bound = workers - (workers - 1) * max(densities)
    holds = max(densities) <= 1 and sum(densities) <= bound
    reason = f"density = {float(sum(densities)):.3f}, bound {float(bound):.3f} on {workers} workers"
    return Verdict("gfb", True if holds else None, False, reason)


def global_response_times(
    tasks: Sequence[Recurring], order: Order, workers: int, preemptive: bool = False
) -> Verdict:
    """Upper bounds of response times on `workers` under one global queue.

    Preemptive (Bertogna and Cirinei 2007, Theorems 6 and 7): the least R = C + ⌊Σ Iᵢ(R)/m⌋, where a task of
    higher priority interferes for at most min(Wᵢ(R), R − C + 1), under EDF also at most by its jobs due in
    the window.

    Non-preemptive (the same argument for the wait before the start, as Guan et al. 2008 set out for fixed
    priorities): while a job waits for s ticks all workers are busy with others, so the work others can put
    into any s + 1 ticks bounds s; up to m jobs of lower priority may have begun one tick earlier. Under EDF
    any other job may have begun or may be due earlier, and Wᵢ covers both.
    """
    name = f"global-{order.value}" + ("" if preemptive else "-non-preemptive")
    if any(task.deadline > task.period for task in tasks):
        return Verdict(
            name, None, False, "a deadline is longer than its period, which this test does not cover"
        )
    ranked = by_priority(tasks, order)
    responses: dict[str, int | None] = {}
    for at, task in enumerate(ranked):
        if order is Order.EARLIEST:
            higher, lower = ranked[:at] + ranked[at + 1 :], []
        else:
            higher, lower = ranked[:at], ranked[at + 1 :]
        if preemptive:
            found = _preemptive(task, higher, workers, order is Order.EARLIEST)
        else:
            found = _non_preemptive(task, higher, lower, workers)
        responses[task.name] = found
    late = [name for name, response in responses.items() if response is None]
    if late:
        return Verdict(name, None, False, f"cannot be shown to be in time: {', '.join(late)}", responses)
    return Verdict(name, True, False, "every response is bounded by its deadline", responses)


def workload(task: Recurring, length: int) -> int:
    """Wᵢ(L): the most ticks of one task in any window of `length` while it meets its deadlines (Bertogna and
    Cirinei 2007, equation 4): the first job ends at its deadline, the following begin at once."""
    reach = length + task.deadline - task.cost
    whole = reach // task.period
    return min(whole * task.cost + min(task.cost, reach - whole * task.period), length)


def _preemptive(task: Recurring, others: list[Recurring], workers: int, earliest: bool) -> int | None:
    response = task.cost
    while response <= task.deadline:
        most = response - task.cost + 1
        total = 0
        for other in others:
            share = min(workload(other, response), most)
            if earliest:
                whole, rest = divmod(task.deadline, other.period)
                share = min(share, whole * other.cost + min(other.cost, rest))
            total += share
        longer = task.cost + total // workers
        if longer == response:
            return response
        response = longer
    return None


def _non_preemptive(
    task: Recurring, higher: list[Recurring], lower: list[Recurring], workers: int
) -> int | None:
    blocking = sum(sorted((other.cost - 1 for other in lower), reverse=True)[:workers])
    wait = 0
    while wait + task.cost <= task.deadline:
        longer = (blocking + sum(workload(other, wait + 1) for other in higher)) // workers
        if longer <= wait:
            return wait + task.cost
        wait = longer
    return None
