"""What a task may be submitted with: the fields of the HTTP interface as keyword arguments."""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class RetryFields(TypedDict, total=False):
    """When a failed attempt is followed by another. Durations in seconds, or such as "30s" and "5m"."""

    attempts: int
    backoff: float | str
    factor: float
    max_backoff: float | str
    jitter: float
    on_exits: list[int]
    lost_attempts: int


class TaskFields(TypedDict, total=False):
    """Either `command` (a process; a container with `image`) or `function` ("module:function").

    Resources are per worker; memory in bytes or such as "8GB"; durations in seconds or such as "90s".
    """

    name: str
    command: list[str]
    function: str
    arguments: Any
    image: str
    directory: str
    volumes: list[str]
    environment: dict[str, str]
    network: Literal["none", "bridge", "host"]
    cpus: float
    memory: int | str
    gpus: int
    workers: int | str
    elasticity: Literal["auto", "restart", "none"]
    urgency: Literal["normal", "urgent", "highest"]
    priority: float
    after: list[str]
    timeout: float | str
    queue_timeout: float | str
    estimate: float | str
    deadline: float
    start_at: float
    grace: float | str
    retry: RetryFields
    preemptible: bool
    labels: dict[str, str]
    node_labels: dict[str, str]


class TriggerFields(TypedDict, total=False):
    """What a trigger is made of: exactly one of `cron`, `every` and `at`, and a task or a workflow.

    `version`: of the workflow; without it the latest there is at each firing. `parameters` may hold
    expressions that name the due time, such as `${{ due.date }}`; see docs/how-to/triggers.md.

    Times in epoch seconds, durations in seconds or such as "90s"; see docs/how-to/time-rules.md.
    """

    name: str
    cron: str
    every: float | str
    at: float
    after_end: bool
    zone: str
    gap: Literal["skip", "after", "shift"] | None
    fold: Literal["first", "second", "both"] | None
    start: float | None
    end: float | None
    exclude: list[str]
    jitter: float | str
    misfire: Literal["skip", "fire-once", "catch-up"]
    overlap: Literal["allow", "skip", "queue-one", "queue-all", "cancel-old"]
    grace: float | str
    window: float | str
    deadline: float | str | None
    task: TaskFields
    workflow: str
    version: int | None
    parameters: dict[str, Any]


class SizingFields(TypedDict, total=False):
    """What `Client.set_forecast` takes, see `types.SizingKnobs` and docs/configuration.md."""

    apply: bool
    policy: Literal["static", "reactive", "lsp", "conformal"]
    miss_cost: float
    margin: float
    nodes: int
    target_utilisation: float
    min_nodes: int
    max_nodes: int | None
    hold: int


class AlarmRuleFields(TypedDict, total=False):
    """What `Client.set_alarm_rule` takes besides the name. Durations in seconds, or such as "10m".

    `for` is a word of Python's: it is `hold` here.
    """

    condition: Literal[
        "task-failed", "retries-used-up", "timeout", "firing-delay", "firing-missed", "node-lost",
        "no-success", "queue-wait", "no-progress", "node-pressure", "over-capacity",
    ]  # fmt: skip
    severity: Literal["info", "warning", "critical"]
    tasks: str
    user: str | None
    nodes: str
    resource: str
    limit: float | str | None
    hold: float | str
    after: int
    within: float | str
    group: Literal["rule", "name", "task", "user", "node", "trigger"]
    quiet: float | str
    resolve: float | str | None
    tell_resolved: bool
    channels: list[str]
    enabled: bool
