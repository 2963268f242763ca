"""Sizing `static`: a fixed number of nodes."""

from __future__ import annotations

from dataclasses import dataclass

from trainmaster.policies.sizing.settle import settle
from trainmaster.policies.sizing.snapshot import SizingDecision, SizingLimits, SizingSnapshot


@dataclass(frozen=True, slots=True)
class Static:
    """Always `nodes` nodes, whatever comes: the RLPTO paper's baseline (section VII.B.1, 30 of 60)."""

    nodes: int
    limits: SizingLimits

    @property
    def name(self) -> str:
        return "static"

    def decide(self, snapshot: SizingSnapshot) -> SizingDecision:
        return settle(self.nodes, snapshot, self.limits, f"{self.nodes} nodes by configuration")
