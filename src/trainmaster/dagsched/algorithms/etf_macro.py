"""ETF over whole parts, each run as a block (ETF-MACRO)."""

from __future__ import annotations

from trainmaster.dagsched.blocks import macro
from trainmaster.dagsched.problem import Draft, Problem


def etf_macro(problem: Problem, *, parts: int | None = None) -> Draft:
    """Always the ready (part, processor) pair of least start.

    Özkaya et al., IPDPS 2019, "-MACRO": as parts are acyclic, a part can run as one block once its inputs
    are there. Its tasks run by falling b-level, each as early as its own data allow. Ties: higher b-level
    of the part, lower part, lower processor. O(ready parts · parts · p + m p).
    """
    return macro(problem, parts, earliest_first=True)
