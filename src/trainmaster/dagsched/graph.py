"""A weighted task graph, checked once when it is made.

The arrays are compressed sparse rows; a graph made from arrays that already have that form shares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trainmaster.dagsched.errors import (
    CycleError,
    DanglingEdgeError,
    DuplicateEdgeError,
    EmptyGraphError,
    ShapeError,
    WeightError,
    WeightOverflowError,
)

if TYPE_CHECKING:
    from trainmaster.dagsched.kernels.arrays import Arrays

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[Any]

MAX_TASKS = 2**31 - 2


class TaskGraph:
    """n tasks with times and m edges with transfer costs; acyclic, finite, not negative.

    ``work`` (n, float64): time of each task on a processor of speed 1. ``edges``: triples
    ``(source, target, cost)``, an ``(m, 3)`` array, or an ``(m, 2)`` array of edges that cost nothing.
    ``names``: optional n names. Units are free, but times and costs must share one.

    Raises ``EmptyGraphError``, ``WeightError``, ``WeightOverflowError``, ``DanglingEdgeError``,
    ``DuplicateEdgeError``, ``CycleError`` or ``ShapeError``. The arrays must not be changed afterwards.
    """

    __slots__ = ("_arrays", "names", "work")

    work: Floats
    names: tuple[str, ...] | None

    def __init__(
        self,
        work: npt.ArrayLike,
        edges: Iterable[Sequence[float]] | npt.NDArray[Any] = (),
        names: Sequence[str] | None = None,
    ) -> None:
        times = _weights(work, "work")
        source, target, cost = _columns(edges)
        self._fill(times, *_rows(times.size, source, target, cost), names)

    @classmethod
    def from_arrays(
        cls,
        work: npt.ArrayLike,
        source: npt.ArrayLike,
        target: npt.ArrayLike,
        cost: npt.ArrayLike,
        names: Sequence[str] | None = None,
    ) -> TaskGraph:
        """A graph from three edge arrays of length m.

        Sorted by (source, target) with int32 targets and float64 costs, they are used without a copy.
        """
        graph = cls.__new__(cls)
        times = _weights(work, "work")
        rows = _rows(times.size, _indices(source, "source"), _indices(target, "target"), _array(cost, "cost"))
        graph._fill(times, *rows, names)
        return graph

    @classmethod
    def from_csr(
        cls,
        work: npt.ArrayLike,
        succ_ptr: npt.ArrayLike,
        succ: npt.ArrayLike,
        succ_cost: npt.ArrayLike,
        names: Sequence[str] | None = None,
    ) -> TaskGraph:
        """A graph from successor rows: pointers (n+1), targets (m, ascending in each row), costs (m).

        Writable contiguous arrays of int64, int32 and float64 are used without a copy.
        """
        times = _weights(work, "work")
        ptr = np.asarray(succ_ptr)
        if ptr.shape != (times.size + 1,) or not np.issubdtype(ptr.dtype, np.integer):
            raise ShapeError("succ_ptr", f"needs {times.size + 1} integers, has shape {ptr.shape}")
        targets = _indices(succ, "succ")
        if ptr[0] != 0 or ptr[-1] != targets.size or np.any(np.diff(ptr) < 0):
            raise ShapeError("succ_ptr", f"must rise from 0 to the number of edges, {targets.size}")
        source = np.repeat(np.arange(times.size, dtype=np.int32), np.diff(ptr))
        cost = _array(succ_cost, "cost")
        _, kept, kept_cost = _rows(times.size, source, targets, cost)
        graph = cls.__new__(cls)
        graph._fill(times, _kernel_ready(ptr, np.int64), kept, kept_cost, names)
        return graph

    def _fill(self, work: Floats, ptr: Ints, succ: Ints, cost: Floats, names: Sequence[str] | None) -> None:
        from trainmaster.dagsched.kernels.arrays import Arrays
        from trainmaster.dagsched.kernels.csr import one_cycle, topological_order, transpose

        with np.errstate(over="ignore"):
            if not np.isfinite(work.sum() + cost.sum()):
                raise WeightOverflowError("work and cost")
        if names is not None and len(names) != work.size:
            raise ShapeError("names", f"needs {work.size} names, has {len(names)}")
        pred_ptr, pred, pred_cost = transpose(ptr, succ, cost)
        order, count = topological_order(ptr, succ, pred_ptr)
        if count < work.size:
            done = np.zeros(work.size, np.bool_)
            done[order[:count]] = True
            raise CycleError(tuple(int(task) for task in one_cycle(pred_ptr, pred, done)))
        self.work = work
        self.names = None if names is None else tuple(names)
        self._arrays = Arrays(ptr, succ, cost, pred_ptr, pred, pred_cost, order)

    @property
    def n(self) -> int:
        """Number of tasks."""
        return self.work.size

    @property
    def m(self) -> int:
        """Number of edges."""
        return int(self._arrays.succ.size)

    @property
    def arrays(self) -> Arrays:
        """The compressed rows, as kernels take them."""
        return self._arrays

    def edges(self) -> tuple[Ints, Ints, Floats]:
        """Sources, targets and costs, (m,) each, ordered by (source, target)."""
        a = self._arrays
        source = np.repeat(np.arange(self.n, dtype=np.int32), np.diff(a.succ_ptr))
        return source, a.succ, a.succ_cost

    def name(self, task: int) -> str:
        """The task's name, or its number when the graph has no names."""
        return self.names[task] if self.names is not None else str(task)

    @property
    def ccr(self) -> float:
        """Communication to computation: mean edge cost over mean task time (0 without edges or work)."""
        if self.m == 0 or not self.work.any():
            return 0.0
        return float(self._arrays.succ_cost.mean() / self.work.mean())

    @property
    def height(self) -> int:
        """Number of tasks on the longest path counted in tasks."""
        from trainmaster.dagsched.kernels.ranks import hop_levels

        return int(hop_levels(self._arrays).max()) + 1

    @property
    def width(self) -> float:
        """Mean number of tasks in a level: n / height."""
        return self.n / self.height

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TaskGraph):
            return NotImplemented
        mine, theirs = self._arrays, other._arrays
        return (
            np.array_equal(self.work, other.work)
            and np.array_equal(mine.succ_ptr, theirs.succ_ptr)
            and np.array_equal(mine.succ, theirs.succ)
            and np.array_equal(mine.succ_cost, theirs.succ_cost)
            and self.names == other.names
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"TaskGraph(n={self.n}, m={self.m}, work={self.work.sum():g}, ccr={self.ccr:.3g})"


def _kernel_ready(values: Any, dtype: Any) -> Any:
    # Kernels are compiled for writable contiguous arrays; anything else would compile them again.
    array = np.ascontiguousarray(values, dtype=dtype)
    return array if array.flags.writeable else array.copy()


def _array(values: npt.ArrayLike, what: str) -> Floats:
    try:
        array = np.asarray(values)
        if array.dtype == object or not (
            np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_ or array.size == 0
        ):
            array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ShapeError(what, f"must be numbers ({error})") from None
    if np.issubdtype(array.dtype, np.complexfloating):
        raise ShapeError(what, "must be real numbers")
    if array.ndim != 1:
        raise ShapeError(what, f"must have one dimension, has shape {array.shape}")
    result: Floats = _kernel_ready(array, np.float64)
    return result


def _weights(values: npt.ArrayLike, what: str) -> Floats:
    array = _array(values, what)
    if array.size == 0 and what == "work":
        raise EmptyGraphError
    if array.size > MAX_TASKS:
        raise ShapeError(what, f"has {array.size} entries; at most {MAX_TASKS} are possible")
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        index = int(np.argmax(bad))
        raise WeightError(what, index, float(array[index]))
    with np.errstate(over="ignore"):
        if not np.isfinite(array.sum()):
            raise WeightOverflowError(what)
    return array


def _indices(values: npt.ArrayLike, what: str) -> Ints:
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros(0, np.int32)
    if array.ndim != 1:
        raise ShapeError(what, f"must have one dimension, has shape {array.shape}")
    if not np.issubdtype(array.dtype, np.integer):
        whole = _array(array, what)
        if not np.all(np.isfinite(whole)) or np.any(whole != np.floor(whole)):
            raise ShapeError(what, "task numbers must be whole numbers")
        # Numbers past the 64-bit range are dangling anyway; clip them so that the cast is defined.
        array = np.clip(whole, -(2.0**62), 2.0**62).astype(np.int64)
    return array


def _columns(edges: Any) -> tuple[Ints, Ints, Floats]:
    if isinstance(edges, np.ndarray):
        if edges.size == 0:
            return np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0)
        if edges.ndim != 2 or edges.shape[1] not in (2, 3):
            raise ShapeError("edges", f"needs shape (m, 3) or (m, 2), has {edges.shape}")
        cost = edges[:, 2] if edges.shape[1] == 3 else np.zeros(len(edges))
        return _indices(edges[:, 0], "edges"), _indices(edges[:, 1], "edges"), _array(cost, "cost")
    source: list[Any] = []
    target: list[Any] = []
    costs: list[Any] = []
    for position, edge in enumerate(edges):
        if len(edge) not in (2, 3):
            raise ShapeError(
                "edges", f"edge {position} has {len(edge)} entries; needs (source, target, cost)"
            )
        source.append(edge[0])
        target.append(edge[1])
        costs.append(edge[2] if len(edge) == 3 else 0.0)
    return _indices(source, "edges"), _indices(target, "edges"), _array(costs, "cost")


def _rows(n: int, source: Ints, target: Ints, cost: Floats) -> tuple[Ints, Ints, Floats]:
    """Successor rows of an edge list, after every check but the one for cycles."""
    if not source.size == target.size == cost.size:
        raise ShapeError(
            "edges", f"sources, targets and costs differ in length: {source.size}, {target.size}, {cost.size}"
        )
    outside = (source < 0) | (source >= n) | (target < 0) | (target >= n)
    if outside.any():
        edge = int(np.argmax(outside))
        raise DanglingEdgeError(edge, int(source[edge]), int(target[edge]), n)
    _weights(cost, "cost")
    loops = source == target
    if loops.any():
        raise CycleError((int(source[int(np.argmax(loops))]),))
    key = source.astype(np.int64) * n + target
    if key.size and not np.all(key[1:] > key[:-1]):
        order = np.argsort(key, kind="stable")
        key = key[order]
        same = key[1:] == key[:-1]
        if same.any():
            edge = int(order[int(np.argmax(same))])
            raise DuplicateEdgeError(int(source[edge]), int(target[edge]))
        source, target, cost = source[order], target[order], cost[order]
    ptr = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(source, minlength=n), out=ptr[1:])
    return ptr, _kernel_ready(target, np.int32), cost
