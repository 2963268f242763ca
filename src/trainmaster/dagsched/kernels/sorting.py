"""A stable sort for kernels.

numba's own ``argsort`` compiles anew, for seconds, in every kernel that uses it; this one compiles once.
"""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import inner

RUN = 16


@inner
def rising(key):
    """Positions of ``key`` (float64) by rising value, equal ones in their order. Merge sort, O(n log n)."""
    n = key.size
    order = np.empty(n, np.int64)
    for i in range(n):
        order[i] = i
    # Short runs by insertion, then merged pairwise, each time into the other buffer.
    for lo in range(0, n, RUN):
        for i in range(lo + 1, min(lo + RUN, n)):
            x = order[i]
            j = i - 1
            while j >= lo and key[order[j]] > key[x]:
                order[j + 1] = order[j]
                j -= 1
            order[j + 1] = x
    width = RUN
    if width >= n:
        return order
    other = np.empty(n, np.int64)
    while width < n:
        for lo in range(0, n, 2 * width):
            middle = min(lo + width, n)
            hi = min(lo + 2 * width, n)
            i = lo
            j = middle
            for k in range(lo, hi):
                if i < middle and (j >= hi or not key[order[j]] < key[order[i]]):
                    other[k] = order[i]
                    i += 1
                else:
                    other[k] = order[j]
                    j += 1
        order, other = other, order
        width *= 2
    return order
