"""Random changes of a topological order and of pinned processors."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import kernel, whole


@kernel
def draw(state, below):
    """The next number of a 64-bit xorshift generator (Marsaglia, 2003), modulo ``below``."""
    x = state[0]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    state[0] = x
    return np.int64((x >> np.uint64(11)) % np.uint64(below))


@kernel
def shift_task(g, order, place, state):
    """Move one random task to a random place between its last parent and its first child.

    ``place`` is the inverse of ``order``. Returns (from, to); equal when the task cannot move.
    """
    n = order.size
    at = draw(state, n)
    v = order[at]
    lo = 0
    hi = n - 1
    for e in range(g.pred_ptr[v], g.pred_ptr[v + 1]):
        if place[g.pred[e]] + 1 > lo:
            lo = place[g.pred[e]] + 1
    for e in range(g.succ_ptr[v], g.succ_ptr[v + 1]):
        if place[g.succ[e]] - 1 < hi:
            hi = place[g.succ[e]] - 1
    to = lo + draw(state, hi - lo + 1)
    move_task(order, place, at, to)
    return np.int64(at), np.int64(to)


@kernel
def move_task(order, place, at, to):
    """Take the task at ``at`` out of ``order`` and put it in at ``to``."""
    v = order[at]
    step = 1 if to > at else -1
    k = at
    while k != to:
        order[k] = order[k + step]
        place[order[k]] = k
        k += step
    order[to] = v
    place[v] = to


@kernel
def seeded(seed):
    """The state (1,) of ``draw`` for a seed; never zero."""
    state = np.empty(1, np.uint64)
    state[0] = np.uint64(seed) * np.uint64(2654435761) + np.uint64(88172645463325252)
    if state[0] == np.uint64(0):
        state[0] = np.uint64(1)
    return state


@kernel
def change(g, order, place, home, p, state):
    """One random change: half of the time a shift, a quarter each a pin or a release.

    Returns (from, to, pinned task or −1, its old home), which ``undo`` takes.
    """
    kind = draw(state, whole(4))
    if kind < 2:
        at, to = shift_task(g, order, place, state)
        return at, to, np.int64(-1), np.int64(-1)
    task = draw(state, order.size)
    old = home[task]
    home[task] = draw(state, p) if kind == 2 else -1
    return np.int64(0), np.int64(0), task, old


@kernel
def undo(order, place, home, at, to, pinned, old):
    """Take back one ``change``."""
    if at != to:
        move_task(order, place, to, at)
    if pinned >= 0:
        home[pinned] = old
