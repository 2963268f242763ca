"""TDPATD's second stage: TDCA on the quotient graph, and the way back to the tasks."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainmaster.dagsched.algorithms.tdca import tdca
from trainmaster.dagsched.clusters import quotient
from trainmaster.dagsched.errors import OptionError
from trainmaster.dagsched.kernels.ranks import b_levels, descending
from trainmaster.dagsched.machine import Machine
from trainmaster.dagsched.problem import Draft, Problem
from trainmaster.dagsched.simulation import simulate

MAPPINGS = ("b_level", "block")


def duplicate_parts(problem: Problem, part: Any, leftovers: str, trials: int | None) -> Draft:
    """TDCA on the graph of parts; when processors run out parts go to the one of least RCT (Algorithm 1)."""
    coarse = quotient(problem.graph, part)
    parts = coarse.n
    times = np.zeros((parts, problem.times.shape[1]))
    np.add.at(times, part, problem.times)
    machine = Machine(problem.machine.processors, times)
    return tdca(Problem(coarse, machine, "multi", problem.seed), leftovers=leftovers, trials=trials)


def expand_parts(problem: Problem, part: Any, coarse: Draft, mapping: str) -> Draft:
    """Every copy of a part becomes copies of its tasks on that processor; then all run in order.

    ``mapping``: "b_level" orders the tasks of a processor by falling b-level over all its parts, as the
    paper's example does; "block" keeps parts together, in the order of the parts. Neither can block: both
    orders are topological. Raises ``OptionError``.
    """
    if mapping not in MAPPINGS:
        raise OptionError("mapping", mapping, f"must be one of {', '.join(MAPPINGS)}")
    order = descending(problem.g, b_levels(problem.g, problem.mean_times, 1.0))
    if mapping == "block":
        # Parts are numbered in a topological order of the quotient graph.
        order = order[np.argsort(part[order], kind="stable")]
    parts = int(part.max()) + 1
    member = np.zeros((problem.p, parts), np.bool_)
    member[coarse.processor, coarse.task] = True
    on = member[:, part[order]]
    ptr = np.concatenate(([0], np.cumsum(on.sum(axis=1)))).astype(np.int64)
    return simulate(problem, ptr, np.ascontiguousarray(order[np.nonzero(on)[1]]))
