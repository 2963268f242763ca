"""ETF-PART that keeps new parts off processors with an unfinished one (ETF-BUSY)."""

from __future__ import annotations

from trainmaster.dagsched.clusters import parts_of
from trainmaster.dagsched.frames import by_scan
from trainmaster.dagsched.kernels.ranks import b_levels
from trainmaster.dagsched.kernels.readyscan import BY_START
from trainmaster.dagsched.problem import Draft, Problem


def etf_busy(problem: Problem, *, parts: int | None = None) -> Draft:
    """As ``etf_part``, but a part settles only where no other part is unfinished.

    Özkaya et al., IPDPS 2019, "-BUSY"; waived once when no ready task may go anywhere.
    """
    level = b_levels(problem.g, problem.mean_times, 1.0)
    return by_scan(problem, level, BY_START, group=parts_of(problem, parts), busy=True)
