"""How many nodes to have on: what is asked for, what is there, what was found. Plain values, no numpy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

from trainmaster.domain.ids import NodeId
from trainmaster.domain.units import Resources

SizingName = Literal["static", "reactive", "lsp", "conformal"]


@dataclass(frozen=True, slots=True)
class SizingKnobs:
    """What an operator sets, live: which policy sizes the cluster, within which bounds, and whether it acts.

    apply               drain and wake nodes by the recommendation; else only show it
    policy              `static`, `reactive`, `lsp` or `conformal`, see `policies.sizing`
    miss_cost           `conformal`: what a node-hour of late work costs, in idle node-hours
    margin              `reactive`: what it adds to the latest demand, a share of it
    nodes               `static`: how many
    target_utilisation  share of a node's time meant to be used (`reactive`, `conformal`)
    min_nodes, max_nodes  bounds on the nodes on; max_nodes None: all there are
    hold                decisions in a row that must want fewer nodes before any is drained
    """

    apply: bool = False
    policy: SizingName = "conformal"
    miss_cost: float = 4.0
    margin: float = 0.05
    nodes: int = 1
    target_utilisation: float = 0.9
    min_nodes: int = 1
    max_nodes: int | None = None
    hold: int = 2


@dataclass(frozen=True, slots=True)
class Grid:
    """How time is cut: rows of `interval_s` on the wall clock of `zone` (calendar days if it is a day).

    model, horizon, level  what to forecast with, how many rows, the share meant to stay below the bound
    boot_s   from waking a node until it works: the decision is for the row in which it does
    lane_depth  places in the queue of each lane, see
                `policies.sizing.capacity.share`
    """

    interval_s: float = 3600.0
    zone: str = "UTC"
    holidays: frozenset[date] = frozenset()
    model: str = "auto"
    horizon: int = 24
    level: float = 0.9
    boot_s: float = 0.0
    lane_depth: int = 1


@dataclass(frozen=True, slots=True)
class Standing:
    """The cluster as sizing sees it. Nodes that an operator drained, or that are away, are no part of it.

    on        nodes that take work;  asleep: nodes sizing drained, which it may wake;  empty: those of them
              that run nothing any more
    waiting   tasks that could start now;  running: tasks with a live attempt
    mean      mean capacity of `on` and `asleep`
    """

    on: tuple[NodeId, ...]
    asleep: tuple[NodeId, ...]
    empty: tuple[NodeId, ...]
    waiting: int
    running: int
    mean: Resources

    @property
    def total(self) -> int:
        return len(self.on) + len(self.asleep)


@dataclass(frozen=True, slots=True)
class Done:
    """Workers of one shape whose tasks ended in a stretch of time: how many, and the seconds they ran."""

    resources: Resources
    workers: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Worked:
    """What ended in one interval: tasks that had started, and their workers by shape."""

    tasks: int
    done: tuple[Done, ...] = ()


class Past(NamedTuple):
    """A closed interval: its start, the tasks submitted in it, what had been forecast for it (or None)."""

    time: float
    tasks: float
    forecast: float | None


class Coming(NamedTuple):
    """An interval to come: point forecast, one-sided bounds (None: too little history), nodes for it."""

    time: float
    tasks: float
    lower: float | None
    upper: float | None
    nodes: int | None


class Sized(NamedTuple):
    """A past recommendation for the interval from `time`, beside the nodes on once it was made."""

    time: float
    wanted: int
    on: int
    applied: bool


@dataclass(frozen=True, slots=True)
class Fit:
    """The model in use, why it is, and how its one-step forecasts of the latest `rows` intervals did.

    Errors are sums of |error| over sums of tasks (wMAPE, per cent), `floor` that of repeating the last value;
    `covered` is the share (0..1) at or below the upper bound. None where nothing can be compared.
    """

    model: str
    why: str
    rows: int
    error: float | None
    floor: float | None
    covered: float | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """A forecast of the service's own volume, and the nodes it calls for.

    at, next_at  when it was made, and when the running interval ends and it is made anew
    capacity     tasks one node completes per interval (None: no task has ended yet, so nothing can be sized)
    wanted       nodes recommended for the running interval;  wake, drain: the steps there
    memory       what the policy carries on: nodes wanted lately, and `lsp`'s average
    """

    at: float
    next_at: float
    history: tuple[Past, ...]
    coming: tuple[Coming, ...]
    fit: Fit
    capacity: float | None = None
    wanted: int | None = None
    wake: int = 0
    drain: int = 0
    reason: str = ""
    memory: tuple[tuple[int, ...], float | None] = ((), None)
