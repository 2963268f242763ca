"""Lower bounds on the makespan: what no plan can beat, with duplication or without, on any ports.

``area``: the work must fit on the processors. ``path``: a path's tasks run one after another.
``join``: *join-aware heads*. Before a task v can start on any processor, each parent either runs there too
or its data come from elsewhere; so for the parents in falling order of their remote arrival
(head + time + cost), if the first k run beside v the rest arrive remotely, and v starts no earlier than
the larger of the next remote arrival and the time one machine needs for those k with their heads as
release dates (1 | r_j | C_max). The least over k is a bound for v; duplication cannot beat it because a
copy beside v also starts no earlier than its head. ``combined``: tasks with head ≥ a and tail ≥ b all run
within the span left between a and b: a + (their work) / p + b.

With different processors every time is the least over the processors, which keeps each bound true.
"""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.jit import borrower, kernel, whole
from trainmaster.dagsched.kernels.ranks import b_levels
from trainmaster.dagsched.kernels.sorting import sort_by
from trainmaster.dagsched.machine import Machine, machine_for

THRESHOLDS = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """Lower bounds in units of time; ``best`` is the largest."""

    area: float
    path: float
    join: float
    combined: float

    @property
    def best(self) -> float:
        """The largest of the bounds."""
        return max(self.area, self.path, self.join, self.combined)


@borrower
def _one_machine(release, time, order, d, rank, k):
    """C_max of 1 | r_j | C_max over the d entries whose ``rank`` is below k; ``order`` sorts by release."""
    now = 0.0
    for i in range(d):
        j = order[i]
        if rank[j] < k:
            if release[j] > now:
                now = release[j]
            now += time[j]
    return now


@kernel
def join_aware_heads(g, work):
    """Earliest conceivable start of every task (n, float64). O(m log d) for the largest in-degree d.

    For growing k the machine's C_max rises and the next remote arrival falls, so the least of their
    maximum is found by bisection over k.
    """
    n = work.size
    topo, pred_ptr, pred, pred_cost = g.topo, g.pred_ptr, g.pred, g.pred_cost
    head = np.empty(n)
    most = whole(0)
    for v in range(n):
        most = max(most, pred_ptr[v + 1] - pred_ptr[v])
    release = np.empty(most)
    time = np.empty(most)
    arrival = np.empty(most)
    by_arrival = np.empty(most, np.int64)
    by_release = np.empty(most, np.int64)
    rank = np.empty(most, np.int64)
    for position in range(n):
        v = topo[position]
        lo = pred_ptr[v]
        d = pred_ptr[v + 1] - lo
        if d < 2:
            # A single parent beside v is never worse than its data sent.
            head[v] = 0.0 if d == 0 else head[pred[lo]] + work[pred[lo]]
            continue
        for i in range(d):
            u = pred[lo + i]
            release[i] = head[u]
            time[i] = work[u]
            # Negative, so that rising is falling.
            arrival[i] = -(head[u] + work[u] + pred_cost[lo + i])
        sort_by(arrival, d, by_arrival, rank)
        sort_by(release, d, by_release, rank)
        for i in range(d):
            rank[by_arrival[i]] = i
        # Smallest k whose C_max reaches the next remote arrival: the optimum is there or just before.
        best = np.inf
        low = 0
        high = d
        while low <= high:
            k = (low + high) // 2
            span = _one_machine(release, time, by_release, d, rank, k)
            remote = -arrival[by_arrival[k]] if k < d else 0.0
            if remote > span:
                span = remote
                low = k + 1
            else:
                high = k - 1
            if span < best:
                best = span
        head[v] = best
    return head


@kernel
def combined_bound(head, tail, work, p, thresholds, by_tail):
    """max over a, b of a + (work of tasks with head ≥ a and tail ≥ b) / p + b; 0 for no tasks.

    ``thresholds``: the values of a that are tried; b runs over every tail. ``by_tail``: tasks by falling
    tail. O(n · thresholds).
    """
    best = 0.0
    for i in range(thresholds.size):
        a = thresholds[i]
        held = 0.0
        least = np.inf
        for k in range(by_tail.size):
            v = by_tail[k]
            if head[v] >= a:
                held += work[v]
                if head[v] < least:
                    least = head[v]
                value = least + held / p + tail[v]
                if value > best:
                    best = value
    return best


def lower_bounds(graph: TaskGraph, processors: Any) -> Bounds:
    """All bounds of a graph on a number of processors (or speeds, or a time matrix). O(m log d + n log n)."""
    return machine_bounds(graph, machine_for(graph, processors))


def machine_bounds(graph: TaskGraph, machine: Machine) -> Bounds:
    """All bounds of a graph on a machine."""
    work = np.ascontiguousarray(machine.least_times())
    p = machine.processors
    a = graph.arrays
    # The rate at which different processors can do the work together bounds the area.
    rate = float(p) if machine.alike else _rate(machine, work)
    head = join_aware_heads(a, work)
    tail = b_levels(a, work, 0.0) - work
    # The longest path up to each task and with it, as the levels of the reversed graph.
    path = b_levels(a.reversed(), work, 0.0)
    by_tail = np.argsort(-tail, kind="stable")
    places = np.ceil(np.linspace(0.0, graph.n - 1, THRESHOLDS)).astype(np.int64)
    thresholds = np.unique(np.sort(head)[places])
    bounds = Bounds(
        area=float(work.sum()) / rate,
        path=float((path + tail).max()),
        join=float((head + work + tail).max()),
        combined=float(combined_bound(head, tail, work, rate, thresholds, by_tail)),
    )
    # Sums of up to n rounded terms: step down so that rounding never lifts a bound above the truth.
    shrink = 1.0 - 4e-16 * np.sqrt(graph.n) - 1e-15
    return Bounds(bounds.area * shrink, bounds.path * shrink, bounds.join * shrink, bounds.combined * shrink)


def _rate(machine: Machine, least: Any) -> float:
    """Least work done per time unit bound: Σ over processors of the best ratio least / actual time."""
    positive = least > 0
    if not positive.any():
        return float(machine.processors)
    return float((least[positive, None] / machine.times[positive]).max(axis=0).sum())
