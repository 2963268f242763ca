"""The shapes of requests. Unknown fields are refused, with the nearest known name."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from trainmaster.domain.errors import InvalidTask
from trainmaster.domain.ids import TaskId, UserName
from trainmaster.domain.task import Elasticity, Retry, TaskKind, TaskSpec, Urgency
from trainmaster.domain.units import Resources, parse_bytes, parse_duration

UrgencyName = Literal["normal", "urgent", "highest"]


Amount = Annotated[int | str, Field(examples=["8GB", 512_000_000])]


Seconds = Annotated[float | str, Field(examples=["90s", 30.0])]


class Strict(BaseModel):
    """Defaults are values that cannot change, or factories: others are copied deeply for every request."""

    model_config = ConfigDict(extra="forbid")


def unknown_field(model: Any, where: Sequence[int | str]) -> str:
    """What to say of the field at `where`, which `model` does not have. Looked for only once pydantic has
    refused it, since a check before every validation costs each task of a bulk more than pydantic itself."""
    *path, name = where
    for part in path:
        fields = getattr(_shape(model), "model_fields", {})
        if part in fields:  # else the position in a list, or the branch of a union
            model = fields[part].annotation
    near = difflib.get_close_matches(str(name), getattr(_shape(model), "model_fields", {}), n=1)
    return f"there is no field {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _shape(annotation: Any) -> Any:
    """The model in `list[Model]` and `Model | None`."""
    shapes = [part for part in get_args(annotation) if hasattr(_shape(part), "model_fields")]
    return _shape(shapes[0]) if shapes else annotation


class RetryIn(Strict):
    """When a failed attempt is followed by another."""

    attempts: int = Field(1, ge=1, le=1000)
    backoff: Seconds = 1.0
    factor: float = Field(2.0, ge=1, le=100)
    max_backoff: Seconds = 300.0
    jitter: float = Field(0.1, ge=0, le=1)
    on_exits: tuple[int, ...] = Field((), max_length=256)
    lost_attempts: int = Field(3, ge=0, le=1000)

    def policy(self) -> Retry:
        """Raises InvalidTask for durations that cannot be read."""
        return Retry(
            self.attempts,
            parse_duration(self.backoff, "retry.backoff"),
            self.factor,
            parse_duration(self.max_backoff, "retry.max_backoff"),
            self.jitter,
            self.on_exits,
            self.lost_attempts,
        )


class TaskIn(Strict):
    """A task to submit. Either `command` (a process, or a container if `image` is given) or `function`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "mnist", "command": ["python", "train.py"], "cpus": 2, "memory": "4GB"},
                {"name": "clean", "function": "jobs.nightly:clean", "arguments": {"days": 7}},
            ]
        },
    )

    name: str | None = Field(None, max_length=200)
    command: tuple[str, ...] = Field((), max_length=4096)
    function: str | None = None
    arguments: Any = None
    image: str | None = Field(None, max_length=256)
    directory: str | None = Field(None, max_length=4096)
    volumes: tuple[str, ...] = Field((), max_length=64)
    environment: dict[str, str] = Field(default_factory=dict)
    network: Literal["none", "bridge", "host"] = "none"
    cpus: float = Field(1.0, ge=0, le=4096, description="cores per worker; 0 for tasks that only wait")
    memory: Amount = 0
    gpus: int = Field(0, ge=0, le=1024)
    workers: int | str = Field(
        1, description='a number, or "min..max" for an elastic task', examples=["1..4"]
    )
    elasticity: Literal["auto", "restart", "none"] = Field(
        "auto", description="how a running task takes another number of workers: in its group, by a restart"
    )
    urgency: UrgencyName = "normal"
    priority: float = Field(0.0, ge=-1e6, le=1e6)
    after: tuple[str, ...] = Field((), max_length=1000, description="ids of tasks that must succeed first")
    start_at: float | None = Field(
        None, ge=0, le=1e11, description="not before this moment, seconds since the epoch"
    )
    timeout: Seconds | None = None
    queue_timeout: Seconds | None = None
    estimate: Seconds | None = Field(None, description="expected duration, for sjf and backfill")
    deadline: float | None = Field(None, ge=0, le=1e12, description="seconds since the epoch")
    grace: Seconds = 10.0
    retry: RetryIn | None = None
    preemptible: bool = True
    labels: dict[str, str] = Field(default_factory=dict, max_length=64)
    node_labels: dict[str, str] = Field(default_factory=dict, max_length=64)

    def spec(self, user: str) -> TaskSpec:
        """Raises InvalidTask for amounts, durations and worker counts that cannot be read."""
        low, high = parse_workers(self.workers)
        kind = TaskKind.FUNCTION if self.function else TaskKind.CONTAINER if self.image else TaskKind.PROCESS
        program = self.command[0].rsplit("/", 1)[-1] if self.command else ""
        name = self.name or self.function or program or self.image or "task"
        cores = 0.0 if self.function and "cpus" not in self.model_fields_set else self.cpus
        return TaskSpec(
            name=name[:200],
            kind=kind,
            command=self.command,
            function=self.function or "",
            arguments="null" if self.arguments is None else json.dumps(self.arguments),
            image=self.image or "",
            directory=self.directory or "",
            volumes=self.volumes,
            environment=tuple(self.environment.items()),
            network=self.network,
            resources=Resources(
                round(cores * 1000), parse_bytes(self.memory), self.gpus, 1 if self.function else 0
            ),
            min_workers=low,
            max_workers=high,
            elasticity=Elasticity(self.elasticity),
            urgency=Urgency[self.urgency.upper()],
            priority=self.priority,
            user=UserName(user),
            after=tuple(dict.fromkeys(map(TaskId, self.after))),
            deadline=self.deadline,
            start_at=self.start_at,
            grace_s=parse_duration(self.grace, "grace"),
            retry=self.retry.policy() if self.retry is not None else Retry(),
            preemptible=self.preemptible,
            labels=tuple(self.labels.items()),
            node_labels=tuple(self.node_labels.items()),
            timeout_s=seconds(self.timeout, "timeout"),
            queue_timeout_s=seconds(self.queue_timeout, "queue_timeout"),
            estimate_s=seconds(self.estimate, "estimate"),
        )


def seconds(value: float | str | None, field: str) -> float | None:
    """A duration in any of the ways it may be written. Raises InvalidTask."""
    return None if value is None else parse_duration(value, field)


def parse_workers(value: int | str) -> tuple[int, int]:
    """`2` → (2, 2); `"1..4"` → (1, 4). Raises InvalidTask."""
    if isinstance(value, int):
        return value, value
    low, dots, high = value.partition("..")
    try:
        return int(low), int(high) if dots else int(low)
    except ValueError:
        raise InvalidTask(
            f"workers: {value!r} is not a count", remedy="write a number, or 1..4", field="workers"
        ) from None


class ManyIn(Strict):
    tasks: list[TaskIn] = Field(max_length=10_000)


class PriorityIn(Strict):
    """`bumps` raises or lowers by requests (0.1 each); `priority` and `urgency` set outright."""

    bumps: int = Field(0, ge=-1000, le=1000)
    priority: float | None = Field(None, ge=-1e6, le=1e6)
    urgency: UrgencyName | None = None


class ResizeIn(Strict):
    """`workers` pins the count, within the task's bounds; null gives it back to the allotment policy."""

    workers: int | None = Field(ge=1, le=10_000, examples=[3])


class DrainIn(Strict):
    drain: bool = True


class ProfileIn(Strict):
    name: str = Field(examples=["dtes"])


class QuotaIn(Strict):
    running_workers: int | None = Field(None, ge=0, le=1_000_000)
    queued_tasks: int | None = Field(None, ge=0, le=10_000_000)


class TokenIn(Strict):
    user: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._@-]+$")
    role: Literal["viewer", "submitter", "operator", "admin"] = "submitter"
    days: float | None = Field(None, gt=0, le=3650)
    label: str = Field("", max_length=200)
