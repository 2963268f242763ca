"""Random changes of a topological order and of pinned processors.

Plain Python: a change takes microseconds, the plan that is then made of it hundreds of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from trainmaster.dagsched.kernels.arrays import Arrays

WORD = 2**64 - 1


class Draws:
    """A 64-bit xorshift generator (Marsaglia, 2003); its state is never zero."""

    def __init__(self, seed: int) -> None:
        self.state = (seed * 2654435761 + 88172645463325252) & WORD or 1

    def below(self, limit: int) -> int:
        """The next number modulo ``limit``."""
        x = self.state
        x ^= x << 13 & WORD
        x ^= x >> 7
        x ^= x << 17 & WORD
        self.state = x
        return (x >> 11) % limit


def change(g: Arrays, order: Any, place: Any, home: Any, p: int, draws: Draws) -> tuple[int, int, int, int]:
    """One random change: half of the time a shift, a quarter each a pin or a release.

    ``order`` (n,) and its inverse ``place``, ``home`` (n,): the pinned processor of each task or −1. A shift
    moves a task to a random place between its last parent and its first child. Returns (from, to, pinned
    task or −1, its old home), which ``undo`` takes.
    """
    kind = draws.below(4)
    if kind < 2:
        at = draws.below(order.size)
        v = order[at]
        parents = g.pred[g.pred_ptr[v] : g.pred_ptr[v + 1]]
        children = g.succ[g.succ_ptr[v] : g.succ_ptr[v + 1]]
        first = int(place[parents].max()) + 1 if parents.size else 0
        last = int(place[children].min()) - 1 if children.size else order.size - 1
        to = first + draws.below(last - first + 1)
        move_task(order, place, at, to)
        return at, to, -1, -1
    task = draws.below(order.size)
    old = int(home[task])
    home[task] = draws.below(p) if kind == 2 else -1
    return 0, 0, task, old


def move_task(order: Any, place: Any, at: int, to: int) -> None:
    """Take the task at ``at`` out of ``order`` and put it in at ``to``."""
    v = order[at]
    if at < to:
        order[at:to] = order[at + 1 : to + 1]
    else:
        order[to + 1 : at + 1] = order[to:at]
    order[to] = v
    low, high = min(at, to), max(at, to) + 1
    place[order[low:high]] = np.arange(low, high)


def undo(order: Any, place: Any, home: Any, at: int, to: int, pinned: int, old: int) -> None:
    """Take back one ``change``."""
    if at != to:
        move_task(order, place, to, at)
    if pinned >= 0:
        home[pinned] = old
