"""The last stage of TDCA: copies of remote producers in the idle time of their consumers."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import borrower, kernel, whole
from trainmaster.dagsched.kernels.copies import add_copy, empty_copies, on_processor


@borrower
def _last_arrival(lo, hi, pred, pred_cost, q, first, least, following, where, finish):
    """(time all data of a task are at q, parent they come from last or −1); ``lo`` … ``hi``: its edges."""
    ready = 0.0
    last = whole(-1)
    for e in range(lo, hi):
        u = whole(pred[e])
        at = least[u] + pred_cost[e]
        k = on_processor(first, following, where, u, q)
        if k >= 0 and finish[k] < at:
            at = finish[k]
        if at > ready:
            ready = at
            last = u
    return ready, last


@kernel
def insert_producers(g, order, times, member):
    """Run the lists of ``member`` (p, n, bool) in ``order``, copying a late remote parent where it helps.

    Before a task starts on q: while its last data come from a parent elsewhere and q is idle until then, the
    parent is run on q too if its copy would end before the data come. Multi-port. Changes ``member``.
    """
    p, n = member.shape
    het = 1 if times.shape[1] > 1 else 0
    pred_ptr, pred, pred_cost = g.pred_ptr, g.pred, g.pred_cost
    c = empty_copies(n, n * p)
    first, least, following, where, finish = c.first, c.least, c.following, c.processor, c.finish
    free = np.empty(p)
    for q in range(p):
        free[q] = 0.0
    for position in range(n):
        v = whole(order[position])
        for q in range(p):
            if not member[q, v] or on_processor(first, following, where, v, q) >= 0:
                continue
            while True:
                ready, last = _last_arrival(
                    pred_ptr[v], pred_ptr[v + 1], pred, pred_cost, q, first, least, following, where, finish
                )
                if last < 0 or ready <= free[q] or on_processor(first, following, where, last, q) >= 0:
                    break
                begin, _ = _last_arrival(
                    pred_ptr[last], pred_ptr[last + 1], pred, pred_cost, q, first, least, following, where,
                    finish,
                )  # fmt: skip
                if free[q] > begin:
                    begin = free[q]
                end = begin + times[last, q * het]
                if end >= ready:
                    break
                add_copy(c, last, q, begin, end)
                free[q] = end
                member[q, last] = True
            begin = ready if ready > free[q] else free[q]
            free[q] = begin + times[v, q * het]
            add_copy(c, v, q, begin, free[q])
