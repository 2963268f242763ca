"""What policies see, and the few methods each kind must have.

All arguments are immutable; a policy keeps nothing between calls. Ties are broken by submission order
(`Task.seq`) among tasks and by node order (`NodeView.order`) among nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from trainmaster.domain.ids import NodeId, TaskId
from trainmaster.domain.task import Task, Urgency
from trainmaster.domain.units import Resources


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node that could take work. `free` is capacity minus the live runs and this cycle's decisions.

    `pressure`: the largest of its measured utilisations, 0..1; `index`: performance index, 0 if unmeasured;
    `order`: its place in the list of nodes, stable between cycles; `runs`: live runs on it.
    """

    id: NodeId
    capacity: Resources
    free: Resources
    pressure: float
    index: float
    runs: int
    order: int

    @property
    def allocated(self) -> float:
        """The larger of the fractions of cores, memory and GPUs given away, 0..1."""
        share = 0.0
        if self.capacity.cpu_m:
            share = 1 - self.free.cpu_m / self.capacity.cpu_m
        if self.capacity.memory:
            share = max(share, 1 - self.free.memory / self.capacity.memory)
        if self.capacity.gpus:
            share = max(share, 1 - self.free.gpus / self.capacity.gpus)
        return share


@dataclass(frozen=True, slots=True)
class Context:
    """The moment of a decision. `salt` differs from decision to decision and is the same in a replay;
    `nodes` is how many take work; `planned_node_usable`: whether the node the task is planned for takes work
    and could hold it."""

    now: float
    salt: int
    nodes: int
    planned_node_usable: bool = False


class Discipline(Enum):
    """What may overtake a task that does not fit.

    STRICT: only work on nodes the blocked task could never use. EASY: also work that, by the estimates, does
    not delay its start (EASY backfill). SKIP: anything.
    """

    STRICT = "strict"
    EASY = "easy"
    SKIP = "skip"


class Ordering(Protocol):
    """Who comes first."""

    @property
    def name(self) -> str: ...

    @property
    def discipline(self) -> Discipline: ...

    def key(self, task: Task) -> tuple[float, ...]:
        """Smaller goes first. A function of the task alone, asked again whenever the task changes."""
        ...

    def adjust(self, task: Task) -> tuple[Urgency, float]:
        """Urgency and priority at the end of an update period with `task.bumps` requests in it."""
        ...


@dataclass(frozen=True, slots=True)
class AllotmentView:
    """What an allotment policy sees: elastic tasks that run, the task to start, and the room there is.

    `places[t]` counts the workers of task t the free resources would hold.
    """

    now: float
    running: Sequence[tuple[Task, int]]
    waiting: Sequence[Task]
    places: Mapping[TaskId, int]


class Allotment(Protocol):
    """How many workers each elastic task should have."""

    @property
    def name(self) -> str: ...

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        """Workers wanted, each within the task's own bounds. Tasks left out keep what they have."""
        ...


class Placement(Protocol):
    """Which node one worker goes to: the one with the smallest score, at a tie the first in node order."""

    @property
    def name(self) -> str: ...

    @property
    def by_node_alone(self) -> bool:
        """True if `score` looks at the node only; it is then computed once per node and change."""
        ...

    def score(self, node: NodeView, task: Task, context: Context) -> tuple[float, ...]:
        """How bad this node, which has room for the worker, would be; infinite first: not there at all."""
        ...


class Preemption(Protocol):
    """Who yields to a task that finds no room."""

    @property
    def name(self) -> str: ...

    def may(self, task: Task) -> bool:
        """Could this task interrupt anybody at all? Asked first, as it costs nothing."""
        ...

    def order(self, task: Task, running: Sequence[Task]) -> list[Task]:
        """Those that may be interrupted for `task`, the first to yield first; empty if none."""
        ...
