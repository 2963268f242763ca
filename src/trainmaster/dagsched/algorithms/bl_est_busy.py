"""BL-EST-PART that keeps new parts off processors with an unfinished one (BL-EST-BUSY)."""

from __future__ import annotations

from trainmaster.dagsched.clusters import parts_of
from trainmaster.dagsched.frames import by_scan
from trainmaster.dagsched.kernels.ranks import b_levels
from trainmaster.dagsched.kernels.readyscan import BY_PRIORITY
from trainmaster.dagsched.problem import Draft, Problem


def bl_est_busy(problem: Problem, *, parts: int | None = None) -> Draft:
    """As ``bl_est_part``, but a part settles only where no other part is unfinished.

    Özkaya et al., IPDPS 2019, "-BUSY". A ready task that may go nowhere is passed over for the next; when
    that holds for all, the rule is waived once, for otherwise parts could wait for each other for ever.
    """
    level = b_levels(problem.g, problem.mean_times, 1.0)
    return by_scan(problem, level, BY_PRIORITY, group=parts_of(problem, parts), busy=True)
