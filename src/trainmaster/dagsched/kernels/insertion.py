"""The last stage of TDCA: copies of remote producers in the idle time of their consumers."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import kernel, whole
from trainmaster.dagsched.kernels.copies import (
    add_copy,
    arrival_from_copies,
    empty_copies,
    on_processor,
)


@kernel
def insert_producers(g, order, times, member):
    """Run the lists of ``member`` (p, n, bool) in ``order``, copying a late remote parent where it helps.

    Before a task starts on q: while its last data come from a parent elsewhere and q is idle until then, the
    parent is run on q too if its copy would end before the data come. Multi-port. Changes ``member``.
    """
    p, n = member.shape
    het = 1 if times.shape[1] > 1 else 0
    c = empty_copies(n, n * p)
    free = np.zeros(p)
    for position in range(n):
        v = whole(order[position])
        for q in range(p):
            if not member[q, v] or on_processor(c, v, q) >= 0:
                continue
            while True:
                ready = 0.0
                last = whole(-1)
                for e in range(g.pred_ptr[v], g.pred_ptr[v + 1]):
                    at = arrival_from_copies(c, g.pred[e], q, g.pred_cost[e])
                    if at > ready:
                        ready = at
                        last = whole(g.pred[e])
                if last < 0 or ready <= free[q] or on_processor(c, last, q) >= 0:
                    break
                begin = free[q]
                for e in range(g.pred_ptr[last], g.pred_ptr[last + 1]):
                    at = arrival_from_copies(c, g.pred[e], q, g.pred_cost[e])
                    if at > begin:
                        begin = at
                end = begin + times[last, q * het]
                if end >= ready:
                    break
                add_copy(c, last, q, begin, end)
                free[q] = end
                member[q, last] = True
            begin = ready if ready > free[q] else free[q]
            add_copy(c, v, q, begin, begin + times[v, q * het])
            free[q] = begin + times[v, q * het]
