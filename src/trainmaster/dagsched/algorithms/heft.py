"""Heterogeneous earliest finish time (HEFT)."""

from __future__ import annotations

from trainmaster.dagsched.frames import in_order
from trainmaster.dagsched.kernels.ranks import b_levels, descending
from trainmaster.dagsched.problem import Draft, Problem


def heft(problem: Problem, *, insertion: bool = True) -> Draft:
    """Tasks by falling b-level, each where it finishes first, gaps included.

    Topcuoglu, Hariri & Wu, IEEE TPDS 13 (2002), section 4.1: upward rank with mean times and costs,
    earliest finish time with ``insertion``. Ties: topological position, then the lower processor.
    O(m + n p) and the gaps passed.
    """
    order = descending(problem.g, b_levels(problem.g, problem.mean_times, 1.0))
    return in_order(problem, order, insertion=insertion, finish_counts=True)
