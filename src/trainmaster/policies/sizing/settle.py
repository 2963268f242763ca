"""From the nodes a policy wants to steps: limits, hysteresis, boot loss, drain before power-off."""

from __future__ import annotations

import math

from trainmaster.policies.sizing.snapshot import (
    BadSizing,
    SizingDecision,
    SizingLimits,
    SizingMemory,
    SizingSnapshot,
)


def nodes_for(work: float, snapshot: SizingSnapshot, limits: SizingLimits, utilisation: float) -> int:
    """Fewest nodes that complete `work` in one interval at the target utilisation.

    Nodes that are not ready yet lose boot_s of the interval, so more of them are needed than of nodes
    that are on. Raises BadSizing for a capacity or utilisation that is not positive.
    """
    if not snapshot.capacity > 0:
        raise BadSizing("capacity", snapshot.capacity, "above 0: measure it before sizing by it")
    if not 0 < utilisation <= 1:
        raise BadSizing("target_utilisation", utilisation, "above 0 and at most 1")
    needed = _up(work / (snapshot.capacity * utilisation))
    ready = snapshot.nodes_on + snapshot.nodes_draining
    if needed <= ready:
        return needed
    lost = min(limits.boot_s / snapshot.interval_s, 1.0)
    if lost >= 1.0:
        return needed  # a node started now misses the whole interval: more of them would not help
    missing = work / (snapshot.capacity * utilisation) - ready
    return ready + _up(missing / (1.0 - lost))


def settle(
    wanted: int, snapshot: SizingSnapshot, limits: SizingLimits, reason: str, per_node: float | None = None
) -> SizingDecision:
    """The steps from what is on to what is wanted.

    Growing is immediate; draining nodes are taken back first. Shrinking waits until the last `hold`
    decisions all wanted fewer nodes, and then goes to the largest of these wants.
    """
    kept = per_node if per_node is not None else snapshot.memory.per_node
    bounded = min(max(wanted, limits.min_nodes), limits.max_nodes)
    wants = (*snapshot.memory.wants, bounded)[-limits.hold :]
    have = snapshot.nodes_on + snapshot.nodes_booting
    target = bounded
    notes = [reason]
    if bounded != wanted:
        notes.append(f"kept within {limits.min_nodes}..{limits.max_nodes}")
    if bounded < have:
        held = max(wants) if len(wants) == limits.hold else have
        target = min(have, held)
        if target > bounded:
            notes.append(f"{target - bounded} held until {limits.hold} decisions in a row want fewer")
    missing = max(target - have, 0)
    undrain = min(missing, snapshot.nodes_draining)
    surplus = max(have - target, 0)
    return SizingDecision(
        wanted=target,
        power_on=missing - undrain,
        undrain=undrain,
        # A node still booting runs nothing and cannot be drained: let it come up first.
        drain=min(surplus, snapshot.nodes_on),
        # Nodes taken back may be among the drained ones: power off only what remains.
        power_off=min(snapshot.nodes_drained, snapshot.nodes_draining - undrain),
        reason="; ".join(notes),
        memory=SizingMemory(wants=wants, per_node=kept),
    )


def _up(nodes: float) -> int:
    """The next whole node; a hair above a whole number is rounding, not need."""
    return max(0, math.ceil(nodes - 1e-9))
