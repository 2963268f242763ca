"""The merging stage of TDCA."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import kernel, whole
from trainmaster.dagsched.kernels.simulate import simulate_lists


@kernel
def merge_lists(g, times, order, member, by_load, ports, earliest, tail, makespan, slack):
    """Move whole lists to the first other processor where the makespan does not rise; returns it.

    ``member`` (p, n, bool), which changes: the lists, columns by position in ``order``. Processors give
    theirs away in the order ``by_load``, empty ones take none. Every try is a simulation that gives up past
    ``makespan`` · ``slack``; ``earliest``, ``tail``: see ``simulate_lists``. O(p²) simulations.
    """
    p, n = member.shape
    ptr = np.empty(p + 1, np.int64)
    task = np.empty(p * n, np.int32)
    load = np.empty(p, np.int64)
    for q in range(p):
        load[q] = 0
        for at in range(n):
            load[q] += member[q, at]
    for turn in range(p):
        q = by_load[turn]
        if load[q] == 0:
            continue
        for r in range(p):
            if r == q or load[r] == 0:
                continue
            size = whole(0)
            for s in range(p):
                ptr[s] = size
                for at in range(n):
                    if s != q and (member[s, at] or (s == r and member[q, at])):
                        task[size] = order[at]
                        size += 1
            ptr[p] = size
            if ports is not None:
                for s in range(p):
                    ports.send[s] = 0.0
                    ports.receive[s] = 0.0
            _, finish, _, ran, _, _ = simulate_lists(
                g, times, ptr, task[:size], ports, earliest, tail, makespan * slack
            )
            latest = 0.0 if ran == size else np.inf
            for k in range(size):
                if finish[k] > latest:
                    latest = finish[k]
            if latest <= makespan:
                makespan = latest
                for at in range(n):
                    if member[q, at]:
                        member[q, at] = False
                        load[r] += not member[r, at]
                        member[r, at] = True
                load[q] = 0
                break
    return makespan
