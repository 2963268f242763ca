"""BL-EST over whole parts, each run as a block (BL-EST-MACRO)."""

from __future__ import annotations

from trainmaster.dagsched.blocks import macro
from trainmaster.dagsched.problem import Draft, Problem


def bl_est_macro(problem: Problem, *, parts: int | None = None) -> Draft:
    """The ready part of highest b-level in the quotient graph, where its outside data let it start first.

    Özkaya et al., IPDPS 2019, "-MACRO": as parts are acyclic, a part can run as one block once its inputs
    are there. Its tasks run by falling b-level, each as early as its own data allow. Ties: higher b-level
    of the part, lower part, lower processor. O(ready parts · parts · p + m p).
    """
    return macro(problem, parts, earliest_first=False)
