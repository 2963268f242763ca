"""Nodes: what they offer and how they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from trainmaster.domain.ids import NodeId, UserName
from trainmaster.domain.units import Resources


class NodeState(StrEnum):
    UP = "UP"
    DRAINING = "DRAINING"  # finishes what runs, takes nothing new
    SUSPECT = "SUSPECT"  # silent; nothing new goes there, nothing is given up yet
    GONE = "GONE"


@dataclass(frozen=True, slots=True)
class Gauges:
    """A node's measurements. Utilisations are 0..1 of the node's own share; rates in bytes/s.

    CPU utilisation and rates are means over the `interval` seconds that end at `time`.
    """

    time: float = 0.0
    interval: float = 0.0
    cpu: float = 0.0
    memory: float = 0.0
    gpu: tuple[float, ...] = ()
    gpu_memory: tuple[float, ...] = ()
    disk: float = 0.0
    disk_read: float = 0.0
    disk_write: float = 0.0
    net_received: float = 0.0
    net_sent: float = 0.0
    load: float = 0.0


@dataclass(frozen=True, slots=True)
class Node:
    """A machine, or a granted slice of one.

    `index` is the performance index D of the coupled-scheduling paper (equations 1 and 2): work per second of
    the periodic probe, larger is faster; 0 while unmeasured.
    """

    id: NodeId
    capacity: Resources
    labels: tuple[tuple[str, str], ...] = ()
    address: str = "127.0.0.1"
    state: NodeState = NodeState.UP
    gauges: Gauges = field(default_factory=Gauges)
    index: float = 0.0
    seen_at: float = 0.0
    joined_at: float = 0.0
    containers: bool = False
    incarnation: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits of one user; None means no limit."""

    user: UserName
    running_workers: int | None = None
    queued_tasks: int | None = None
