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
from trainmaster.dagsched.dagp.refine import room_for_moves
from trainmaster.dagsched.errors import OptionError
from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.jit import inner, kernel, whole
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


@inner
def _inside(g, members, local):
    """The graph on ``members`` (in topological order), numbered by position; ``local`` is scratch of −1."""
    succ_ptr, succ, succ_cost = g.succ_ptr, g.succ, g.succ_cost
    size = members.size
    m = whole(0)
    for i in range(size):
        local[members[i]] = i
        m += succ_ptr[members[i] + 1] - succ_ptr[members[i]]
    ptr = np.empty(size + 1, np.int64)
    inside = np.empty(m, np.int32)
    cost = np.empty(m)
    topo = np.empty(size, np.int32)
    k = whole(0)
    for i in range(size):
        u = members[i]
        topo[i] = i
        ptr[i] = k
        for e in range(succ_ptr[u], succ_ptr[u + 1]):
            # Written over by the next edge if it leads outside.
            inside[k] = local[succ[e]]
            cost[k] = succ_cost[e]
            k += local[succ[e]] >= 0
    ptr[size] = k
    for i in range(size):
        local[members[i]] = -1
    inside = inside[:k]
    cost = cost[:k]
    pred_ptr, pred, pred_cost = transpose(ptr, inside, cost)
    return Arrays(ptr, inside, cost, pred_ptr, pred, pred_cost, topo)


@kernel
def recursive_bisection(g, weight, parts, imbalance):
    """The part of every task (n, int64). O(m log parts) for the bisections, each linear but for its heaps.

    A bisection within ``imbalance`` of side 0's share of the weight, where the weights allow it.
    """
    n = weight.size
    part = np.empty(n, np.int64)
    local = np.empty(n, np.int64)
    nodes = np.empty(n, np.int32)
    for v in range(n):
        local[v] = -1
        nodes[v] = g.topo[v]
    # Work still to do, last in first out: where a slice of nodes begins and ends, the number of parts it
    # becomes, the first of their numbers. Parts halve, so 64 entries are enough.
    todo = np.empty(whole(4 * 64), np.int64)
    todo[0] = 0
    todo[1] = n
    todo[2] = parts
    todo[3] = 0
    left = whole(4)
    moves = room_for_moves(n, g.succ.size)
    while left > 0:
        left -= 4
        lo = todo[left]
        hi = todo[left + 1]
        k = todo[left + 2]
        first = todo[left + 3]
        if k == 1 or k == hi - lo:
            for i in range(lo, hi):
                part[nodes[i]] = first if k == 1 else first + i - lo
            continue
        members = np.empty(hi - lo, np.int32)
        weights = np.empty(hi - lo)
        count = np.empty(hi - lo, np.int64)
        total = 0.0
        for i in range(hi - lo):
            members[i] = nodes[lo + i]
            weights[i] = weight[members[i]]
            count[i] = 1
            total += weights[i]
        sub = _inside(g, members, local)
        k0 = k // 2
        share = k0 / k
        side = bisect(
            sub,
            weights,
            count,
            total / 8,
            total * share,
            total * max(0.0, 1.0 - (1.0 - share) * imbalance),
            total * min(1.0, share * imbalance),
            k0,
            k - k0,
            moves,
            whole(0),
        )
        # Stable split keeps both slices in topological order.
        at = lo
        for wanted in range(2):
            for i in range(hi - lo):
                if side[i] == wanted:
                    nodes[at] = members[i]
                    at += 1
            if wanted == 0:
                todo[left] = lo
                todo[left + 1] = at
                todo[left + 2] = k0
                todo[left + 3] = first
                todo[left + 4] = at
                todo[left + 5] = hi
                todo[left + 6] = k - k0
                todo[left + 7] = first + k0
                left += 8
    return part


def partition(graph: TaskGraph, parts: int, *, imbalance: float = IMBALANCE, work: Any = None) -> Partition:
    """``parts_of_tasks`` with the figures that judge it."""
    part = parts_of_tasks(graph, parts, imbalance=imbalance, work=work)
    loads = np.bincount(part, weights=graph.work if work is None else work, minlength=parts)
    source, target, cost = graph.edges()
    mean = loads.mean()
    return Partition(
        part,
        int(parts),
        float(cost[part[source] != part[target]].sum()),
        float(loads.max() / mean) if mean else 1.0,
    )


def parts_of_tasks(
    graph: TaskGraph, parts: int, *, imbalance: float = IMBALANCE, work: Any = None
) -> npt.NDArray[np.int64]:
    """Divide the tasks into exactly ``parts`` acyclic parts of about equal work and little cut cost.

    ``parts``: 1 to n. ``imbalance`` ≥ 1: how much heavier than its share a side of a bisection may be,
    where the tasks allow it. ``work``: other weights than the graph's, (n,). Deterministic. Returns the part
    of every task (n,). Raises ``OptionError``.
    """
    if not 1 <= parts <= graph.n:
        raise OptionError("parts", parts, f"must lie between 1 and the number of tasks, {graph.n}")
    if not 1.0 <= imbalance <= 10.0:
        raise OptionError("imbalance", imbalance, "must lie between 1 and 10")
    weight = graph.work if work is None else np.ascontiguousarray(work, dtype=np.float64)
    balanced = weight if weight.sum() > 0 else np.ones(graph.n)
    part: npt.NDArray[np.int64] = recursive_bisection(graph.arrays, balanced, int(parts), float(imbalance))
    return part
