"""When the data of a task's parents are at a processor, if every task has one copy.

The top-two trick: let a₁ be the latest arrival from another processor and P₁ the processor it comes from,
a₂ the latest from any processor but P₁. On q ≠ P₁ the remote data are there at a₁, on P₁ itself at a₂; data
made on q are there when their task ends. So one pass over the parents serves all processors.
"""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import kernel
from trainmaster.dagsched.kernels.sorting import rising


@kernel
def two_latest(g, v, processor, finish):
    """(a₁, P₁, a₂) for task v; P₁ is −1 and both times 0 without parents. O(in-degree)."""
    first = 0.0
    origin = -1
    second = 0.0
    for e in range(g.pred_ptr[v], g.pred_ptr[v + 1]):
        u = g.pred[e]
        arrival = finish[u] + g.pred_cost[e]
        q = processor[u]
        if q == origin:
            if arrival > first:
                first = arrival
        elif arrival > first or origin < 0:
            second = first
            first = arrival
            origin = q
        elif arrival > second:
            second = arrival
    return first, origin, second


@kernel
def fill_local(g, v, processor, finish, local):
    """Set ``local[q]`` to the latest finish of a parent on q, for processors that hold one."""
    for e in range(g.pred_ptr[v], g.pred_ptr[v + 1]):
        u = g.pred[e]
        if finish[u] > local[processor[u]]:
            local[processor[u]] = finish[u]


@kernel
def clear_local(g, v, processor, local):
    """Undo ``fill_local``."""
    for e in range(g.pred_ptr[v], g.pred_ptr[v + 1]):
        local[processor[g.pred[e]]] = 0.0


@kernel
def by_finish(g, v, finish):
    """Predecessor-edge positions of v by rising finish of the parent, ties by number: the ports' order."""
    lo = g.pred_ptr[v]
    d = g.pred_ptr[v + 1] - lo
    times = np.empty(d)
    for i in range(d):
        times[i] = finish[g.pred[lo + i]]
    return lo + rising(times)


@kernel
def port_arrival(g, edges, q, processor, finish, send, receive, touched, begins):
    """Single-port: when all data of a task are at q, sending over free ports in the order of ``edges``.

    A transfer starts when its source has ended and both ports are free. ``send``, ``receive`` (p,): when
    each port is free; unchanged. ``touched`` (p,) is scratch, −1 everywhere before and after. ``begins``:
    starts of the transfers by position in ``edges`` (NaN where none is needed).
    """
    ready = 0.0
    port = receive[q]
    for i in range(edges.size):
        e = edges[i]
        u = g.pred[e]
        origin = processor[u]
        begins[i] = np.nan
        if origin == q or g.pred_cost[e] == 0.0:
            if finish[u] > ready:
                ready = finish[u]
            continue
        begin = finish[u]
        free = touched[origin] if touched[origin] >= 0.0 else send[origin]
        if free > begin:
            begin = free
        if port > begin:
            begin = port
        begins[i] = begin
        port = begin + g.pred_cost[e]
        touched[origin] = port
        if port > ready:
            ready = port
    for i in range(edges.size):
        touched[processor[g.pred[edges[i]]]] = -1.0
    return ready
