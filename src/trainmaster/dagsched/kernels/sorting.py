"""A stable sort for kernels.

numba's own ``argsort`` compiles anew, for seconds, in every kernel that uses it; this one compiles once.
"""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import borrower, inner

RUN = 16


@inner
def rising(key):
    """Positions of ``key`` (float64) by rising value, equal ones in their order."""
    order = np.empty(key.size, np.int64)
    sort_by(key, key.size, order, np.empty(key.size if key.size > RUN else 0, np.int64))
    return order


@borrower
def sort_by(key, n, order, other):
    """Set ``order[:n]`` to the positions of ``key[:n]`` by rising value, equal ones in their order.

    ``other``: room for n more, if n > ``RUN``. Merge sort, O(n log n).
    """
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
    here, there = order, other
    width = RUN
    turns = 0
    while width < n:
        for lo in range(0, n, 2 * width):
            middle = min(lo + width, n)
            hi = min(lo + 2 * width, n)
            i = lo
            j = middle
            for k in range(lo, hi):
                if i < middle and (j >= hi or not key[here[j]] < key[here[i]]):
                    there[k] = here[i]
                    i += 1
                else:
                    there[k] = here[j]
                    j += 1
        here, there = there, here
        width *= 2
        turns += 1
    if turns % 2 == 1:
        for k in range(n):
            order[k] = other[k]
