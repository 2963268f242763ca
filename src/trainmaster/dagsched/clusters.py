"""Parts as the clustered schedulers and TDPATD take them."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainmaster.dagsched.dagp import parts_of_tasks
from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.kernels.csr import crossing_rows
from trainmaster.dagsched.problem import Problem

TASKS_PER_PART = 10
MOST_PARTS = 1200


def parts_of(problem: Problem, parts: int | None) -> Any:
    """The part of every task (n, int64), numbered in a topological order of the quotient graph.

    ``parts`` by default a tenth of the tasks, at most 1,200 (the paper's largest), but one per processor
    where there are tasks enough. Raises ``OptionError``.
    """
    if parts is None:
        parts = min(problem.n, max(problem.p, min(problem.n // TASKS_PER_PART, MOST_PARTS)))
    return parts_of_tasks(problem.graph, parts, work=problem.mean_times)


def quotient(graph: TaskGraph, part: Any) -> TaskGraph:
    """The graph of parts: weights summed; an edge costs the largest crossing cost.

    The largest is the TDPATD paper's choice for multi-port communication (section "Partition and
    clustering", third candidate).
    """
    parts = int(part.max()) + 1
    work = np.bincount(part, weights=graph.work, minlength=parts)
    return TaskGraph.from_csr(work, *crossing_rows(graph.arrays, part, parts))
