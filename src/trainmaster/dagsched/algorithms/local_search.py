"""Iterated local search over task orders and processors."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainmaster.dagsched.algorithms.duplication import task_order
from trainmaster.dagsched.errors import OptionError
from trainmaster.dagsched.frames import in_order
from trainmaster.dagsched.improve.deduplicate import tighten
from trainmaster.dagsched.improve.moves import Draws, change, undo
from trainmaster.dagsched.kernels.duplicate import duplicate_in_order
from trainmaster.dagsched.problem import Draft, Problem

DEPTH, COPIES, EARLIEST = 4, 8, 3


def local_search(
    problem: Problem, *, order: str = "b_level", iterations: int = 2000, copying: bool = True
) -> Draft:
    """Random changes of an order and of pinned processors, kept while they do not lengthen the plan.

    Starts from the named ``order`` (as ``duplication``). Each of at most ``iterations`` evaluations is a
    HEFT with gaps, or with ``copying`` a bounded duplication (searched multi-port; single ports apply to
    the result). Depends on the problem's seed. Lourenço, Martin & Stützle, Iterated local search (2003).
    """
    if iterations < 1:
        raise OptionError("iterations", iterations, "must be at least 1")
    return search_from(problem, task_order(problem, order), iterations, copying, 0.0)


def search_from(problem: Problem, order: Any, iterations: int, copying: bool, target: float) -> Draft:
    """The draft of the best order and pins found from ``order``; ends early once ``target`` is reached.

    A change is kept unless it lengthens the plan. After 2 n + 100 changes without progress the search goes
    back to the best and shakes it by five changes.
    """
    g = problem.g
    draws = Draws(problem.seed & (2**63 - 1))
    order = np.array(order, dtype=np.int32)
    place = np.empty(problem.n, np.int64)
    place[order] = np.arange(problem.n)
    home = np.full(problem.n, -1, np.int64)
    patience = 2 * problem.n + 100
    best = order.copy(), home.copy()
    best_span = current = _span(problem, order, home, copying)
    stale = 0
    evaluations = 1
    while evaluations < iterations and best_span > target:
        changes = 1
        if stale >= patience:
            order[:], home[:] = best
            place[order] = np.arange(problem.n)
            current = np.inf
            stale = 0
            changes = 5
        for _ in range(changes):
            made = change(g, order, place, home, problem.p, draws)
        span = _span(problem, order, home, copying)
        evaluations += 1
        stale += 1
        if span > current:
            undo(order, place, home, *made)
            continue
        current = span
        if span < best_span:
            best_span = span
            best = order.copy(), home.copy()
            stale = 0
    order, home = best
    draft = (
        tighten(problem, Draft(*_copied(problem, order, home))) if copying else _listed(problem, order, home)
    )
    draft.report["evaluations"] = evaluations
    return draft


def _copied(problem: Problem, order: Any, home: Any) -> Any:
    return duplicate_in_order(problem.g, order, problem.times, problem.p, EARLIEST, DEPTH, COPIES, True, home)


def _listed(problem: Problem, order: Any, home: Any) -> Draft:
    # The frame notes where each task went; give it a copy so that the pins stay as they are.
    group = np.arange(problem.n)
    return in_order(problem, order, insertion=True, finish_counts=True, group=group, home=home.copy())


def _span(problem: Problem, order: Any, home: Any, copying: bool) -> float:
    if copying:
        return float(_copied(problem, order, home)[3].max())
    return _listed(problem, order, home).makespan
