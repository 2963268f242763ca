"""A sizing policy driven over past demand: node-hours against late work."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trainmaster.policies.sizing.snapshot import (
    BadSizing,
    SizingDecision,
    SizingLimits,
    SizingMemory,
    SizingPolicy,
    SizingSnapshot,
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SizingResult:
    """What a policy cost and what it missed, over the test.

    nodes         nodes on in each interval, int64[n]
    node_hours    their sum times the interval;  oracle_hours: of the fewest nodes without late work
    ratio         node_hours / oracle_hours
    late_percent  work not completed in the interval it arrived in, per cent of all work; counted once,
                  carried over and served first in the next interval
    power_ons     nodes powered on or taken back from draining;  tasks_per_node: served work per node, [n]
    """

    policy: str
    nodes: NDArray[np.int64]
    node_hours: float
    oracle_hours: float
    ratio: float
    late_percent: float
    power_ons: int
    tasks_per_node: FloatArray
    reasons: tuple[str, ...] = field(repr=False, default=())


def oracle(demand: FloatArray, capacity: float, limits: SizingLimits) -> NDArray[np.int64]:
    """Fewest nodes that complete each interval's own work, within the limits, int64[n]."""
    nodes = np.ceil(demand / capacity - 1e-9).astype(np.int64)
    return np.clip(nodes, limits.min_nodes, limits.max_nodes)


def run(
    policy: SizingPolicy,
    demand: FloatArray,
    forecast: FloatArray,
    first: int,
    capacity: float,
    limits: SizingLimits,
    *,
    interval_s: float,
    offset: float = 1.0,
    start_nodes: int | None = None,
) -> SizingResult:
    """Let `policy` size a cluster over rows first..n-1 of `demand`.

    demand, forecast  float64[n]; forecast[i] must have been made without knowing demand[i:]. Rows before
                `first` only supply past errors and arrivals
    capacity    work one node completes per interval;  start_nodes: nodes on before the first decision
                (default: what the oracle would have had)

    Nodes decided for an interval are on for all of it; those powered on for it lose limits.boot_s. A
    drained node is off at the next interval. Raises BadSizing for a missing demand or forecast.
    """
    if not capacity > 0:
        raise BadSizing("capacity", capacity, "above 0")
    if not 1 <= first < demand.size:
        raise BadSizing("first", first, f"from 1 to {demand.size - 1}")
    if not np.isfinite(demand).all() or not np.isfinite(forecast[first:]).all():
        raise BadSizing("demand", "NaN", "known and forecast in every interval of the test")
    with np.errstate(invalid="ignore"):
        errors = np.log(demand + offset) - np.log(np.maximum(forecast, 0.0) + offset)
    best = oracle(demand, capacity, limits)
    on = int(best[first - 1]) if start_nodes is None else start_nodes
    memory = SizingMemory()
    backlog, completed = 0.0, float(demand[first - 1])
    counts, per_node, reasons = [], [], []
    late, power_ons = 0.0, 0
    lost = min(limits.boot_s / interval_s, 1.0)
    for row in range(first, demand.size):
        known = errors[:row]
        decision: SizingDecision = policy.decide(
            SizingSnapshot(
                interval_s=interval_s,
                forecast=float(forecast[row]),
                capacity=capacity,
                nodes_on=on,
                errors=tuple(known[np.isfinite(known)].tolist()),
                offset=offset,
                arrived=tuple(demand[:row].tolist()),
                completed=completed,
                backlog=backlog,
                memory=memory,
            )
        )
        memory = decision.memory
        grown = decision.power_on + decision.undrain
        power_ons += grown
        on = on + grown - decision.drain
        able = capacity * (on - grown * lost)
        completed = min(able, backlog + float(demand[row]))
        # The backlog goes first; what then does not fit of this interval's own work is late.
        late += float(demand[row]) - max(completed - backlog, 0.0)
        backlog = backlog + float(demand[row]) - completed
        counts.append(on)
        per_node.append(completed / on if on else 0.0)
        reasons.append(decision.reason)
    hours = interval_s / 3600.0
    node_hours, oracle_hours = float(sum(counts)) * hours, float(best[first:].sum()) * hours
    total = float(demand[first:].sum())
    return SizingResult(
        policy=policy.name,
        nodes=np.array(counts, dtype=np.int64),
        node_hours=node_hours,
        oracle_hours=oracle_hours,
        ratio=node_hours / oracle_hours if oracle_hours > 0 else float("nan"),
        late_percent=100.0 * late / total if total > 0 else 0.0,
        power_ons=power_ons,
        tasks_per_node=np.array(per_node),
        reasons=tuple(reasons),
    )
