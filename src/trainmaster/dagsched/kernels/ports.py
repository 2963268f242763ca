"""Duplex single-port machines: every processor sends one transfer at a time and receives one.

Kernels take ``ports`` as one argument that is None for multi-port machines; numba then leaves out what only
ports need, so nobody compiles it who does not ask for it.
"""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from trainmaster.dagsched.jit import borrower, inner
from trainmaster.dagsched.kernels.sorting import rising


class Ports(NamedTuple):
    """When the sending and the receiving port of each processor are free (p,); ``touched`` (p,) is scratch,
    −1 everywhere between calls."""

    send: Any
    receive: Any
    touched: Any


def free_ports(p: int, single: bool) -> Ports | None:
    """Ports of p processors, free from 0 on; None where ports do not matter."""
    return Ports(np.zeros(p), np.zeros(p), np.full(p, -1.0)) if single else None


@inner
def by_finish(lo, hi, pred, finish):
    """Predecessor-edge positions ``lo`` … ``hi`` by rising finish of the parent, ties by number."""
    times = np.empty(hi - lo)
    for e in range(lo, hi):
        times[e - lo] = finish[pred[e]]
    order = rising(times)
    for i in range(order.size):
        order[i] += lo
    return order


@borrower
def port_arrival(edges, pred, pred_cost, q, processor, finish, ports, begins):
    """When all data of a task are at q, sending over free ports in the order of ``edges``.

    A transfer starts when its source has ended and both ports are free; the ports stay as they are.
    ``begins``: starts of the transfers by position in ``edges`` (NaN where none is needed).
    """
    send, touched = ports.send, ports.touched
    ready = 0.0
    port = ports.receive[q]
    for i in range(edges.size):
        e = edges[i]
        u = pred[e]
        origin = processor[u]
        begins[i] = np.nan
        if origin == q or pred_cost[e] == 0.0:
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
        port = begin + pred_cost[e]
        touched[origin] = port
        if port > ready:
            ready = port
    for i in range(edges.size):
        touched[processor[pred[edges[i]]]] = -1.0
    return ready


@borrower
def send_all(edges, pred, pred_cost, q, processor, finish, ports, begins, moved):
    """Carry out the transfers that ``port_arrival`` finds: the ports are taken, ``moved[e]`` their starts."""
    port_arrival(edges, pred, pred_cost, q, processor, finish, ports, begins)
    for i in range(edges.size):
        if not np.isnan(begins[i]):
            e = edges[i]
            moved[e] = begins[i]
            ports.send[processor[pred[e]]] = begins[i] + pred_cost[e]
            ports.receive[q] = begins[i] + pred_cost[e]
