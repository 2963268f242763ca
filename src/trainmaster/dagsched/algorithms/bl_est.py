"""Bottom level, earliest start time (BL-EST)."""

from __future__ import annotations

from trainmaster.dagsched.frames import in_order
from trainmaster.dagsched.kernels.ranks import b_levels, descending
from trainmaster.dagsched.problem import Draft, Problem


def bl_est(problem: Problem) -> Draft:
    """The ready task of highest b-level goes where it starts first, after what is there.

    Özkaya et al., IPDPS 2019, section IV-A. The highest b-level among ready tasks is the highest among
    all, so the order is fixed. Ties: topological position, then the lower processor. O(m + n p).
    """
    order = descending(problem.g, b_levels(problem.g, problem.mean_times, 1.0))
    return in_order(problem, order, insertion=False, finish_counts=False)
