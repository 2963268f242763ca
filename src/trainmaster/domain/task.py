"""What a user submits (`TaskSpec`) and what becomes of it (`Task`)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from enum import IntEnum, StrEnum
from operator import attrgetter
from typing import Any

from trainmaster.domain.errors import InvalidTask
from trainmaster.domain.group import Group
from trainmaster.domain.ids import NodeId, TaskId, TriggerId, UserName, WorkflowRunId
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.replacing import quick
from trainmaster.domain.units import NOTHING, Resources

MAX_ENVIRONMENT_BYTES = 128 * 1024
MAX_COMMAND_BYTES = 128 * 1024
MAX_WORKERS = 10_000
LOCAL_USER = UserName("local")
NO_TRIGGER = TriggerId("")


class TaskKind(StrEnum):
    PROCESS = "process"
    CONTAINER = "container"
    FUNCTION = "function"


class Urgency(IntEnum):
    """The queue a task belongs to (RLPTO, section V). HIGHEST also preempts."""

    NORMAL = 0
    URGENT = 1
    HIGHEST = 2


class Elasticity(StrEnum):
    """How a running task takes another number of workers."""

    AUTO = "auto"  # in place, if its workers form a group (trainmaster.train); otherwise it keeps what it has
    RESTART = "restart"  # the attempt ends and the next has another WORLD_SIZE; its own checkpoint carries on
    NONE = "none"  # never


class Intent(StrEnum):
    """Why live workers are being stopped. The state changes only once they are verifiably gone."""

    NONE = ""
    CANCEL = "cancel"
    INTERRUPT = "interrupt"
    TIMEOUT = "timeout"
    RESIZE = "resize"  # restarts with another number of workers
    RETRY = "retry"  # a sibling worker failed or was lost, so the attempt is over


@dataclass(frozen=True, slots=True)
class Retry:
    """When a failed attempt is followed by another.

    `attempts`: at most this many in all. The wait before attempt k+1 is
    `backoff_s · factor^(k-1)`, at most `max_backoff_s`, then shortened by up to `jitter` (0..1) of itself.
    `on_exits`: retry only these exit codes; empty means every failure. A lost node does not count as the
    task's failure and is retried up to `lost_attempts` further times.
    """

    attempts: int = 1
    backoff_s: float = 1.0
    factor: float = 2.0
    max_backoff_s: float = 300.0
    jitter: float = 0.1
    on_exits: tuple[int, ...] = ()
    lost_attempts: int = 3


@dataclass(frozen=True, slots=True)
class Planned:
    """A task's place in a static plan: its node, its turn among the plan's tasks on that node (from 0), and
    when it should start, in seconds after the plan's tasks were submitted."""

    node: NodeId
    position: int
    start_s: float


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of which stage of a workflow run a task is.

    `key`: empty for the only part of a stage; "3" for the fourth; "3.0" for the first that the fourth
    emitted; the node for a part of a broadcast. `round` rises with every resumption of the run. `index` and
    `total`: its place among the parts, where that is known.
    """

    run: WorkflowRunId
    stage: str
    key: str = ""
    round: int = 0
    index: int = 0
    total: int | None = None


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task as submitted. Times in seconds. Exactly one of `command` (process, container) or `function`."""

    name: str
    kind: TaskKind = TaskKind.PROCESS
    command: tuple[str, ...] = ()
    function: str = ""  # "module:function", run in a warm lane
    arguments: str = (
        "null"  # JSON handed to the function: an object is passed as keywords, a list by position
    )
    image: str = ""
    directory: str = ""
    volumes: tuple[str, ...] = ()  # "host:container[:ro]"
    environment: tuple[tuple[str, str], ...] = ()
    network: str = "none"  # containers: "none", "bridge" or "host"
    resources: Resources = NOTHING  # per worker
    min_workers: int = 1
    max_workers: int = 1
    elasticity: Elasticity = Elasticity.AUTO
    urgency: Urgency = Urgency.NORMAL
    priority: float = 0.0
    user: UserName = LOCAL_USER
    after: tuple[TaskId, ...] = ()
    timeout_s: float | None = None  # of one attempt
    queue_timeout_s: float | None = None  # waiting longer than this fails the task
    estimate_s: float | None = None  # expected duration with `min_workers`, for sjf and backfill
    deadline: float | None = None  # absolute, seconds since the epoch
    grace_s: float = 10.0  # between TERM and KILL
    retry: Retry = field(default_factory=Retry)
    preemptible: bool = True
    labels: tuple[tuple[str, str], ...] = ()
    node_labels: tuple[tuple[str, str], ...] = ()  # only nodes that carry all of these
    planned: Planned | None = None  # followed by the policies `plan`; such a task waits and never interrupts
    start_at: float | None = None  # not before this moment, seconds since the epoch
    trigger: TriggerId = NO_TRIGGER  # whose firing this task is
    due_ms: int | None = None  # the due time of that firing
    part: Part | None = None  # of a workflow run

    @property
    def elastic(self) -> bool:
        return self.max_workers > self.min_workers

    @property
    def could_be_handed_ahead(self) -> bool:
        """Only functions that hold nothing: what a node promised to one that waits, no other could use."""
        need = self.resources
        return self.kind is TaskKind.FUNCTION and not (need.cpu_m or need.memory or need.gpus)

    @property
    def handed_ahead(self) -> bool:
        """Given to a lane before it is due, to start there by the lane's own clock."""
        return self.start_at is not None and self.could_be_handed_ahead

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; fields at their default are left out, so a row stays short."""
        out: dict[str, Any] = {}
        for value, (name, default) in zip(_spec_values(self), _SPEC_DEFAULTS, strict=True):
            if value is default or value == default:
                continue
            if isinstance(value, Resources | Retry | Planned | Part):
                value = {f.name: getattr(value, f.name) for f in fields(value)}
            elif name in _PAIRS:
                value = dict(value)
            elif isinstance(value, tuple):
                value = list(value)
            elif isinstance(value, Urgency):
                value = int(value)
            elif isinstance(value, Elasticity):
                value = value.value
            out[name] = value
        return out

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TaskSpec:
        """Inverse of `to_dict`."""
        values = dict(data)
        for name in _PAIRS:
            if name in values:
                values[name] = tuple(values[name].items())
        for name in ("command", "volumes", "after"):
            if name in values:
                values[name] = tuple(values[name])
        if "kind" in values:
            values["kind"] = TaskKind(values["kind"])
        if "elasticity" in values:
            values["elasticity"] = Elasticity(values["elasticity"])
        if "urgency" in values:
            values["urgency"] = Urgency(values["urgency"])
        if "resources" in values:
            values["resources"] = Resources(**values["resources"])
        if "retry" in values:
            retry = dict(values["retry"])
            retry["on_exits"] = tuple(retry.get("on_exits", ()))
            values["retry"] = Retry(**retry)
        if values.get("planned") is not None:
            values["planned"] = Planned(**values["planned"])
        if values.get("part") is not None:
            values["part"] = Part(**values["part"])
        return cls(**values)


_PAIRS = ("environment", "labels", "node_labels")
_SPEC_DEFAULTS = tuple(
    (f.name, f.default if f.name != "retry" else Retry()) for f in fields(TaskSpec) if f.name != "name"
) + (("name", None),)
_spec_values = attrgetter(*(name for name, _ in _SPEC_DEFAULTS))


@dataclass(frozen=True, slots=True)
class Task:
    """A task and its present. A change makes a new value, so a snapshot can hold tasks without copying.

    Times are seconds since the epoch of the driving clock. `seq` numbers submissions and breaks all ties.
    """

    id: TaskId
    seq: int
    spec: TaskSpec
    state: TaskState
    submitted_at: float
    urgency: Urgency
    priority: float
    bumps: int = 0  # priority requests of the current update period (N of RLPTO's equation 4)
    attempt: int = 0
    workers: int = 0  # of the current attempt, without those that are leaving
    pinned: int | None = None  # the number of workers somebody asked for, instead of the allotment policy's
    group: Group | None = None  # of the current attempt, once a worker said that it forms one
    intent: Intent = Intent.NONE
    queued_at: float | None = None  # since when it could start
    not_before: float = 0.0  # back-off, or a release time
    accepted_at: float | None = None
    started_at: float | None = None  # of the current attempt
    first_started_at: float | None = None
    ended_at: float | None = None
    ran_s: float = 0.0  # of all earlier attempts
    failures: int = 0  # attempts that failed by the task's own fault
    losses: int = 0  # attempts lost with their node
    interruptions: int = 0
    exit_code: int | None = None
    result: str | None = None  # JSON a function returned
    reason: str = ""  # the latest decision in words
    preempting: bool = False  # room was made on its behalf: it is placed before everybody

    @property
    def ended(self) -> bool:
        return self.ended_at is not None

    def waited_s(self, now: float) -> float:
        """Seconds to the first start (or to now), from submission or from when it was to start."""
        until = self.first_started_at
        if until is None:
            until = self.ended_at if self.ended_at is not None else now
        return max(until - max(self.submitted_at, self.spec.start_at or 0.0), 0.0)

    def running_s(self, now: float) -> float:
        """Seconds run in all attempts."""
        if self.started_at is None:
            return self.ran_s
        return self.ran_s + max((self.ended_at if self.ended_at is not None else now) - self.started_at, 0.0)


def validate(spec: TaskSpec) -> None:
    """Raise InvalidTask for a task that can never be right on any cluster. Names the field and the remedy."""

    def refuse(field_name: str, problem: str, remedy: str) -> None:
        raise InvalidTask(f"{field_name}: {problem}", remedy=remedy, field=field_name)

    if not spec.name or len(spec.name) > 200:
        refuse("name", "must have 1 to 200 characters", "give a short name")
    if spec.kind is TaskKind.FUNCTION:
        if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", spec.function):
            refuse(
                "function", f"{spec.function!r} is not module:function", 'write it like "jobs.nightly:clean"'
            )
        if spec.max_workers != 1:
            refuse("workers", "a function runs in one lane", "leave workers out")
    elif not spec.command and not (spec.kind is TaskKind.CONTAINER and spec.image):
        refuse("command", "there is nothing to run", "put the command after `--`")
    if any("\0" in word for word in spec.command):
        refuse("command", "contains a NUL byte", "remove it")
    if spec.kind is TaskKind.CONTAINER and not spec.image:
        refuse("image", "a container needs an image", "name one with --image")
    if spec.kind is not TaskKind.CONTAINER and spec.image:
        refuse("image", f"a {spec.kind} task has no image", "leave it out, or make it a container task")
    if sum(len(word) for word in spec.command) > MAX_COMMAND_BYTES:
        refuse("command", f"longer than {MAX_COMMAND_BYTES} bytes", "put it into a script")
    size = sum(len(name) + len(value) + 2 for name, value in spec.environment)
    if size > MAX_ENVIRONMENT_BYTES:
        refuse(
            "environment",
            f"has {size} bytes, more than the {MAX_ENVIRONMENT_BYTES} allowed",
            "put large values into a file in the working directory",
        )
    for name, value in spec.environment:
        if not name or "=" in name or "\0" in name + value:
            refuse("environment", f"{name!r} cannot be a variable", "use NAME=value without NUL bytes")
    for amount in ("cpu_m", "memory", "gpus", "lanes"):
        if getattr(spec.resources, amount) < 0:
            refuse(f"resources.{amount}", "must not be negative", "leave it out or give a positive amount")
    if spec.min_workers < 1:
        refuse("workers", f"needs at least 1, got {spec.min_workers}", "write --workers 1..4")
    if spec.min_workers > spec.max_workers:
        refuse(
            "workers",
            f"the minimum {spec.min_workers} is above the maximum {spec.max_workers}",
            f"write --workers {spec.max_workers}..{spec.min_workers}",
        )
    if spec.elasticity is not Elasticity.AUTO and spec.kind is TaskKind.FUNCTION:
        refuse("elasticity", "a function runs in one lane", "leave it out")
    if spec.max_workers > MAX_WORKERS:
        refuse("workers", f"at most {MAX_WORKERS}, got {spec.max_workers}", "ask for fewer")
    for limit in ("timeout_s", "queue_timeout_s", "estimate_s"):
        value_s = getattr(spec, limit)
        if value_s is not None and not 0 < value_s < 1e12:
            refuse(limit, f"must be positive, got {value_s}", "leave it out for no limit")
    if spec.start_at is not None and not 0 <= spec.start_at < 1e11:
        refuse("start_at", f"is out of range: {spec.start_at}", "give seconds since the epoch")
    if not 0 <= spec.grace_s <= 3600:
        refuse("grace_s", f"must be 0 to 3600, got {spec.grace_s}", "leave it out for 10 s")
    if not -1e9 <= spec.priority <= 1e9:
        refuse("priority", f"is out of range: {spec.priority}", "use a small number")
    if not 1 <= spec.retry.attempts <= 1000 or not 0 <= spec.retry.lost_attempts <= 1000:
        refuse("retry.attempts", "must be 1 to 1000", "leave it out for one attempt")
    if not (0 <= spec.retry.jitter <= 1 and spec.retry.factor >= 1 and 0 <= spec.retry.backoff_s < 1e9):
        refuse("retry", "needs jitter 0..1, factor >= 1 and backoff >= 0", "leave them out")
    if spec.planned is not None:
        if not spec.planned.node:
            refuse("planned.node", "is empty", "name the node, or leave the plan out")
        if spec.planned.position < 0:
            refuse("planned.position", f"must not be negative, got {spec.planned.position}", "count from 0")
        if not 0 <= spec.planned.start_s < 1e12:
            refuse("planned.start_s", f"must be 0 or more, got {spec.planned.start_s}", "give seconds")
    if spec.network not in ("none", "bridge", "host"):
        refuse("network", f"{spec.network!r} is not a policy", "use none, bridge or host")


@quick
@dataclass(frozen=True, slots=True)
class Assignment:
    """Where one worker goes: the node and the GPU devices it gets there."""

    node: NodeId
    devices: tuple[int, ...] = ()
