"""When the data of a task's parents are at a processor, if every task has one copy.

The top-two trick: let a₁ be the latest arrival from another processor and P₁ the processor it comes from,
a₂ the latest from any processor but P₁. On q ≠ P₁ the remote data are there at a₁, on P₁ itself at a₂; data
made on q are there when their task ends. So one pass over the parents serves all processors.
"""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

from trainmaster.dagsched.jit import borrower


@borrower
def two_latest(lo, hi, pred, pred_cost, processor, finish):
    """(a₁, P₁, a₂) over the predecessor edges ``lo`` … ``hi``; (0, −1, 0) without any."""
    first = 0.0
    origin = -1
    second = 0.0
    for e in range(lo, hi):
        u = pred[e]
        arrival = finish[u] + pred_cost[e]
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


@borrower
def enabling(lo, hi, pred, pred_cost, processor, finish):
    """(a₁, P₁, d₁): all data are at the enabling processor P₁ itself at d₁; (0, −1, 0) without parents."""
    first, origin, at_origin = two_latest(lo, hi, pred, pred_cost, processor, finish)
    for e in range(lo, hi):
        if processor[pred[e]] == origin and finish[pred[e]] > at_origin:
            at_origin = finish[pred[e]]
    return first, origin, at_origin
