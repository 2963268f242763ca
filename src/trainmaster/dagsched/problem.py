"""What an algorithm is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.kernels.arrays import Arrays
from trainmaster.dagsched.machine import Machine
from trainmaster.dagsched.plan import TRANSFER, Ports, placements_of


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
        position = np.empty(problem.n, np.int64)
        position[problem.g.topo] = np.arange(problem.n)
        return placements_of(self.task, self.processor, self.start, self.finish, position[self.task])

    def lists(self, problem: Problem) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Per-processor orders: pointers (p+1) and tasks, as ``simulate`` takes them."""
        rows = self.placements(problem)
        ptr = np.zeros(problem.p + 1, np.int64)
        np.cumsum(np.bincount(rows["processor"], minlength=problem.p), out=ptr[1:])
        return ptr, np.ascontiguousarray(rows["task"])


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
