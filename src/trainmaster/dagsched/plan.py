"""A plan: every task, possibly in several copies, on processors with times."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.machine import Machine

Ports = Literal["multi", "single"]

PLACEMENT = np.dtype([("task", "i4"), ("processor", "i4"), ("start", "f8"), ("finish", "f8")])
TRANSFER = np.dtype(
    [
        ("source", "i4"),
        ("target", "i4"),
        ("from_processor", "i4"),
        ("to_processor", "i4"),
        ("start", "f8"),
        ("finish", "f8"),
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A static schedule of ``graph`` on ``machine``.

    ``placements``: structured array (``PLACEMENT``), one row per copy, ordered by processor, then start.
    ``transfers``: structured array (``TRANSFER``), one row per transfer between processors that takes
    time; filled for single-port plans, empty for multi-port ones (there every transfer starts when its
    source ends). ``lower_bound``: no plan of this graph on this machine can be shorter, with copies or
    without. ``report``: facts the algorithm adds, such as the winning member of ``auto``.
    """

    graph: TaskGraph
    machine: Machine
    placements: npt.NDArray[Any]
    algorithm: str
    lower_bound: float
    ports: Ports = "multi"
    transfers: npt.NDArray[Any] = field(default_factory=lambda: np.zeros(0, TRANSFER))
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def processors(self) -> int:
        """Number of processors the plan was made for."""
        return self.machine.processors

    @property
    def makespan(self) -> float:
        """Finish of the last copy."""
        return float(self.placements["finish"].max()) if self.placements.size else 0.0

    @property
    def gap(self) -> float:
        """makespan / lower_bound − 1: how far from the best possible at most (0 for an empty span)."""
        if self.makespan == 0.0:
            return 0.0
        if self.lower_bound == 0.0:
            return float("inf")
        return max(0.0, self.makespan / self.lower_bound - 1.0)

    @property
    def copies(self) -> int:
        """Number of copies beyond the first of every task."""
        return self.placements.size - self.graph.n

    @property
    def inflation(self) -> float:
        """Work done over work needed: 1 without duplicates."""
        placed = self.placements
        done = float(self.machine.time(placed["task"], placed["processor"]).sum())
        needed = float(self.machine.least_times().sum())
        return done / needed if needed else 1.0

    def lanes(self) -> list[npt.NDArray[Any]]:
        """The placements of each processor in order of time."""
        cuts = np.searchsorted(self.placements["processor"], np.arange(1, self.processors))
        return np.split(self.placements, cuts)

    def validate(self) -> None:
        """Check every rule, independently of all algorithms; raise the ``PlanError`` of a broken one."""
        from trainmaster.dagsched.validation import validate

        validate(self)

    def __repr__(self) -> str:
        return (
            f"Plan({self.algorithm}, n={self.graph.n}, processors={self.processors}, "
            f"makespan={self.makespan:g}, gap={self.gap:.2%}, copies={self.copies}, ports={self.ports})"
        )
