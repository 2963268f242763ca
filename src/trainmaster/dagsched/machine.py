"""The processors a plan is made for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainmaster.dagsched.errors import ProcessorsError
from trainmaster.dagsched.graph import TaskGraph

MAX_PROCESSORS = 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """``processors`` identical or different processors, fully connected.

    ``times`` is (n, 1) when all are alike, else (n, processors): time of each task on each processor.
    """

    processors: int
    times: npt.NDArray[np.float64]

    @property
    def alike(self) -> bool:
        """Whether every task takes the same time everywhere."""
        return bool(self.times.shape[1] == 1)

    def mean_times(self) -> npt.NDArray[np.float64]:
        """Mean time of each task over the processors (n,)."""
        return self.times[:, 0] if self.alike else self.times.mean(axis=1)

    def least_times(self) -> npt.NDArray[np.float64]:
        """Least time of each task over the processors (n,)."""
        least: npt.NDArray[np.float64] = self.times[:, 0] if self.alike else self.times.min(axis=1)
        return least

    def time(self, task: npt.NDArray[Any], processor: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Times of tasks on processors, element by element."""
        times: npt.NDArray[np.float64] = self.times[task, 0 if self.alike else processor]
        return times


def machine_for(graph: TaskGraph, processors: int | Sequence[float] | npt.NDArray[Any]) -> Machine:
    """The machine that ``processors`` describes.

    A number: that many identical processors. A sequence of p speeds: task v takes ``work[v] / speed``.
    An (n, p) array: the time of each task on each processor. Raises ``ProcessorsError``.
    """
    if isinstance(processors, (bool, np.bool_)):
        raise ProcessorsError(processors, "needs a number of processors")
    if isinstance(processors, (int, np.integer)):
        _count(int(processors), processors)
        return Machine(int(processors), graph.work.reshape(-1, 1))
    try:
        given = np.asarray(processors, dtype=np.float64)
    except (TypeError, ValueError):
        raise ProcessorsError(
            processors, "needs a whole number, a list of speeds or an (n, p) array"
        ) from None
    if given.ndim == 1:
        _count(given.size, processors)
        if not np.all(np.isfinite(given) & (given > 0)):
            raise ProcessorsError(processors, "every speed must be finite and above zero")
        if np.all(given == 1.0):
            return Machine(given.size, graph.work.reshape(-1, 1))
        with np.errstate(over="ignore"):
            times = graph.work[:, None] / given[None, :]
    elif given.ndim == 2 and given.shape[0] == graph.n:
        _count(given.shape[1], f"array of shape {given.shape}")
        if not np.all(np.isfinite(given) & (given >= 0)):
            raise ProcessorsError("times", "every time must be finite and not negative")
        times = np.ascontiguousarray(given)
        if not times.flags.writeable:
            times = times.copy()
    else:
        raise ProcessorsError(
            f"array of shape {given.shape}",
            f"needs a whole number, p speeds or times of shape ({graph.n}, p)",
        )
    with np.errstate(over="ignore"):
        longest = times.max(axis=1).sum() + graph.arrays.succ_cost.sum()
    if not np.isfinite(longest):
        raise ProcessorsError("times", "with the costs they add up to more than a float holds")
    return Machine(times.shape[1], times)


def _count(count: int, shown: object) -> None:
    if count < 1:
        raise ProcessorsError(shown, "at least one processor is needed")
    if count > MAX_PROCESSORS:
        raise ProcessorsError(shown, f"at most {MAX_PROCESSORS} processors are possible")
