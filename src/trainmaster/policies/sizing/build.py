"""From an operator's knobs to a policy."""

from __future__ import annotations

from trainmaster.domain.errors import UnknownPolicy
from trainmaster.domain.sizing import SizingKnobs
from trainmaster.policies.sizing.conformal import Conformal
from trainmaster.policies.sizing.lsp import Lsp
from trainmaster.policies.sizing.reactive import Reactive
from trainmaster.policies.sizing.snapshot import SizingLimits, SizingPolicy
from trainmaster.policies.sizing.static import Static

SIZINGS = ("static", "reactive", "lsp", "conformal")


def build(knobs: SizingKnobs, limits: SizingLimits) -> SizingPolicy:
    """Raises UnknownPolicy for a name that is none, BadSizing for a knob out of its range."""
    if knobs.policy == "static":
        return Static(knobs.nodes, limits)
    if knobs.policy == "reactive":
        return Reactive(limits, knobs.margin, target_utilisation=knobs.target_utilisation)
    if knobs.policy == "lsp":
        return Lsp(limits)
    if knobs.policy == "conformal":
        return Conformal(limits, knobs.miss_cost, knobs.target_utilisation)
    raise UnknownPolicy(
        f"there is no sizing policy {knobs.policy!r}", remedy=f"choose one of {', '.join(SIZINGS)}",
        name=knobs.policy,
    )  # fmt: skip
