"""Sizing `lsp`: the RLPTO paper's formula, kept as a baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trainmaster.policies.sizing.settle import settle
from trainmaster.policies.sizing.snapshot import BadSizing, SizingDecision, SizingLimits, SizingSnapshot


@dataclass(frozen=True, slots=True)
class Lsp:
    """w = y_pred / task_new with task_new = ρ · task_old + (1 − ρ) · task_past (RLPTO equations 2 and 3).

    rho   weight of the old average, ρ = 0.8 in the paper
    seed  the average before the first interval; the paper gives none. Default: the measured capacity

    A known defect, kept as published: task_past is work *completed* per node. While nodes have spare
    time that is load, not capacity, so an oversized cluster sees little work per node, concludes that a
    node does little work, and stays oversized. The node count depends on `seed`. Rounded up.
    """

    limits: SizingLimits
    rho: float = 0.8
    seed: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.rho <= 1.0:
            raise BadSizing("rho", self.rho, "from 0 to 1")
        if self.seed is not None and not self.seed > 0:
            raise BadSizing("seed", self.seed, "above 0")

    @property
    def name(self) -> str:
        return "lsp"

    def decide(self, snapshot: SizingSnapshot) -> SizingDecision:
        old = snapshot.memory.per_node
        if old is None:
            old = self.seed if self.seed is not None else snapshot.capacity
        past = snapshot.completed / snapshot.nodes_on if snapshot.nodes_on and snapshot.arrived else old
        average = self.rho * old + (1.0 - self.rho) * past
        # An idle stretch drives the average to zero, and the formula with it to infinitely many nodes.
        nodes = math.ceil(snapshot.forecast / average - 1e-9) if average > 0 else self.limits.max_nodes
        nodes = min(nodes, self.limits.max_nodes)
        reason = (
            f"{nodes} nodes for a forecast of {snapshot.forecast:.4g} at {average:.4g} completed per node"
        )
        return settle(nodes, snapshot, self.limits, reason, per_node=average)
