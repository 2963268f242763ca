"""What a sizing policy sees and what it answers.

Work is counted in one unit throughout (tasks, node-hours of work, bits): demand, backlog and capacity
must agree on it. An interval is the time between two decisions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SizingMemory:
    """What a policy carries from one decision to the next; start with the empty one.

    wants     nodes wanted at the latest decisions, newest last (for hysteresis)
    per_node  moving average of work completed per node and interval (policy `lsp`); None before the first
    """

    wants: tuple[int, ...] = ()
    per_node: float | None = None


@dataclass(frozen=True, slots=True)
class SizingSnapshot:
    """The cluster and its demand at the moment of a decision.

    interval_s       length of an interval, seconds
    forecast         point forecast of the work arriving in the interval that the decision is for: the one
                     during which nodes powered on now are ready (see `SizingLimits.boot_s`)
    errors           log((actual + c)/(forecast + c)) of past forecasts made the same way, oldest first
    offset           that constant c
    arrived          work that arrived in past intervals, oldest first
    completed        work completed in the last interval
    backlog          work waiting now
    capacity         work one node completes per interval when it never waits: measured, not averaged
    nodes_on         nodes that take work;  nodes_booting: powered on, not ready
    nodes_draining   nodes that finish what they run and take nothing new
    nodes_drained    draining nodes that are empty now, included in nodes_draining
    """

    interval_s: float
    forecast: float
    capacity: float
    nodes_on: int
    errors: tuple[float, ...] = ()
    offset: float = 1.0
    arrived: tuple[float, ...] = ()
    completed: float = 0.0
    backlog: float = 0.0
    nodes_booting: int = 0
    nodes_draining: int = 0
    nodes_drained: int = 0
    memory: SizingMemory = field(default_factory=SizingMemory)


@dataclass(frozen=True, slots=True)
class SizingLimits:
    """Bounds that hold for every policy.

    min_nodes, max_nodes  nodes kept on and nodes that exist, 0 <= min <= max
    hold                  decisions in a row that must want fewer nodes before any is drained;
                          1 follows every want at once
    boot_s                seconds from power-on until a node works
    """

    min_nodes: int = 1
    max_nodes: int = 1
    hold: int = 1
    boot_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_nodes <= self.max_nodes:
            raise BadSizing("min_nodes", self.min_nodes, f"from 0 to max_nodes = {self.max_nodes}")
        if self.hold < 1:
            raise BadSizing("hold", self.hold, "at least 1")
        if self.boot_s < 0:
            raise BadSizing("boot_s", self.boot_s, "at least 0")


@dataclass(frozen=True, slots=True)
class SizingDecision:
    """How many nodes to have on, and the steps that lead there.

    wanted      nodes that should take work, within the limits
    power_on    nodes to power on;  undrain: draining nodes to take back, before any is powered on
    drain       nodes to drain: never powered off while they run work
    power_off   drained nodes to power off now
    reason      one sentence with the numbers behind `wanted`
    memory      to be handed in with the next snapshot
    """

    wanted: int
    power_on: int
    undrain: int
    drain: int
    power_off: int
    reason: str
    memory: SizingMemory


class SizingPolicy(Protocol):
    """A sizing policy: a pure function of the snapshot."""

    @property
    def name(self) -> str: ...

    def decide(self, snapshot: SizingSnapshot) -> SizingDecision:
        """The decision for the coming interval. Raises BadSizing for numbers outside their range."""


class BadSizing(ValueError):
    """A number that no sizing can be made from."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        self.name, self.value, self.allowed = name, value, allowed
        super().__init__(f"{name} is {value!r}; it must be {allowed}")
