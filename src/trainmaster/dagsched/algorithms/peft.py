"""Predict earliest finish time (PEFT)."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.frames import in_order
from trainmaster.dagsched.jit import kernel
from trainmaster.dagsched.kernels.ranks import priority_order
from trainmaster.dagsched.problem import Draft, Problem


@kernel
def optimistic_costs(g, times, p):
    """The optimistic cost table (n, p): least time from the end of v on q to the end of the graph.

    OCT(v, q) = max over children s of min over w of OCT(s, w) + time(s, w) + (0 if w = q else cost).
    O(m p): only the least term over all processors can be reached across an edge.
    """
    n = times.shape[0]
    het = 1 if times.shape[1] > 1 else 0
    table = np.zeros((n, p))
    least = np.empty(n)
    for k in range(n - 1, -1, -1):
        v = g.topo[k]
        for e in range(g.succ_ptr[v], g.succ_ptr[v + 1]):
            s = g.succ[e]
            away = least[s] + g.succ_cost[e]
            for q in range(p):
                here = table[s, q] + times[s, q * het]
                value = here if here < away else away
                if value > table[v, q]:
                    table[v, q] = value
        least[v] = np.inf
        for q in range(p):
            total = table[v, q] + times[v, q * het]
            if total < least[v]:
                least[v] = total
    return table


def peft(problem: Problem) -> Draft:
    """The ready task of highest mean optimistic cost, where its finish plus that cost is least.

    Arabnejad & Barbosa, IEEE TPDS 25 (2014), with insertion. On identical processors the table is the
    same for all of them and PEFT is static-level HEFT. Ties: lower task, lower processor.
    """
    table = optimistic_costs(problem.g, problem.times, problem.p)
    order = priority_order(problem.g, table.mean(axis=1))
    return in_order(problem, order, insertion=True, finish_counts=True, bias=table)
