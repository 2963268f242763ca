"""The portfolio: bounds first, then every good algorithm, then improvement, with a certificate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from trainmaster.dagsched.algorithms.dls import dls
from trainmaster.dagsched.algorithms.duplication import ORDERS, duplication, task_order
from trainmaster.dagsched.algorithms.etf import etf
from trainmaster.dagsched.algorithms.forward_backward import improve_both_ways
from trainmaster.dagsched.algorithms.heft import heft
from trainmaster.dagsched.algorithms.local_search import search_from
from trainmaster.dagsched.algorithms.serial import serial
from trainmaster.dagsched.algorithms.tdca import tdca
from trainmaster.dagsched.bounds import machine_bounds
from trainmaster.dagsched.compile_beside import CompileBeside
from trainmaster.dagsched.errors import OptionError
from trainmaster.dagsched.improve.copy_on import copy_on
from trainmaster.dagsched.kernels.ranks import priority_order
from trainmaster.dagsched.problem import Draft, Problem
from trainmaster.dagsched.tdpatd import tdpatd

TOUCHES = 1e-9
# Work limits, in rough units of task × processor looks; they bound the time without reading a clock.
DLS_TASKS = 20_000
TDCA_LOOKS = 4e6
PASS_LOOKS = 8e6
SEARCH_LOOKS = 6e6
COPYING_LOOKS = 1.5e5
FEWEST_EVALUATIONS = 30
MOST_EVALUATIONS = 3000


def auto(problem: Problem, *, gap: float = 0.001, effort: float = 1.0) -> Draft:
    """The best of all members, improved until ``gap`` to the lower bound or the iteration limit.

    Members: serial, HEFT, ETF, DLS (up to 20,000 tasks), duplication under three orders and on the
    processors of the best list schedule, TDPATD, and TDCA while its n simulations stay affordable
    (n² p ≤ 4·10⁶ · ``effort``). Then forward-backward passes, copies on the improved schedule, and local
    search with and without copies, as many evaluations as ``effort`` buys for the size. Members stop
    early only when the bound itself is reached, so the result is never worse than any member that ran.

    Where kernels must be compiled first, a second process may compile half of them: see ``CompileBeside``.

    ``report``: "winner", "members" (makespans), "stopped" ("bound reached", "gap reached" or "iteration
    limit"), "skipped" and "evaluations". Raises ``OptionError``.
    """
    if not 0.0 <= gap < np.inf:
        raise OptionError("gap", gap, "must not be negative")
    if not 0.0 <= effort <= 1e6:
        raise OptionError("effort", effort, "must lie between 0 and 1,000,000")
    skipped: list[str] = []
    with CompileBeside(problem.ports) as beside:
        bound = machine_bounds(problem.graph, problem.machine).best
        contest = Contest(bound)
        _members(problem, contest, effort, skipped, beside)
        if contest.open(gap):
            _improve(problem, contest, gap, effort, skipped)
    best = contest.best
    if contest.reached(TOUCHES):
        stopped = "bound reached"
    else:
        stopped = "gap reached" if contest.reached(gap) else "iteration limit"
    return Draft(
        best.task,
        best.processor,
        best.start,
        best.finish,
        best.transfers,
        {
            "winner": contest.winner,
            "stopped": stopped,
            "members": dict(contest.makespans),
            "skipped": tuple(skipped),
            "evaluations": contest.evaluations,
            "lower_bound": bound,
        },
    )


class Contest:
    """Drafts against a bound; ties go to the member that came first."""

    def __init__(self, bound: float) -> None:
        self.bound = bound
        self.winner = ""
        self.makespans: dict[str, float] = {}
        self.evaluations = 0
        self._best: Draft | None = None

    @property
    def best(self) -> Draft:
        """The shortest draft so far."""
        assert self._best is not None, "serial always runs first"
        return self._best

    def enter(self, name: str, member: Callable[..., Draft], *arguments: Any, **options: Any) -> Draft | None:
        """Run a member unless the bound is already reached."""
        if self._best is not None and self.reached(TOUCHES):
            return None
        draft = member(*arguments, **options)
        self.makespans[name] = draft.makespan
        self.evaluations += int(draft.report.get("evaluations", 1))
        if self._best is None or draft.makespan < self._best.makespan:
            self._best, self.winner = draft, name
        return draft

    def reached(self, gap: float) -> bool:
        """Whether the best draft is within ``gap`` of the bound."""
        return self.best.makespan <= self.bound * (1.0 + gap)

    def open(self, gap: float) -> bool:
        """Whether there is still something to gain."""
        return not self.reached(max(gap, TOUCHES))


def _members(
    problem: Problem, contest: Contest, effort: float, skipped: list[str], beside: CompileBeside
) -> None:
    contest.enter("serial", serial, problem)
    contest.enter("heft", heft, problem)
    contest.enter("etf", etf, problem)
    if problem.n <= DLS_TASKS:
        contest.enter("dls", dls, problem)
    else:
        skipped.append("dls")
    for order in ORDERS:
        contest.enter(f"duplication/{order}", duplication, problem, order=order)
    if not contest.reached(TOUCHES):
        beside.join()
    contest.enter("tdpatd", tdpatd, problem)
    if float(problem.n) ** 2 * problem.p <= TDCA_LOOKS * effort:
        contest.enter("tdca", tdca, problem)
    else:
        skipped.append("tdca")


def _improve(problem: Problem, contest: Contest, gap: float, effort: float, skipped: list[str]) -> None:
    """Improvement passes, cheapest first; each only while the gap is open."""
    looks = float(problem.n * problem.p + problem.graph.m)
    target = contest.bound * (1.0 + gap)
    rounds = int(min(20.0, effort * PASS_LOOKS / looks))
    lists = sorted((span, name) for name, span in contest.makespans.items() if name in ("heft", "etf", "dls"))
    by_name = {"heft": heft, "etf": etf, "dls": dls}
    bases = {name: by_name[name](problem) for _, name in lists[:2]}
    for name, base in bases.items():
        if rounds and contest.open(gap):
            better = contest.enter(
                f"forward_backward/{name}", improve_both_ways, problem, base, rounds, target
            )
            bases[name] = better or base
    for name, base in bases.items():
        if contest.open(gap):
            contest.enter(f"copies_on/{name}", copy_on, problem, base)
    plain = _evaluations(effort * SEARCH_LOOKS / looks)
    copying = _evaluations(effort * COPYING_LOOKS / looks)
    if plain and contest.open(gap):
        name = min(bases, key=lambda key: bases[key].makespan)
        order = _start_order(problem, bases[name])
        found = contest.enter("local_search", search_from, problem, order, plain, False, target)
        if found is not None and contest.open(gap):
            contest.enter("copies_on/local_search", copy_on, problem, found)
    if copying and contest.open(gap):
        spans = {order: contest.makespans.get(f"duplication/{order}", np.inf) for order in ORDERS}
        begin = min(ORDERS, key=lambda order: spans[order])
        order = task_order(problem, begin)
        contest.enter("local_search/copies", search_from, problem, order, copying, True, target)
    if not plain:
        skipped.append("local_search")
    if not copying:
        skipped.append("local_search/copies")


def _evaluations(affordable: float) -> int:
    """Evaluations for a budget: none rather than too few to find anything."""
    return 0 if affordable < FEWEST_EVALUATIONS else int(min(affordable, MOST_EVALUATIONS))


def _start_order(problem: Problem, draft: Draft) -> Any:
    start = np.full(problem.n, np.inf)
    np.minimum.at(start, draft.task, draft.start)
    return priority_order(problem.g, -start)
