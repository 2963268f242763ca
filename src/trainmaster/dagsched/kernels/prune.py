"""Taking out copies whose work nobody needs, without moving anything."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

from typing import Any

import numpy as np

from trainmaster.dagsched.jit import kernel
from trainmaster.dagsched.kernels.sorting import rising


@kernel
def superfluous_copies(g, task, processor, start, finish, ptr_task, by_task):
    """Which copies may go while every remaining copy keeps its start (multi-port).

    ``ptr_task`` (n+1,), ``by_task`` (copies,): the copies of each task. Copies are tried by falling start,
    ties by number, so consumers go before producers; one goes if its task keeps another copy and every
    kept copy of a child still has its data in time. Returns a boolean array ``gone``. O(Σ edges · copies²).
    """
    total = task.size
    succ_ptr, succ, succ_cost = g.succ_ptr, g.succ, g.succ_cost
    gone = np.empty(total, np.bool_)
    key = np.empty(total)
    for k in range(total):
        gone[k] = False
        key[k] = -start[k]
    left = np.empty(ptr_task.size - 1, np.int64)
    for v in range(left.size):
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


def copies_by_task(n: int, task: Any) -> tuple[Any, Any]:
    """Pointers (n+1,) and copy numbers (copies,) grouped by task, in order of number."""
    ptr = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(task, minlength=n), out=ptr[1:])
    return ptr, np.argsort(task, kind="stable")
