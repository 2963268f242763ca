"""BL-EST where the tasks of a part share a processor (BL-EST-PART)."""

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.clusters import parts_of
from trainmaster.dagsched.frames import in_order
from trainmaster.dagsched.kernels.ranks import b_levels, descending
from trainmaster.dagsched.problem import Draft, Problem


def bl_est_part(problem: Problem, *, parts: int | None = None) -> Draft:
    """As ``bl_est``; the first task of a part to be placed settles the processor of the whole part.

    Özkaya et al., IPDPS 2019, "-PART", on ``parts`` parts of our partitioner. O(m + n p).
    """
    group = parts_of(problem, parts)
    home = np.full(int(group.max()) + 1, -1, np.int64)
    order = descending(problem.g, b_levels(problem.g, problem.mean_times, 1.0))
    return in_order(problem, order, insertion=False, finish_counts=False, group=group, home=home)
