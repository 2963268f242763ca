"""What policies see, and the few methods each kind must have.

All arguments are immutable; a policy keeps nothing between calls. Ties are broken by submission order
(`Task.seq`) among tasks and by node order (`NodeView.order`) among nodes.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeVar, runtime_checkable

from trainmaster.domain.ids import NodeId, TaskId
from trainmaster.domain.learned import NOTHING_LEARNED, Learned
from trainmaster.domain.replacing import quick
from trainmaster.domain.task import Task, Urgency
from trainmaster.domain.units import Resources

T = TypeVar("T")


@quick
@dataclass(frozen=True, slots=True)
class NodeView:
    """A node that could take work. `free` is capacity minus the live runs and this cycle's decisions.

    `pressure`: the largest of its measured utilisations, 0..1; `index`: performance index, 0 if unmeasured;
    `order`: its place in the list of nodes, stable between cycles; `runs`: live runs on it; `unmeasured`: how
    many of these `pressure` does not cover, as they were launched, or in this cycle placed, too late for it;
    `departed`: how many runs that `pressure` covers have ended since, in parts where it covers part of them.
    """

    id: NodeId
    capacity: Resources
    free: Resources
    pressure: float
    index: float
    runs: int
    order: int
    unmeasured: int = 0
    departed: float = 0.0

    @property
    def cores(self) -> float:
        """Its capacity in cores."""
        return self.capacity.cpu_m / 1000

    @property
    def allocated(self) -> float:
        """The larger of the fractions of cores, memory and GPUs given away, 0..1."""
        capacity, free, share = self.capacity, self.free, 0.0
        if capacity.cpu_m:
            share = 1 - free.cpu_m / capacity.cpu_m
        if capacity.memory and (part := 1 - free.memory / capacity.memory) > share:
            share = part
        if capacity.gpus and (part := 1 - free.gpus / capacity.gpus) > share:
            share = part
        return share


@quick
@dataclass(frozen=True, slots=True)
class Context:
    """The moment of a decision. `salt` differs from decision to decision and is the same in a replay;
    `nodes` is how many take work; `planned_node_usable`: whether the node the task is planned for takes work
    and could hold it; `here`: workers of the task that are on a node already, by this decision or before it.
    """

    now: float
    salt: int
    nodes: int
    planned_node_usable: bool = False
    here: Mapping[NodeId, int] = field(default_factory=dict)


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
class Foreknowledge:
    """What a policy that *knows* may look at, and only such a policy: its file says so in its first lines.

    `rates[w - 1]`: progress per second with w workers, placed as compactly as the nodes allow, in the task's
    own unit. `remaining`: progress that is still needed; None where only the speed was profiled beforehand.
    """

    rates: tuple[float, ...]
    remaining: float | None = None


@quick
@dataclass(frozen=True, slots=True)
class Claim:
    """One task that has or wants workers, as an allotment policy sees it.

    `workers`: what it has, 0 while it waits; `least` and `most`: its bounds, narrowed by its owner's quota,
    by what the nodes could ever hold and by an explicit resize; a rigid task has both equal. `movable`: it
    may be given another number now: it can be resized, the last resize is settled and its cooldown over; or a
    task waits for its minimum, and then a group in its cooldown has `most` equal to `workers`. A waiting task
    always is. `resize_s`: seconds of training a resize would cost it. `known`: None unless the
    task was profiled beforehand.
    """

    task: Task
    workers: int
    least: int
    most: int
    movable: bool
    learned: Learned = NOTHING_LEARNED
    resize_s: float = 0.0
    known: Foreknowledge | None = None


@dataclass(frozen=True, slots=True)
class AllotmentView:
    """What an allotment policy sees: the tasks in the order in which they should be served, and the room.

    `claims`: first the running ones in the order they were accepted, then those that wait, in the order of
    the ordering policy. `free`: what is free now, over all nodes. What the claims hold comes on top: see
    `allotment.budget`. `nodes`: those that take work. `salt` as in `Context`.
    """

    now: float
    claims: Sequence[Claim]
    free: Resources
    nodes: Sequence[NodeView]
    salt: int = 0


class Allotment(Protocol):
    """How many workers each task should have."""

    @property
    def name(self) -> str: ...

    @property
    def suspends(self) -> bool:
        """True if it may give a running task 0: it is interrupted and waits. Rigid running tasks are then
        claims, too, and so are those that could not be resized."""
        ...

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        """Workers for each claim: within its bounds, what it has if it is not movable, or 0 to let it wait.

        A running task gets 0 only from a policy that suspends. Claims left out keep what they have. What is
        given must fit the budget; what the nodes then cannot hold, since room is scattered, is not given.
        """
        ...


@runtime_checkable
class Deliberate(Allotment, Protocol):
    """An allotment whose answer takes longer than one step may."""

    def deliberate(self, view: AllotmentView) -> Generator[None, None, Mapping[TaskId, int]]:
        """`allot` in parts of a few milliseconds; what it returns at last is the answer. Parts are counted
        in work done, not in time, so that they are the same in a replay."""
        ...


def finished(parts: Generator[None, None, T]) -> T:
    """Its answer, with all parts done at once."""
    while True:
        try:
            next(parts)
        except StopIteration as done:
            answer: T = done.value
            return answer


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
