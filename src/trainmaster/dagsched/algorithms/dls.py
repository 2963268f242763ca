"""Dynamic level scheduling (DLS)."""

from __future__ import annotations

from trainmaster.dagsched.frames import by_scan
from trainmaster.dagsched.kernels.ranks import b_levels
from trainmaster.dagsched.kernels.readyscan import BY_LEVEL_MINUS_START
from trainmaster.dagsched.problem import Draft, Problem


def dls(problem: Problem) -> Draft:
    """Always the ready pair of largest static level − start + (mean time − time there).

    Sih & Lee, IEEE TPDS 4 (1993), with the mean for the median of the times. Ties: less start, higher
    level, lower task, lower processor. O(n · ready · p).
    """
    level = b_levels(problem.g, problem.mean_times, 0.0)
    bias = None if problem.machine.alike else problem.mean_times[:, None] - problem.times
    return by_scan(problem, level, BY_LEVEL_MINUS_START, bias=bias)
