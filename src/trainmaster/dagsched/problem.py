"""What an algorithm is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.kernels.arrays import Arrays
from trainmaster.dagsched.machine import Machine
from trainmaster.dagsched.plan import PLACEMENT, TRANSFER, Ports


@dataclass(frozen=True, slots=True)
class Problem:
    """A graph, a machine, a port model and a seed."""

    graph: TaskGraph
    machine: Machine
    ports: Ports = "multi"
    seed: int = 0

    @property
    def g(self) -> Arrays:
        """The graph's arrays."""
        return self.graph.arrays

    @property
    def n(self) -> int:
        """Number of tasks."""
        return self.graph.n

    @property
    def p(self) -> int:
        """Number of processors an algorithm looks at: of identical ones, no more than tasks."""
        return min(self.machine.processors, self.graph.n) if self.machine.alike else self.machine.processors

    @property
    def single(self) -> bool:
        """Whether ports carry one transfer at a time."""
        return self.ports == "single"

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """Task times as kernels take them: (n, 1) or (n, p)."""
        return self.machine.times

    @property
    def mean_times(self) -> npt.NDArray[np.float64]:
        """Mean time of each task, contiguous."""
        return np.ascontiguousarray(self.machine.mean_times())


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """Copies of tasks with times, not yet ordered or bounded: what an algorithm returns."""

    task: npt.NDArray[Any]
    processor: npt.NDArray[Any]
    start: npt.NDArray[np.float64]
    finish: npt.NDArray[np.float64]
    transfers: npt.NDArray[Any] = field(default_factory=lambda: np.zeros(0, TRANSFER))
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def makespan(self) -> float:
        """Finish of the last copy."""
        return float(self.finish.max())

    def placements(self, problem: Problem) -> npt.NDArray[Any]:
        """The copies as a plan's placement array."""
        rows = np.empty(self.task.size, PLACEMENT)
        rows["task"], rows["processor"], rows["start"], rows["finish"] = (
            self.task,
            self.processor,
            self.start,
            self.finish,
        )
        return rows[self._order(problem)]

    def lists(self, problem: Problem) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Per-processor orders: pointers (p+1) and tasks, as ``simulate`` takes them."""
        ptr = np.zeros(problem.p + 1, np.int64)
        np.cumsum(np.bincount(self.processor, minlength=problem.p), out=ptr[1:])
        return ptr, self.task[self._order(problem)]

    def without(self, gone: npt.NDArray[np.bool_]) -> Draft:
        """The other copies, where they were; transfers are left out."""
        left = ~gone
        return Draft(
            self.task[left], self.processor[left], self.start[left], self.finish[left], report=self.report
        )

    @property
    def in_order(self) -> bool:
        """Whether the copies stand by processor and then by start, no two starts on a processor alike.

        So simulations leave them, but for tasks of no length.
        """
        same = self.processor[1:] == self.processor[:-1]
        later = self.start[1:] > self.start[:-1]
        return bool(np.all((self.processor[1:] > self.processor[:-1]) | (same & later)))

    def _order(self, problem: Problem) -> Any:
        """The index that brings the copies into the order ``Plan`` promises.

        Ties of start on one processor: the earlier finish first (a task of no length before the one that
        begins at the same time), then the place in a topological order: of several tasks of no length at
        one moment, a parent must come before its child.
        """
        if self.in_order:
            return slice(None)
        position = np.empty(problem.n, np.int64)
        position[problem.g.topo] = np.arange(problem.n)
        return np.lexsort((position[self.task], self.finish, self.start, self.processor))


def one_copy_each(
    problem: Problem, processor: Any, start: Any, finish: Any, moved: Any, **report: Any
) -> Draft:
    """The draft of kernels that give every task one copy; ``moved`` as ``schedule_in_order`` returns it."""
    transfers = np.zeros(0, TRANSFER)
    if moved.size:
        g = problem.g
        edge = np.flatnonzero(~np.isnan(moved))
        target = np.repeat(np.arange(problem.n, dtype=np.int32), np.diff(g.pred_ptr))[edge]
        transfers = np.empty(edge.size, TRANSFER)
        transfers["source"], transfers["target"] = g.pred[edge], target
        transfers["from_processor"], transfers["to_processor"] = processor[g.pred[edge]], processor[target]
        transfers["start"], transfers["finish"] = moved[edge], moved[edge] + g.pred_cost[edge]
    return Draft(np.arange(problem.n, dtype=np.int32), processor, start, finish, transfers, report)
