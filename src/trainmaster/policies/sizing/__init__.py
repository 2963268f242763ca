"""How many nodes to have on: `static`, `lsp`, `reactive`, `conformal`, all pure."""

from trainmaster.policies.sizing.conformal import Conformal
from trainmaster.policies.sizing.lsp import Lsp
from trainmaster.policies.sizing.reactive import Reactive
from trainmaster.policies.sizing.snapshot import (
    BadSizing,
    SizingDecision,
    SizingLimits,
    SizingMemory,
    SizingPolicy,
    SizingSnapshot,
)
from trainmaster.policies.sizing.static import Static

__all__ = [
    "BadSizing",
    "Conformal",
    "Lsp",
    "Reactive",
    "SizingDecision",
    "SizingLimits",
    "SizingMemory",
    "SizingPolicy",
    "SizingSnapshot",
    "Static",
]
