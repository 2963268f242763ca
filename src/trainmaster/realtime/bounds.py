"""Utilisation bounds for one worker and preemptive tasks: quick, and sufficient only (EDF's is exact)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from trainmaster.realtime.model import Recurring, Verdict, utilisation


def liu_layland(tasks: Sequence[Recurring]) -> Verdict:
    """Rate-monotonic: U ≤ n(2^(1/n) − 1) (Liu and Layland 1973, Theorem 5), as (U/n + 1)ⁿ ≤ 2 to be exact.

    With a deadline shorter than the period its density takes the place of its utilisation: shortening periods
    to the deadlines only adds work. A deadline longer than the period counts as the period.
    """
    total = sum((task.density for task in tasks), Fraction(0))
    count = max(len(tasks), 1)
    holds = (total / count + 1) ** count <= 2
    reason = f"U = {float(total):.3f}, bound {count * (2 ** (1 / count) - 1):.3f} for {len(tasks)} tasks"
    return Verdict("liu-layland", True if holds else None, False, reason)


def hyperbolic(tasks: Sequence[Recurring]) -> Verdict:
    """Rate-monotonic: Π(Uᵢ + 1) ≤ 2 (Bini, Buttazzo and Buttazzo 2003, Theorem 1); never weaker than the
    above.

    Densities for utilisations, as there.
    """
    product = Fraction(1)
    for task in tasks:
        product *= task.density + 1
    return Verdict(
        "hyperbolic", True if product <= 2 else None, False, f"Π(U + 1) = {float(product):.3f}, bound 2"
    )


def edf_utilisation(tasks: Sequence[Recurring]) -> Verdict:
    """EDF: U ≤ 1 (Liu and Layland 1973, Theorem 7): exact if no deadline is shorter than its period.

    With a shorter one, Σ density ≤ 1 suffices and U > 1 refuses.
    """
    total = utilisation(tasks)
    if total > 1:
        return Verdict("edf-utilisation", False, True, f"U = {float(total):.3f} is more than one worker has")
    if all(task.deadline >= task.period for task in tasks):
        return Verdict("edf-utilisation", True, True, f"U = {float(total):.3f}, bound 1")
    density = sum((task.density for task in tasks), Fraction(0))
    reason = f"density = {float(density):.3f}, bound 1"
    return Verdict("edf-utilisation", True if density <= 1 else None, False, reason)
