"""What one node completes, measured on work that really ran."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trainmaster.domain.sizing import Worked
from trainmaster.domain.units import Resources
from trainmaster.policies.sizing.snapshot import BadSizing

RHO = 0.8
"""Weight of the past in each new average, the RLPTO paper's ρ (section IV.B)."""
LEAST_S = 1e-3
"""A task takes at least this much of a node, whatever it asked for: starting and recording it do."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Moving sums of tasks completed and of the node-seconds they took.

    Their quotient is tasks per *occupied* node, not per node that is on: the RLPTO paper's equation 2
    divides by the latter, which is load and keeps an oversized cluster oversized. An interval in which more
    ended says more, since both sums decay together: x_new = ρ · x_old + (1 − ρ) · x_past.
    """

    tasks: float = 0.0
    node_s: float = 0.0

    def after(self, worked: Worked, mean: Resources, lane_depth: int = 1, rho: float = RHO) -> Capacity:
        """With one more interval. `mean`: a node; `lane_depth`: places in the queue of each of its lanes.

        An interval in which nothing ended says nothing and changes nothing.
        """
        if not 0.0 <= rho < 1.0:
            raise BadSizing("rho", rho, "from 0 to below 1")
        if not worked.tasks:
            return self
        taken = sum(share(done.resources, mean, lane_depth) * done.seconds for done in worked.done)
        taken = max(taken, LEAST_S * worked.tasks)
        return Capacity(
            rho * self.tasks + (1.0 - rho) * worked.tasks, rho * self.node_s + (1.0 - rho) * taken
        )

    def per_node(self, interval_s: float) -> float | None:
        """Tasks one node completes in an interval when it never waits; None while nothing was measured."""
        return self.tasks * interval_s / self.node_s if self.node_s > 0 else None


def measure(intervals: Iterable[Worked], mean: Resources, lane_depth: int = 1, rho: float = RHO) -> Capacity:
    """Over several intervals, oldest first."""
    found = Capacity()
    for worked in intervals:
        found = found.after(worked, mean, lane_depth, rho)
    return found


def share(need: Resources, node: Resources, lane_depth: int = 1) -> float:
    """The dominant share of a node that one worker takes, 0..1.

    Most of a lane's places are only a queue: one task in `lane_depth` runs, and takes the whole lane.
    """
    parts = [
        (need.cpu_m, node.cpu_m),
        (need.memory, node.memory),
        (need.gpus, node.gpus),
        (need.lanes * lane_depth, node.lanes),
    ]
    return min(max((a / b if b else 1.0) if a else 0.0 for a, b in parts), 1.0)
