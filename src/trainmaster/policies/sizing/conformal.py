"""Sizing `conformal`: enough nodes for a calibrated quantile of the coming work."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trainmaster.forecasting.conformal import Conformal as Bound
from trainmaster.policies.sizing.settle import nodes_for, settle
from trainmaster.policies.sizing.snapshot import BadSizing, SizingDecision, SizingLimits, SizingSnapshot


@dataclass(frozen=True, slots=True)
class Conformal:
    """Nodes for (quantile of the coming work + backlog) / (measured capacity · target utilisation).

    miss_cost  the one knob: what a node-interval of late work costs, in idle node-intervals. The quantile
               level follows as tau = miss_cost / (miss_cost + 1), the newsvendor's ratio: 4 gives 0.8
    target_utilisation  share of a node's time meant to be used
    gain, window, trial  of the adaptive bound, see `forecasting.Conformal`; it is run over the last
               3 · window errors, so that a decision costs the same after a year. With fewer than `trial` past
               errors the spread `first_margin` (a share of the forecast) stands in
    """

    limits: SizingLimits
    miss_cost: float = 4.0
    target_utilisation: float = 1.0
    gain: float = 0.02
    window: int = 200
    trial: int = 10
    first_margin: float = 0.25

    def __post_init__(self) -> None:
        if not (self.miss_cost > 0 and math.isfinite(self.miss_cost)):
            raise BadSizing("miss_cost", self.miss_cost, "above 0 and finite")

    @property
    def name(self) -> str:
        return "conformal"

    @property
    def tau(self) -> float:
        """Quantile level that balances a miss against an idle node."""
        return self.miss_cost / (self.miss_cost + 1.0)

    def decide(self, snapshot: SizingSnapshot) -> SizingDecision:
        bound = Bound(self.tau, self.gain, self.window, self.trial)
        recent = np.array(snapshot.errors[-3 * self.window :], dtype=np.float64)
        shift = float(bound.offsets(recent)[-1])
        if math.isnan(shift):
            shift = math.log1p(self.first_margin)
        work = max((snapshot.forecast + snapshot.offset) * math.exp(shift) - snapshot.offset, 0.0)
        nodes = nodes_for(work + snapshot.backlog, snapshot, self.limits, self.target_utilisation)
        reason = (
            f"{nodes} nodes for {work:.4g} (forecast {snapshot.forecast:.4g}, quantile {self.tau:.3g}) and a "
            f"backlog of {snapshot.backlog:.4g} at {snapshot.capacity:.4g} per node"
        )
        return settle(nodes, snapshot, self.limits, reason)
