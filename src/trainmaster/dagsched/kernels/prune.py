"""Taking out copies whose work nobody needs, without moving anything."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import kernel
from trainmaster.dagsched.kernels.csr import grouped
from trainmaster.dagsched.kernels.sorting import rising


@kernel
def superfluous_copies(g, task, processor, start, finish):
    """Which copies may go while every remaining copy keeps its start (multi-port).

    Copies are tried by falling start, ties by number, so consumers go before producers; one goes if its
    task keeps another copy and every kept copy of a child still has its data in time. Returns a boolean
    array ``gone``. O(Σ edges · copies²).
    """
    total = task.size
    n = g.topo.size
    ptr_task, by_task = grouped(n, task)
    succ_ptr, succ, succ_cost = g.succ_ptr, g.succ, g.succ_cost
    gone = np.empty(total, np.bool_)
    key = np.empty(total)
    for k in range(total):
        gone[k] = False
        key[k] = -start[k]
    left = np.empty(n, np.int64)
    for v in range(n):
        left[v] = ptr_task[v + 1] - ptr_task[v]
    order = rising(key)
    for position in range(total):
        k = order[position]
        u = task[k]
        if left[u] < 2:
            continue
        needed = False
        for e in range(succ_ptr[u], succ_ptr[u + 1]):
            v = succ[e]
            for i in range(ptr_task[v], ptr_task[v + 1]):
                consumer = by_task[i]
                if gone[consumer]:
                    continue
                reached = False
                for j in range(ptr_task[u], ptr_task[u + 1]):
                    other = by_task[j]
                    if other == k or gone[other]:
                        continue
                    arrival = finish[other]
                    if processor[other] != processor[consumer]:
                        arrival += succ_cost[e]
                    if arrival <= start[consumer]:
                        reached = True
                        break
                if not reached:
                    needed = True
                    break
            if needed:
                break
        if not needed:
            gone[k] = True
            left[u] -= 1
    return gone
