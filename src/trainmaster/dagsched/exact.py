"""The best plan by constraint programming, for small graphs, as a check of everything else."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainmaster.dagsched.algorithms.etf import etf
from trainmaster.dagsched.algorithms.heft import heft
from trainmaster.dagsched.auto import auto
from trainmaster.dagsched.errors import MissingExtraError, OptionError
from trainmaster.dagsched.problem import Draft, Problem
from trainmaster.dagsched.simulation import simulate

RESOLUTION = 1_000_000


def exact(problem: Problem, *, copies: bool = True, limit: float = 60.0, most: int = 200) -> Draft:
    """CP-SAT of OR-tools: a makespan no plan can beat, if it is proved within the ``limit``.

    ``copies``: tasks may run on several processors. ``limit`` is CP-SAT's deterministic time, so that the
    result does not depend on the machine; one worker. ``most``: the largest number of tasks accepted.
    Weights are scaled to whole numbers, 10⁶ steps to the makespan of the first solution: that of ``auto``,
    or without ``copies`` the better of HEFT and ETF. Multi-port only. ``report``: "proved", "bound" (of the
    solver), "first". Raises ``MissingExtraError`` without ortools, ``OptionError``.
    """
    try:
        from ortools.sat.python import cp_model
    except ImportError:
        raise MissingExtraError("exact", "ortools") from None
    if problem.single:
        raise OptionError("ports", "single", "exact plans multi-port only")
    if problem.n > most:
        raise OptionError("most", most, f"the graph has {problem.n} tasks; raise it if you can wait")
    # The first solution also sets the horizon, so without copies it must be one without.
    first = auto(problem) if copies else min((heft(problem), etf(problem)), key=lambda draft: draft.makespan)
    if first.makespan == 0.0:
        return first
    unit = first.makespan / RESOLUTION
    model: Any = cp_model.CpModel()
    table = np.broadcast_to(problem.times, (problem.n, problem.p)) / unit
    times = np.rint(table).astype(np.int64).tolist()
    # Rounding may push the first solution past its own makespan by a step per task.
    horizon = RESOLUTION + problem.n + problem.graph.m + 1
    begin, present, end = _copies(model, problem, times, horizon)
    _precedence(model, problem, begin, end, present, unit, horizon)
    _first_processor(model, problem, present)
    for v in range(problem.n):
        row = [present[v, q] for q in range(problem.p)]
        if copies:
            model.add_at_least_one(row)
        else:
            model.add_exactly_one(row)
    span = model.new_int_var(0, horizon, "span")
    for v in range(problem.n):
        for q in range(problem.p):
            model.add(span >= end[v, q]).only_enforce_if(present[v, q])
    model.minimize(span)
    _hint(model, first, begin, present, unit)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = problem.seed % 2**31
    solver.parameters.max_deterministic_time = limit
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Draft(**_columns(first), report={"proved": False, "bound": 0.0})
    draft = _run(problem, solver, begin, present)
    if draft.makespan > first.makespan:
        draft = first
    report = {
        "proved": status == cp_model.OPTIMAL,
        "bound": float(solver.best_objective_bound) * unit,
        "first": first.makespan,
    }
    return Draft(**_columns(draft), report=report)


def _columns(draft: Draft) -> dict[str, Any]:
    return {
        "task": draft.task,
        "processor": draft.processor,
        "start": draft.start,
        "finish": draft.finish,
        "transfers": draft.transfers,
    }


def _copies(model: Any, problem: Problem, times: Any, horizon: int) -> tuple[Any, Any, Any]:
    """An optional interval per task and processor; those of a processor do not overlap."""
    begin, present, end = {}, {}, {}
    for q in range(problem.p):
        intervals = []
        for v in range(problem.n):
            begin[v, q] = model.new_int_var(0, horizon, f"begin {v} {q}")
            present[v, q] = model.new_bool_var(f"present {v} {q}")
            end[v, q] = begin[v, q] + times[v][q]
            intervals.append(
                model.new_optional_fixed_size_interval_var(
                    begin[v, q], times[v][q], present[v, q], f"{v} {q}"
                )
            )
        model.add_no_overlap(intervals)
    return begin, present, end


def _precedence(
    model: Any, problem: Problem, begin: Any, end: Any, present: Any, unit: float, horizon: int
) -> None:
    """Each copy of v takes the data of each parent u from one of u's copies."""
    source, target, cost = problem.graph.edges()
    for u, v, c in zip(source.tolist(), target.tolist(), cost.tolist(), strict=True):
        delay = round(c / unit)
        for q in range(problem.p):
            served = []
            for r in range(problem.p):
                used = model.new_bool_var(f"{u} {r} serves {v} {q}")
                model.add_implication(used, present[u, r])
                model.add(begin[v, q] >= end[u, r] + (0 if r == q else delay)).only_enforce_if(used)
                served.append(used)
            model.add_bool_or([*served, present[v, q].negated()])


def _first_processor(model: Any, problem: Problem, present: Any) -> None:
    """Identical processors may be renamed: the first task in topological order runs on processor 0."""
    if problem.machine.alike:
        model.add(present[int(problem.g.topo[0]), 0] == 1)


def _hint(model: Any, draft: Draft, begin: Any, present: Any, unit: float) -> None:
    there = {
        (int(v), int(q)): s for v, q, s in zip(draft.task, draft.processor, draft.start.tolist(), strict=True)
    }
    for key, variable in present.items():
        model.add_hint(variable, key in there)
        if key in there:
            model.add_hint(begin[key], round(there[key] / unit))


def _run(problem: Problem, solver: Any, begin: Any, present: Any) -> Draft:
    """The solver's orders with exact times: rounding must not show in the plan."""
    place = np.empty(problem.n, np.int64)
    place[problem.g.topo] = np.arange(problem.n)
    lists: list[list[int]] = []
    for q in range(problem.p):
        here = [v for v in range(problem.n) if solver.value(present[v, q])]
        lists.append(sorted(here, key=lambda v, q=q: (solver.value(begin[v, q]), place[v])))  # type: ignore[misc]
    ptr = np.concatenate(([0], np.cumsum([len(tasks) for tasks in lists]))).astype(np.int64)
    return simulate(problem, ptr, np.array([v for tasks in lists for v in tasks], np.int32))
