"""ETF where the tasks of a part share a processor (ETF-PART)."""

from __future__ import annotations

from trainmaster.dagsched.clusters import parts_of
from trainmaster.dagsched.frames import by_scan
from trainmaster.dagsched.kernels.ranks import b_levels
from trainmaster.dagsched.kernels.readyscan import BY_START
from trainmaster.dagsched.problem import Draft, Problem


def etf_part(problem: Problem, *, parts: int | None = None) -> Draft:
    """As ``etf``; the first task of a part to be placed settles the processor of the whole part.

    Özkaya et al., IPDPS 2019, "-PART". Ties: higher b-level, lower task, lower processor.
    O(n · ready · p).
    """
    level = b_levels(problem.g, problem.mean_times, 1.0)
    return by_scan(problem, level, BY_START, group=parts_of(problem, parts))
