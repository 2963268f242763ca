"""The Protocols the edges implement. The core and the service know these and nothing behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from trainmaster.domain.cluster import Gauges, Node, Quota
from trainmaster.domain.firing import Firing, Trigger
from trainmaster.domain.group import GroupPlan
from trainmaster.domain.history import Record
from trainmaster.domain.ids import NodeId, RunId, TaskId, TriggerId, UserName, WorkflowRunId
from trainmaster.domain.run import LogChunk, Run, RunGauge, RunReport, RunSpec, Stream
from trainmaster.domain.sizing import Worked
from trainmaster.domain.task import Task
from trainmaster.domain.workflow import WorkflowSpec
from trainmaster.domain.workflow_run import PartEnd, WorkflowRun


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""
        ...


# --- agents and engines -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PollResult:
    """What an agent answers to a poll. Level-triggered: unacknowledged things are sent again.

    `full`: the first answer of this incarnation to this caller; `changed` then holds every run the agent has.
    `version`: hand it back as `cursor`; runs whose report changed after it are sent.
    """

    incarnation: str
    version: int
    full: bool
    changed: tuple[RunReport, ...] = ()
    logs: tuple[LogChunk, ...] = ()
    gauges: Gauges | None = None
    run_gauges: tuple[RunGauge, ...] = ()
    index: float | None = None  # performance index


class Agent(Protocol):
    """The program on one node. The same class runs in-process and as a remote actor."""

    @property
    def node(self) -> Node: ...

    async def start(self) -> None:
        """Adopt what still runs from an earlier life, and begin to measure."""
        ...

    async def launch(self, runs: Sequence[RunSpec]) -> None:
        """Start workers, higher priority first. A run id seen before changes nothing."""
        ...

    async def stop(self, run: RunId, grace_s: float) -> None:
        """TERM, grace, KILL, verify. Unknown or ended runs change nothing; one never started never starts."""
        ...

    async def tell(self, run: RunId, plan: GroupPlan) -> None:
        """Put the latest membership of its group where the worker looks. An ended run changes nothing."""
        ...

    async def forget(self, runs: Sequence[RunId]) -> None:
        """Outcomes are recorded: delete what is kept, each as soon as its log is fetched to the end."""
        ...

    async def poll(
        self, cursor: tuple[str, int], wait_s: float, acks: Mapping[tuple[RunId, Stream], int]
    ) -> PollResult:
        """Long poll. `cursor` is the (incarnation, version) last seen, ("", 0) at first.

        `acks` are the offsets up to which logs are durably stored; log bytes after them are sent, a bounded
        amount at a time. Returns as soon as there is news, or empty after `wait_s`.
        """
        ...

    async def read_log(self, run: RunId, stream: Stream, offset: int, limit: int) -> bytes:
        """What the node still keeps of a run's log."""
        ...

    async def close(self, leave_running: bool) -> None: ...


class Sink(Protocol):
    """Where an engine delivers news. Each call returns once its content is durable."""

    async def node_up(self, node: Node, result: PollResult) -> None: ...

    async def polled(self, node: NodeId, result: PollResult) -> None: ...

    async def node_silent(self, node: NodeId) -> None: ...

    async def node_gone(self, node: NodeId) -> None: ...

    def acks(self, node: NodeId) -> Mapping[tuple[RunId, Stream], int]:
        """Durable log offsets to hand to the node's next poll (all it may need after a restart)."""
        ...


@dataclass(frozen=True, slots=True)
class Caps:
    containers: bool = False
    lanes: bool = False
    elastic: bool = False
    survives_agent_loss: bool = False


class Engine(Protocol):
    """What gives us nodes and carries calls to their agents."""

    caps: Caps

    async def start(self, sink: Sink) -> None:
        """Connect, ensure one agent per node, adopt what runs, and begin to poll."""
        ...

    async def nodes(self) -> list[Node]: ...

    async def launch(self, node: NodeId, runs: Sequence[RunSpec]) -> None: ...

    async def stop(self, node: NodeId, run: RunId, grace_s: float) -> None: ...

    async def tell(self, node: NodeId, run: RunId, plan: GroupPlan) -> None: ...

    async def forget(self, node: NodeId, runs: Sequence[RunId]) -> None: ...

    async def read_log(self, node: NodeId, run: RunId, stream: Stream, offset: int, limit: int) -> bytes: ...

    async def close(self, leave_running: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class LogFile:
    """Where a stream of a run lies on the node: the bytes of `path` from `start` to `end`.

    `end` None: to the end of the file, which grows until the run has ended. A missing file is an empty
    stream.
    """

    path: str
    start: int = 0
    end: int | None = None


class Runner(Protocol):
    """How an agent executes one kind of run. It reports through `on_report`, given at construction."""

    async def adopt(self) -> list[RunReport]:
        """Everything of this kind the node holds: alive, ended, or prepared and never begun."""
        ...

    async def launch(self, run: RunSpec) -> None: ...

    async def stop(self, run: RunId, grace_s: float) -> None: ...

    async def tell(self, run: RunId, plan: GroupPlan) -> None:
        """Replace the plan the worker sees, atomically. Kinds of runs that form no groups do nothing."""
        ...

    async def forget(self, run: RunId) -> None:
        """Delete what the node keeps of an ended run."""
        ...

    def logs(self, run: RunId) -> Mapping[Stream, LogFile]:
        """The streams a run has, whole once it has ended: the agent reads them from here."""
        ...

    async def close(self, leave_running: bool) -> None: ...


# --- the store ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Metric:
    """One progress report of one run."""

    run: RunId
    time: float
    step: float
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Past:
    """A task of the history: as it is stored, the runs of all its attempts, how many generations its groups
    had (0: its workers never formed one), and whether it ever reported progress."""

    task: Task
    runs: tuple[Run, ...]
    generations: int = 0
    reported: bool = False


@dataclass(slots=True)
class Batch:
    """Everything one scheduler step (and the news that came with it) changes; stored in one transaction.

    `id` lets a batch be committed again when its outcome is unknown: the store recognises one that it has.
    It is at most 64 characters, never used twice; `commit` fills in an empty one. Logs may be delivered again
    in any batch. Cut PROGRESS chunks at a line's end: their offset moves, their bytes are not kept.
    """

    id: str = ""
    new_tasks: list[Task] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    quotas: list[Quota] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    logs: list[LogChunk] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    idempotency: list[tuple[str, str, TaskId]] = field(default_factory=list)  # key, body digest, task
    triggers: list[Trigger] = field(default_factory=list)
    firings: list[Firing] = field(default_factory=list)
    dropped_triggers: list[TriggerId] = field(default_factory=list)
    workflow_runs: list[WorkflowRun] = field(default_factory=list)

    def empty(self) -> bool:
        return not (
            self.new_tasks or self.tasks or self.runs or self.records or self.nodes or self.quotas
            or self.settings or self.logs or self.metrics or self.idempotency
            or self.triggers or self.firings or self.dropped_triggers
            or self.workflow_runs
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Loaded:
    """The present, as the scheduler needs it after a restart: live tasks with their live attempts.

    `runs`: all workers of every current attempt that has one alive, those that have ended too.
    `log_offsets`: the next byte wanted of each stream whose node may still offer it.
    `last_seq`: of the last record; `last_task_seq`: the largest `Task.seq` ever given. `training`: of live
    tasks whose worker count may change, the latest reports and records that say how they train.
    """

    tasks: list[Task]
    runs: list[Run]
    nodes: list[Node]
    quotas: list[Quota]
    settings: dict[str, str]
    last_seq: int
    last_task_seq: int
    log_offsets: dict[tuple[RunId, Stream], int]
    ended: dict[TaskId, bool]  # of every task a live task depends on and that has ended: did it succeed
    training: list[tuple[list[Metric], list[Record]]]
    workflow_runs: list[WorkflowRun]  # the live ones, parents before the runs they contain
    parts: dict[WorkflowRunId, list[PartEnd]]  # of each of them, ended or not
    last_run_seq: int
    triggers: list[Trigger] = field(default_factory=list)
    waiting: list[Firing] = field(default_factory=list)  # held by their overlap policies


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """All conditions hold. `text` is looked for in name and id; an empty tuple of states means any."""

    states: tuple[str, ...] = ()
    user: str | None = None
    text: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkflowRow:
    """A version of a workflow. `versions`: how many there are of it."""

    name: str
    version: int
    owner: UserName
    created_at: float
    spec: WorkflowSpec
    versions: int = 1


@dataclass(frozen=True, slots=True)
class LogLine:
    """One stored line. One longer than 64 KB is cut, with a mark that says so; the download has all of it."""

    cursor: int  # position in the task's whole log, for paging
    time: float
    stream: Stream
    attempt: int
    rank: int
    text: str
    unfinished: bool = False  # its end has not arrived; it will come again, as a line of its own cursor


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines in order. `older` and `newer` are the cursors to go on with, None at either end.

    The work for one page is bounded: with a filter that matches little it may hold fewer lines than asked
    for, even none, and still have a cursor to go on with. To follow a log, go on after `newer`, or after the
    last line, or from where the page began, whichever is there first; 0 is before the first line.
    """

    lines: list[LogLine]
    older: int | None
    newer: int | None
    complete: bool  # the task has ended and every byte of its log is stored (see LogChunk.last)


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Filters: all hold. `text` is a plain substring, or a regular expression with `regex`.

    `unfinished`: a page that reaches the newest end also shows lines whose end has not arrived (a progress
    bar, a prompt). They have the cursor of the line before, so that paging goes on as if they were not there.
    """

    streams: tuple[Stream, ...] = ()
    attempt: int | None = None
    rank: int | None = None
    since: float | None = None
    until: float | None = None
    text: str | None = None
    regex: bool = False
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class TokenRow:
    id: str
    digest: str
    user: str
    role: str
    created_at: float
    expires_at: float | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class FiringRow:
    """A firing, and how what it started is: all None if that is not stored (any more)."""

    firing: Firing
    state: str | None = None
    started_at: float | None = None
    ended_at: float | None = None


class Store(Protocol):
    """The truth. Every method may raise StoreUnavailable (try again) or StoreFull (make room)."""

    async def open(self) -> None:
        """Connect and migrate to the newest schema."""
        ...

    async def close(self) -> None: ...

    async def commit(self, batch: Batch) -> int:
        """Store the whole batch or nothing, durably. Returns the sequence number of its last record."""
        ...

    async def load(self) -> Loaded: ...

    async def task(self, task: TaskId) -> Task | None: ...

    async def find(self, prefix: str) -> list[TaskId]:
        """At most 10 ids that start with `prefix`."""
        ...

    async def tasks(
        self, query: TaskFilter, limit: int, before: int | None = None
    ) -> tuple[list[Task], int | None]:
        """Newest first. `before` is the cursor (a task's seq) of the last page; returns the next or None."""
        ...

    async def counts(self) -> dict[str, int]:
        """Tasks by state."""
        ...

    async def runs(self, task: TaskId) -> list[Run]: ...

    async def records(
        self, after: int = 0, limit: int = 1000, task: TaskId | None = None, newest_first: bool = False
    ) -> list[tuple[int, Record]]:
        """History with its sequence numbers, those above `after` (below it with `newest_first`, 0 = end)."""
        ...

    async def metrics(self, task: TaskId, after: float = 0.0, limit: int = 10_000) -> list[Metric]: ...

    async def log_page(
        self,
        task: TaskId,
        query: LogQuery,
        limit: int,
        before: int | None = None,
        after: int | None = None,
    ) -> LogPage:
        """With `after` forwards from there; with `before` backwards; with neither the tail.

        Raises InvalidQuery for a regular expression that is wrong or could take exponential time.
        """
        ...

    def log_bytes(self, task: TaskId, stream: Stream, attempt: int, rank: int) -> AsyncIterator[bytes]:
        """A whole stream exactly as written, for download."""
        ...

    async def firings(
        self,
        trigger: TriggerId | None = None,
        *,
        since_ms: int | None = None,
        before_ms: int | None = None,
        outcomes: tuple[str, ...] = (),
        limit: int = 100,
    ) -> list[FiringRow]:
        """The latest due first: those due at `since_ms` or later and before `before_ms`; of deleted triggers
        too, by their id."""
        ...

    async def forgotten(self, trigger: TriggerId) -> tuple[int, int] | None:
        """The first and the last due time (ms) of what a trigger fired and is not kept any more."""
        ...

    async def trigger_durations(self, trigger: TriggerId, limit: int) -> list[float]:
        """Seconds that the latest tasks of a trigger ran which ended well."""
        ...

    async def arrivals(self, after: int, slot_s: float) -> tuple[dict[int, int], int]:
        """Submissions by slot ⌊submitted_at / slot_s⌋, of the stored tasks with a seq above `after`.

        The second value is the largest seq among them (or `after`): ask from there the next time.
        """
        ...

    async def worked(self, since: float, until: float, most_s: float) -> Worked:
        """Tasks that had started and ended in [since, until), with the workers of all their attempts.

        Of each worker at most `most_s` seconds count.
        """
        ...

    async def past(self, since: float, until: float, limit: int) -> list[Past]:
        """The tasks that were there at some time in [since, until), in order of submission; of more than
        `limit` the newest."""
        ...

    async def put_workflow(self, spec: WorkflowSpec, owner: UserName, now: float) -> int:
        """Store a version and answer with its number; that of the latest if it says the same."""
        ...

    async def workflow(self, name: str, version: int | None = None) -> WorkflowRow | None:
        """A version, by default the latest."""
        ...

    async def workflows(self, name: str | None = None) -> list[WorkflowRow]:
        """The latest version of every workflow by name; with `name` every version of it, newest first."""
        ...

    async def workflow_run(self, run: str) -> WorkflowRun | None: ...

    async def find_workflow_runs(self, prefix: str) -> list[WorkflowRunId]:
        """At most 10 ids that start with `prefix`."""
        ...

    async def workflow_runs(
        self, workflow: str | None, states: Sequence[str], limit: int, before: int | None = None
    ) -> tuple[list[WorkflowRun], int | None]:
        """Newest first, those inside others left out. `before` is the cursor of the last page."""
        ...

    async def parts(self, run: WorkflowRunId, stage: str | None = None) -> list[PartEnd]:
        """Of all rounds and of all stages or one, in the order of submission; those that are runs of other
        workflows last."""
        ...

    async def places(self, run: WorkflowRunId) -> dict[TaskId, NodeId]:
        """Where the first worker of the latest attempt of every task of a run was."""
        ...

    async def durations(self, workflow: str, runs: int) -> dict[str, tuple[float, int]]:
        """Of each stage the mean seconds one of its tasks took when it succeeded, and how many did, over the
        latest `runs` runs of a workflow."""
        ...

    async def idempotent(self, key: str) -> tuple[str, TaskId] | None: ...

    async def tokens(self) -> list[TokenRow]: ...

    async def put_token(self, token: TokenRow) -> None: ...

    async def drop_token(self, token_id: str) -> bool: ...

    async def expire(
        self, *, tasks_before: float, records_before: float, logs_before: float, limit: int
    ) -> dict[str, int]:
        """Retention: delete at most `limit` ended tasks (with all they own), records, firings and log chunks
        each. Firings go with the records of their day."""
        ...


# --- the rest ----------------------------------------------------------------------------------------------


class Bus(Protocol):
    """Hints that something changed. Losing one delays, nothing else: the store is the truth."""

    async def publish(self, topic: str, message: Mapping[str, Any]) -> None: ...

    def subscribe(self, topic: str) -> AsyncIterator[Mapping[str, Any]]: ...

    async def close(self) -> None: ...


class Notifier(Protocol):
    async def send(self, subject: str, body: str) -> None: ...
