"""The arrays of a task graph as one value that kernels take."""

from __future__ import annotations

from typing import Any, NamedTuple


class Arrays(NamedTuple):
    """A directed acyclic graph of n tasks and m edges in compressed sparse rows, both ways.

    ``succ_ptr`` (n+1, int64), ``succ`` (m, int32), ``succ_cost`` (m, float64): successors of u are
    ``succ[succ_ptr[u]:succ_ptr[u+1]]``, ascending. ``pred_*`` is the same for predecessors, ascending.
    ``topo`` (n, int32) is a topological order. Costs are times of a transfer between two processors.
    """

    succ_ptr: Any
    succ: Any
    succ_cost: Any
    pred_ptr: Any
    pred: Any
    pred_cost: Any
    topo: Any

    def reversed(self) -> Arrays:
        """The same graph with every edge turned round (shares the arrays)."""
        return Arrays(
            self.pred_ptr,
            self.pred,
            self.pred_cost,
            self.succ_ptr,
            self.succ,
            self.succ_cost,
            self.topo[::-1].copy(),
        )
