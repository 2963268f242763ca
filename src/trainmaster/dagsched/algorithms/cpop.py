"""Critical path on a processor (CPOP)."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.frames import in_order
from trainmaster.dagsched.jit import kernel
from trainmaster.dagsched.kernels.ranks import b_levels, priority_order, t_levels
from trainmaster.dagsched.problem import Draft, Problem


@kernel
def critical_path(g, priority):
    """One critical path: from the entry of highest priority always on to the child of highest priority.

    Ties to the lower task. Returns a boolean array (n,).
    """
    n = priority.size
    on_path = np.zeros(n, np.bool_)
    v = -1
    for u in range(n):
        if g.pred_ptr[u] == g.pred_ptr[u + 1] and (v < 0 or priority[u] > priority[v]):
            v = u
    while v >= 0:
        on_path[v] = True
        following = -1
        for e in range(g.succ_ptr[v], g.succ_ptr[v + 1]):
            if following < 0 or priority[g.succ[e]] > priority[following]:
                following = g.succ[e]
        v = following
    return on_path


def cpop(problem: Problem) -> Draft:
    """Tasks of one critical path on the processor that runs it fastest, the others where they finish first.

    Topcuoglu, Hariri & Wu, IEEE TPDS 13 (2002), section 4.2: the ready task of highest t-level + b-level
    first, with insertion. Ties: lower task, lower processor.
    """
    work = problem.mean_times
    priority = t_levels(problem.g, work, 1.0) + b_levels(problem.g, work, 1.0)
    on_path = critical_path(problem.g, priority)
    per_processor = problem.times[on_path].sum(axis=0)
    home = np.array([int(per_processor.argmin())], np.int64)
    group = np.where(on_path, 0, -1).astype(np.int64)
    order = priority_order(problem.g, priority)
    return in_order(problem, order, insertion=True, finish_counts=True, group=group, home=home)
