"""The paper's formulas 1 to 7 (its tables 1 and 2), one function each, in plain Python.

Two of them (1 and 5) are images that are lost; they are given here by their descriptions. The kernels
compute the same numbers; the tests compare them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

Cost = Callable[[int, int], float]


def delta(i: int, j: int, p: int, q: int, cost: Cost) -> float:
    """δ(i, j, p, q): time to send data of task i on processor p to task j on q; 0 when p = q."""
    return 0.0 if p == q else cost(i, j)


def est(i: int, p: int, parents: Sequence[int], processors: int, ect_of: Cost, cost: Cost) -> float:
    """Formula 1: earliest start of task i on p: its last data, each sent from the best processor.

    est(i, p) = max over parents j of min over q of ect(j, q) + δ(j, i, q, p); 0 for an entry.
    """
    return max(
        (min(ect_of(j, q) + delta(j, i, q, p, cost) for q in range(processors)) for j in parents), default=0.0
    )


def ect(earliest_start: float, work: float) -> float:
    """Formula 2: ect(i, p) = est(i, p) + w_i."""
    return earliest_start + work


def pat_first() -> float:
    """Formula 3: a processor is available at 0 for the first task of its list."""
    return 0.0


def pat(sequence: Sequence[int], i: int, rct_of: Callable[[int], float]) -> float:
    """Formulas 3 and 4: when p is available for task i: the rct of the task before it in ``sequence``."""
    index = sequence.index(i)
    return pat_first() if index == 0 else rct_of(sequence[index - 1])


def rst(
    i: int, p: int, available: float, finished: Mapping[int, Iterable[tuple[int, float]]], cost: Cost
) -> float:
    """Formula 5: run-time start of i on p: available, and the data of every parent there.

    ``finished``: for each parent j the processors Δ that completed it and its rct there. rst(i, p) =
    max(pat(i, p), max over parents j of min over Δ of rct(j, Δ) + δ(j, i, Δ, p)).
    """
    arrivals = (
        min(completed + delta(j, i, where, p, cost) for where, completed in copies)
        for j, copies in finished.items()
    )
    return max(available, max(arrivals, default=0.0))


def rct(run_time_start: float, work: float) -> float:
    """Formula 6: rct(i, p) = rst(i, p) + w_i."""
    return run_time_start + work


def makespan(exit_completions: Iterable[float]) -> float:
    """Formula 7: the largest rct of a task without children, on the processor it is assigned to."""
    return max(exit_completions)
