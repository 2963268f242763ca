"""The whole algorithm, and the half of it the paper compares with."""

from __future__ import annotations

from trainmaster.dagsched.clusters import parts_of
from trainmaster.dagsched.problem import Draft, Problem
from trainmaster.dagsched.tdpatd.deduplicate import deduplicate
from trainmaster.dagsched.tdpatd.duplicate import duplicate_parts, expand_parts


def b_deduplication(
    problem: Problem,
    *,
    parts: int | None = None,
    leftovers: str = "rct",
    mapping: str = "b_level",
    trials: int | None = None,
) -> Draft:
    """Partition, TDCA on the quotient graph, map back; no deduplication (the paper's B_Deduplication).

    ``parts``: a tenth of the tasks by default (the paper: n / parts up to 20). ``leftovers``, ``trials``:
    see ``tdca``. ``mapping``: see ``expand_parts``. Copies are planned multi-port, as the paper's formulas
    are; single ports apply when the tasks are simulated.
    """
    part = parts_of(problem, parts)
    coarse = duplicate_parts(problem, part, leftovers, trials)
    draft = expand_parts(problem, part, coarse, mapping)
    draft.report["parts"] = int(part.max()) + 1
    return draft


def tdpatd(
    problem: Problem,
    *,
    parts: int | None = None,
    rule: str = "every_consumer",
    leftovers: str = "rct",
    mapping: str = "b_level",
    trials: int | None = None,
) -> Draft:
    """All stages of TDPATD: ``b_deduplication``, then ``deduplicate`` under ``rule``.

    O(m + p θ λ + p² θ + p² n) with λ, θ the nodes and edges of the quotient graph (paper, "Complexity
    analysis").
    """
    draft = b_deduplication(problem, parts=parts, leftovers=leftovers, mapping=mapping, trials=trials)
    return deduplicate(problem, draft, rule=rule)
