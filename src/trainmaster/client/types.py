"""What the service answers, as plain frozen values.

Field names are those of the HTTP interface. Times are seconds since the epoch, durations seconds, memory
bytes, utilisations 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trainmaster.domain.lifecycle import ENDED, TaskState


@dataclass(frozen=True, slots=True)
class Progress:
    """The latest that the training code reported."""

    time: float
    step: float
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Group:
    """The elastic group of the current attempt: the workers that train, by rank, the leader first."""

    generation: int
    members: list[int]
    settled: bool


@dataclass(frozen=True, slots=True)
class Task:
    """A task as it was when the service answered."""

    id: str
    name: str
    kind: str
    state: str
    stopping: str
    user: str
    urgency: str
    priority: float
    command: list[str]
    function: str
    image: str
    directory: str
    cpus: float
    memory: int
    gpus: int
    workers: int
    min_workers: int
    max_workers: int
    attempt: int
    failures: int
    losses: int
    interruptions: int
    submitted_at: float
    started_at: float | None
    first_started_at: float | None
    ended_at: float | None
    waited_s: float
    ran_s: float
    exit_code: int | None
    result: Any
    reason: str
    nodes: list[str]
    after: list[str]
    labels: dict[str, str]
    progress: Progress | None = None
    elasticity: str = "auto"
    pinned: int | None = None
    group: Group | None = None
    start_at: float | None = None
    trigger: str | None = None
    due: float | None = None
    workflow_run: str | None = None
    stage: str | None = None

    @property
    def ended(self) -> bool:
        return TaskState(self.state) in ENDED

    @property
    def ok(self) -> bool:
        """It has ended, and well."""
        return self.state == TaskState.SUCCEEDED


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger as it was when the service answered. `definition` makes it again."""

    id: str
    name: str
    user: str
    paused: bool
    next: float | None
    last: float | None
    missed: int
    coming: list[float]
    live: list[str]
    waiting: int
    period: float | None
    created_at: float
    gap: str | None
    fold: str | None
    definition: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Firing:
    """What became of a due time. `state`, `started_at` and `ended_at` are those of its task, or of its
    workflow `run`."""

    trigger: str
    due: float
    outcome: str
    cause: str
    decided_at: float
    task: str | None
    reason: str
    state: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Backfill:
    """Due times of a period of the past that have not fired, and how many have."""

    dues: list[float]
    fired: int
    started: bool


@dataclass(frozen=True, slots=True)
class TaskPage:
    """`next`: pass as `before` for the next page; None at the end. `counts`: all tasks by state."""

    tasks: list[Task]
    next: int | None
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Submitted:
    """One answer of `submit_many`: an id, or why the task was refused."""

    id: str | None = None
    code: str | None = None
    detail: str | None = None
    remedy: str | None = None

    @property
    def ok(self) -> bool:
        return self.id is not None


@dataclass(frozen=True, slots=True)
class Fact:
    topic: str
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a task is where it is: a sentence, then the facts behind it."""

    task: str
    state: str
    headline: str
    blocking: str
    facts: list[Fact]
    position: int | None
    ahead: list[str]


@dataclass(frozen=True, slots=True)
class Expected:
    """When a task is expected to start and end, by a simulation at `now`. Moments are seconds since the
    epoch; None: not foreseen. `guesses`: tasks before it whose length nobody knows."""

    task: str
    told: str
    now: float
    starts_at: float | None
    ends_at: float | None
    guesses: int


@dataclass(frozen=True, slots=True)
class Run:
    """One worker of one attempt."""

    id: str
    attempt: int
    rank: int
    node: str
    state: str
    devices: list[int]
    launched_at: float
    started_at: float | None
    ended_at: float | None
    exit_code: int | None
    fault: str
    detail: str
    cpu: float | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of history; `seq` numbers all of them."""

    seq: int
    time: float
    kind: str
    task: str | None
    attempt: int | None
    node: str | None
    reason: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EventPage:
    """`next`: pass as `after` to go on."""

    events: list[Event]
    next: int


@dataclass(frozen=True, slots=True)
class Metric:
    attempt: int
    rank: int
    time: float
    step: float
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class LogLine:
    cursor: int
    time: float
    stream: str
    attempt: int
    rank: int
    text: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """`older`, `newer`: pass as `before`, `after` to turn the page. `complete`: nothing more will come."""

    lines: list[LogLine]
    older: int | None
    newer: int | None
    complete: bool


@dataclass(frozen=True, slots=True)
class Gauges:
    """A node's measurements; rates in bytes per second."""

    time: float
    cpu: float
    memory: float
    gpu: list[float]
    disk: float
    disk_read: float
    disk_write: float
    net_received: float
    net_sent: float


@dataclass(frozen=True, slots=True)
class Node:
    id: str
    state: str
    address: str
    cpus: float
    memory: int
    gpus: int
    lanes: int
    cpus_used: float
    memory_used: int
    gpus_used: int
    index: float
    containers: bool
    labels: dict[str, str]
    seen_at: float
    runs: list[str]
    gauges: Gauges


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of policies."""

    name: str
    ordering: str
    allotment: str
    placement: str
    preemption: str
    summary: str
    active: bool


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits of one user; None means no limit."""

    user: str
    running_workers: int | None
    queued_tasks: int | None


@dataclass(frozen=True, slots=True)
class SizingKnobs:
    """How the cluster is sized; `apply`: nodes are drained and woken by the recommendation."""

    apply: bool
    policy: str
    miss_cost: float
    margin: float
    nodes: int
    target_utilisation: float
    min_nodes: int
    max_nodes: int | None
    hold: int


@dataclass(frozen=True, slots=True)
class PastInterval:
    """A closed interval: its start, the tasks submitted in it, what would have been forecast for it."""

    time: float
    tasks: float
    forecast: float | None


@dataclass(frozen=True, slots=True)
class ComingInterval:
    """An interval to come: point forecast, one-sided bounds, nodes wanted for it."""

    time: float
    tasks: float
    lower: float | None
    upper: float | None
    nodes: int | None


@dataclass(frozen=True, slots=True)
class Fit:
    """The model in use, why, and how it did: errors in per cent of the volume, coverage 0..1."""

    model: str
    why: str
    rows: int
    error: float | None
    floor: float | None
    covered: float | None


@dataclass(frozen=True, slots=True)
class Sized:
    """A past recommendation beside the nodes on once it was made."""

    time: float
    wanted: int
    on: int
    applied: bool


@dataclass(frozen=True, slots=True)
class Outlook:
    """`capacity`: tasks one node completes per interval; `wanted`: nodes for the running one."""

    at: float
    next_at: float
    fit: Fit
    capacity: float | None
    wanted: int | None
    reason: str
    history: list[PastInterval]
    coming: list[ComingInterval]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The service's own volume. `outlook` is None while there is none; `why_not` says why."""

    time: float
    interval_s: float
    zone: str
    level: float
    on: int
    asleep: int
    knobs: SizingKnobs
    why_not: str
    outlook: Outlook | None
    track: list[Sized]


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds."""

    mean: float
    p50: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class WhatIfColumn:
    """One way it went; waits and times to the end are over the tasks that ended in every column."""

    name: str
    profile: str
    nodes: int
    ended: int
    unended: int
    wait_s: Times
    jct_s: Times
    makespan_s: float
    worker_hours: float
    busy_node_hours: float
    restarts: int
    resizes: int


@dataclass(frozen=True, slots=True)
class WhatIfRow:
    """One task, by column; None where it did not start or end."""

    task: str
    name: str
    user: str
    wait_s: list[float | None]
    jct_s: list[float | None]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The history replayed. `columns`: as it was, replayed under the profile in use, under the other."""

    since: float
    until: float
    tasks: int
    left_out: dict[str, int]
    columns: list[WhatIfColumn]
    rows: list[WhatIfRow]


@dataclass(frozen=True, slots=True)
class Token:
    """Access of somebody. `token` is the secret, shown only when it is made."""

    id: str
    user: str
    role: str
    created_at: float
    expires_at: float | None
    label: str
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Waiting:
    task: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything in one look."""

    version: str
    time: float
    up_s: float
    profile: str
    trouble: str | None
    counts: dict[str, int]
    queue: dict[str, int]
    nodes: list[Node]
    waiting: list[Waiting]
    failures: dict[str, int]


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is wrong, or was. `state`: OPEN, ACKNOWLEDGED or RESOLVED."""

    id: str
    state: str
    rule: str
    group: str
    severity: str
    text: str
    opened_at: float
    last_at: float
    count: int
    told: int
    resolved_at: float | None
    acknowledged_at: float | None
    acknowledged_by: str | None


@dataclass(frozen=True, slots=True)
class AlarmPage:
    alarms: list[Alarm]
    next: str | None


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """When an alarm opens, what it covers, and whom it tells. Times in seconds."""

    name: str
    condition: str
    severity: str
    tasks: str
    user: str | None
    nodes: str
    resource: str
    limit: float | None
    for_s: float
    after: int
    within_s: float
    group: str
    quiet_s: float
    resolve_s: float | None
    tell_resolved: bool
    channels: list[str]
    enabled: bool
    made_at: float


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to people. Of secrets `settings` tells only that they are set."""

    name: str
    kind: str
    settings: dict[str, str]
    enabled: bool
    changed_at: float
    changed_by: str


@dataclass(frozen=True, slots=True)
class Notice:
    kind: str
    rule: str
    group: str
    severity: str
    text: str
    time: float
    alarm: str
    count: int


@dataclass(frozen=True, slots=True)
class Send:
    """A message on a channel. `state`: PENDING, SENT or FAILED; `code` and `error` of the latest failure."""

    id: str
    channel: str
    state: str
    created_at: float
    due_at: float
    attempts: int
    sent_at: float | None
    code: str
    error: str
    notices: list[Notice]
    more: int


@dataclass(frozen=True, slots=True)
class Replica:
    """A process of the service. `leads`: roles that only one may have, and it has."""

    id: str
    host: str
    pid: int
    roles: list[str]
    leads: list[str]
    url: str
    started_at: float
    beat_age_s: float


@dataclass(frozen=True, slots=True)
class Agent:
    node: str
    state: str
    beat_age_s: float | None


@dataclass(frozen=True, slots=True)
class Services:
    """The registry. `leader`: the replica that schedules; `token` rises each time another does."""

    leader: str | None
    token: int
    replicas: list[Replica]
    agents: list[Agent]
