"""K acyclic parts by recursive bisection.

After Herrmann, Özkaya, Uçar, Kaya & Çatalyürek, "Multilevel algorithms for acyclic partitioning of directed
acyclic graphs", SIAM J. Sci. Comput. 41 (2019). A bisection never has an edge from its second side to its
first, so parts numbered in the order of the recursion only send to higher numbers: the quotient graph is
acyclic by construction, for every K from 1 to n.
"""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainmaster.dagsched.dagp.bisect import bisect
from trainmaster.dagsched.errors import OptionError
from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.jit import kernel
from trainmaster.dagsched.kernels.arrays import Arrays
from trainmaster.dagsched.kernels.csr import transpose

IMBALANCE = 1.03


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """``part`` (n, int64): the part of every task, 0 to ``parts`` − 1, none empty; edges never go down.

    ``cut``: total cost of edges between parts. ``imbalance``: heaviest part over the mean.
    """

    part: npt.NDArray[np.int64]
    parts: int
    cut: float
    imbalance: float


@kernel
def _inside(g, members, local):
    """The graph on ``members`` (in topological order), numbered by position; ``local`` is scratch of −1."""
    size = members.size
    for i in range(size):
        local[members[i]] = i
    ptr = np.zeros(size + 1, np.int64)
    m = 0
    for i in range(size):
        u = members[i]
        for e in range(g.succ_ptr[u], g.succ_ptr[u + 1]):
            if local[g.succ[e]] >= 0:
                m += 1
        ptr[i + 1] = m
    succ = np.empty(m, np.int32)
    cost = np.empty(m)
    k = 0
    for i in range(size):
        u = members[i]
        for e in range(g.succ_ptr[u], g.succ_ptr[u + 1]):
            if local[g.succ[e]] >= 0:
                succ[k] = local[g.succ[e]]
                cost[k] = g.succ_cost[e]
                k += 1
    for i in range(size):
        local[members[i]] = -1
    pred_ptr, pred, pred_cost = transpose(ptr, succ, cost)
    return Arrays(ptr, succ, cost, pred_ptr, pred, pred_cost, np.arange(size).astype(np.int32))


@kernel
def recursive_bisection(g, weight, parts, imbalance):
    """The part of every task (n, int64). O(m log parts) for the bisections, each linear but for its heaps."""
    n = weight.size
    part = np.zeros(n, np.int64)
    local = np.full(n, -1, np.int64)
    nodes = g.topo.copy()
    # Work still to do: a slice of nodes, the number of parts it becomes, the first of their numbers.
    todo = [(0, n, parts, 0)]
    while len(todo) > 0:
        lo, hi, k, first = todo.pop()
        if k == 1:
            for i in range(lo, hi):
                part[nodes[i]] = first
            continue
        if k == hi - lo:
            for i in range(lo, hi):
                part[nodes[i]] = first + i - lo
            continue
        members = nodes[lo:hi].copy()
        sub = _inside(g, members, local)
        weights = np.empty(members.size)
        for i in range(members.size):
            weights[i] = weight[members[i]]
        k0 = k // 2
        side = bisect(sub, weights, k0 / k, k0, k - k0, imbalance)
        # Stable split keeps both slices in topological order.
        at = lo
        for i in range(members.size):
            if side[i] == 0:
                nodes[at] = members[i]
                at += 1
        middle = at
        for i in range(members.size):
            if side[i] == 1:
                nodes[at] = members[i]
                at += 1
        todo.append((lo, middle, k0, first))
        todo.append((middle, hi, k - k0, first + k0))
    return part


def partition(graph: TaskGraph, parts: int, *, imbalance: float = IMBALANCE, work: Any = None) -> Partition:
    """Divide the tasks into exactly ``parts`` acyclic parts of about equal work and little cut cost.

    ``parts``: 1 to n. ``imbalance`` ≥ 1: how much heavier than its share a side of a bisection may be,
    where the tasks allow it. ``work``: other weights than the graph's, (n,). Deterministic. Raises
    ``OptionError``.
    """
    if not 1 <= parts <= graph.n:
        raise OptionError("parts", parts, f"must lie between 1 and the number of tasks, {graph.n}")
    if not 1.0 <= imbalance <= 10.0:
        raise OptionError("imbalance", imbalance, "must lie between 1 and 10")
    weight = graph.work if work is None else np.ascontiguousarray(work, dtype=np.float64)
    balanced = weight if weight.sum() > 0 else np.ones(graph.n)
    part = recursive_bisection(graph.arrays, balanced, int(parts), float(imbalance))
    loads = np.bincount(part, weights=weight, minlength=parts)
    source, target, cost = graph.edges()
    mean = loads.mean()
    return Partition(
        part,
        int(parts),
        float(cost[part[source] != part[target]].sum()),
        float(loads.max() / mean) if mean else 1.0,
    )
