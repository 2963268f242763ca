"""Sizing `reactive`: the latest demand plus a margin."""

from __future__ import annotations

from dataclasses import dataclass

from trainmaster.policies.sizing.settle import nodes_for, settle
from trainmaster.policies.sizing.snapshot import SizingDecision, SizingLimits, SizingSnapshot


@dataclass(frozen=True, slots=True)
class Reactive:
    """The largest demand of the last `look` intervals times (1 + margin), plus the backlog.

    Hard to beat an hour ahead, blind to Mondays a day ahead. With no interval seen yet it goes by the
    forecast.
    """

    limits: SizingLimits
    margin: float = 0.05
    look: int = 1
    target_utilisation: float = 1.0

    @property
    def name(self) -> str:
        return "reactive"

    def decide(self, snapshot: SizingSnapshot) -> SizingDecision:
        seen = snapshot.arrived[-self.look :]
        latest = max(seen) if seen else snapshot.forecast
        work = latest * (1.0 + self.margin) + snapshot.backlog
        nodes = nodes_for(work, snapshot, self.limits, self.target_utilisation)
        reason = (
            f"{nodes} nodes for the latest demand {latest:.4g} + {self.margin:.0%} and a backlog of "
            f"{snapshot.backlog:.4g} at {snapshot.capacity:.4g} per node"
        )
        return settle(nodes, snapshot, self.limits, reason)
