"""The shapes of triggers in requests and answers."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from trainmaster.api.requests import Seconds, Strict, TaskIn
from trainmaster.api.workflow_requests import MOST
from trainmaster.domain.firing import Target, Trigger
from trainmaster.domain.ids import TriggerId, UserName
from trainmaster.domain.target import VALUES, WorkflowTarget
from trainmaster.domain.task import Elasticity, Retry, TaskSpec, Urgency
from trainmaster.domain.trigger import (
    Cron,
    Fold,
    Gap,
    Interval,
    InvalidTrigger,
    Misfire,
    Once,
    Overlap,
    Rule,
    Timing,
)
from trainmaster.domain.units import parse_duration
from trainmaster.policies.firing.cron import policies
from trainmaster.ports import FiringRow

Moment = Annotated[float, Field(ge=0, le=1e10, description="seconds since the epoch")]


class Rules(Strict):
    """When something is due. Exactly one of `cron`, `every` and `at`."""

    cron: str | None = Field(None, max_length=200, description="five fields, six with seconds, or @daily")
    every: Seconds | None = None
    at: Moment | None = None
    after_end: bool = Field(False, description="count `every` from the end of the task before")
    zone: str = Field("UTC", max_length=64, description="IANA zone of the cron line and of excluded days")
    gap: Literal["skip", "after", "shift"] | None = Field(None, description="local times that do not exist")
    fold: Literal["first", "second", "both"] | None = Field(None, description="local times that come twice")
    start: Moment | None = None
    end: Moment | None = None
    exclude: tuple[str, ...] = Field((), max_length=1000, examples=[["2026-12-24", "12-25"]])
    jitter: Seconds = 0.0

    def timing(self) -> Timing:
        """Raises InvalidTrigger or InvalidTask for what cannot be read; the rest is checked later."""
        given = [name for name in ("cron", "every", "at") if getattr(self, name) is not None]
        if len(given) != 1:
            told = " and ".join(given) or "nothing"
            remedy = "give exactly one of cron, every and at"
            raise InvalidTrigger(f"rule: {told} given", remedy=remedy, field="cron")
        rule: Rule
        if self.cron is not None:
            gap, fold = Gap(self.gap) if self.gap else None, Fold(self.fold) if self.fold else None
            rule = Cron(self.cron, self.zone, gap, fold)
        elif self.every is not None:
            rule = Interval(_ms(self.every, "every"), self.after_end)
        else:
            rule = Once(round((self.at or 0.0) * 1000))
        return Timing(
            rule,
            0 if self.start is None else round(self.start * 1000),
            None if self.end is None else round(self.end * 1000),
            self.exclude,
            self.zone,
            _ms(self.jitter, "jitter"),
        )


class TriggerIn(Rules):
    """A rule, what it starts, and what becomes of firings that are late or overlap. `task` or `workflow`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "nightly",
                    "cron": "30 2 * * *",
                    "zone": "Europe/Berlin",
                    "task": {"command": ["python", "train.py"], "gpus": 1},
                },
                {"name": "clean", "every": "6h", "task": {"function": "jobs.nightly:clean"}},
                {
                    "name": "etl",
                    "cron": "0 5 * * *",
                    "workflow": "etl",
                    "parameters": {"day": "${{ due.date }}"},
                },
            ]
        },
    )

    name: str = Field(min_length=1, max_length=200)
    misfire: Literal["skip", "fire-once", "catch-up"] = "skip"
    overlap: Literal["allow", "skip", "queue-one", "queue-all", "cancel-old"] = "skip"
    grace: Seconds = Field(10.0, description="a firing this late is still in time")
    window: Seconds = Field("1d", description="how far catch-up reaches")
    deadline: Seconds | None = Field(None, description="of each task, after its due time")
    task: TaskIn | None = None
    workflow: str | None = Field(None, max_length=100, description="run this workflow instead of a task")
    version: int | None = Field(None, ge=1, le=MOST, description="of it; default: the latest at each firing")
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        max_length=200,
        description=f"of the run; expressions in them name the firing: {', '.join(VALUES)}",
    )

    def target(self, user: str) -> Target:
        """Raises InvalidTrigger or InvalidTask for what cannot be read."""
        if self.task is not None and self.workflow is None and self.version is None and not self.parameters:
            return self.task.spec(user)
        if self.task is None and self.workflow is not None:
            return WorkflowTarget(self.workflow, self.version, json.dumps(self.parameters))
        raise InvalidTrigger(
            "target: a trigger starts either a task or a workflow",
            remedy="give task, or workflow with version and parameters as needed",
            field="task",
        )

    def trigger(self, user: str) -> Trigger:
        """Raises InvalidTrigger or InvalidTask for what cannot be read."""
        return Trigger(
            TriggerId(""),
            self.name,
            UserName(user),
            self.timing(),
            self.target(user),
            misfire=Misfire(self.misfire),
            overlap=Overlap(self.overlap),
            grace_ms=_ms(self.grace, "grace"),
            window_ms=_ms(self.window, "window"),
            deadline_s=None if self.deadline is None else parse_duration(self.deadline, "deadline"),
        )


class TriggerChangeIn(Strict):
    """What is left out stays; null goes back to the default. `task` and `parameters` are replaced as a whole;
    a task takes the place of a workflow, and the other way about."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{"cron": "0 4 * * *"}]})

    def over(self, before: Trigger) -> TriggerIn:
        """The whole new definition. Raises pydantic's ValidationError."""
        given: dict[str, Any] = dict(self.model_extra or {})
        fields = fields_of(before)
        if any(given.get(name) is not None for name in ("cron", "every", "at")):
            for name in ("cron", "every", "at", "after_end", "gap", "fold", "start"):
                fields.pop(name, None)
        another = given.get("workflow") not in (None, fields.get("workflow"))
        if given.get("task") is not None or another:
            for name in ("task", "workflow", "version", "parameters"):
                fields.pop(name, None)
        fields.update(given)
        return TriggerIn.model_validate({k: v for k, v in fields.items() if v is not None})


class BackfillIn(Strict):
    """A period of the past: due times at `since` or later and before `until`."""

    since: Moment
    until: Moment
    start: bool = Field(False, description="start them; without it, only say which they are")


class TriggerOut(BaseModel):
    """A trigger as it is now."""

    id: str
    name: str
    user: str
    paused: bool
    next: float | None = Field(description="the due time to be decided on next")
    last: float | None = Field(description="the latest that was decided on")
    missed: int = Field(description="firings missed in a row, up to now")
    coming: list[float] = Field(description="the next due times")
    live: list[str] = Field(description="tasks and workflow runs it started that have not ended")
    waiting: int = Field(description="firings that its overlap policy holds")
    period: float | None = Field(description="the shortest time between two due times")
    created_at: float
    gap: str | None = Field(description="what holds for a cron line's local times that do not exist")
    fold: str | None = Field(description="and for those that come twice")
    definition: dict[str, Any] = Field(description="as it would be sent to make it again")
    warnings: list[str] = Field([], description="why it will not be in time, when it was made or changed")

    @classmethod
    def of(
        cls,
        trigger: Trigger,
        coming: list[int],
        live: list[str],
        waiting: int,
        warnings: list[str] | None = None,
    ) -> TriggerOut:
        rule = trigger.timing.rule
        gap, fold = policies(rule) if isinstance(rule, Cron) else (None, None)
        return cls(
            id=trigger.id,
            name=trigger.name,
            user=trigger.user,
            paused=trigger.paused,
            next=_s(trigger.next_ms),
            last=_s(trigger.last_ms),
            missed=trigger.missed,
            coming=[at / 1000 for at in coming],
            live=live,
            waiting=waiting,
            period=_s(trigger.period_ms),
            created_at=trigger.created_at,
            gap=gap,
            fold=fold,
            definition=fields_of(trigger),
            warnings=warnings or [],
        )


class FiringOut(BaseModel):
    """What became of a due time."""

    trigger: str
    due: float
    outcome: str = Field(description="fired, waiting, skipped or missed")
    cause: str = Field(description="schedule, manual or backfill")
    decided_at: float
    task: str | None = Field(description="the task it started")
    run: str | None = Field(None, description="the workflow run it started")
    reason: str
    state: str | None = Field(None, description="of the task or run; null if that is not kept any more")
    started_at: float | None = None
    ended_at: float | None = None

    @classmethod
    def of(cls, row: FiringRow) -> FiringOut:
        firing = row.firing
        return cls(
            trigger=firing.trigger,
            due=firing.due_ms / 1000,
            outcome=firing.outcome,
            cause=firing.cause,
            decided_at=firing.decided_at,
            task=firing.task,
            run=firing.run,
            reason=firing.reason,
            state=row.state,
            started_at=row.started_at,
            ended_at=row.ended_at,
        )


class BackfillOut(BaseModel):
    dues: list[float] = Field(description="due times that have not fired")
    fired: int = Field(description="due times of the period that have")
    started: bool


def _ms(value: float | str, field: str) -> int:
    return round(parse_duration(value, field) * 1000)


def _s(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


# --- back to the fields of a request ----------------------------------------------------------------------


def fields_of(trigger: Trigger) -> dict[str, Any]:
    """The request that makes this trigger, without what is at its default."""
    timing, rule = trigger.timing, trigger.timing.rule
    made: dict[str, Any] = {
        "name": trigger.name,
        "zone": rule.zone if isinstance(rule, Cron) else timing.zone,
        "start": timing.start_ms / 1000 if timing.start_ms else None,
        "end": _s(timing.end_ms),
        "exclude": list(timing.exclusions) or None,
        "jitter": timing.jitter_ms / 1000 or None,
        "misfire": trigger.misfire.value,
        "overlap": trigger.overlap.value,
        "grace": trigger.grace_ms / 1000,
        "window": trigger.window_ms / 1000,
        "deadline": trigger.deadline_s,
    }
    target = trigger.target
    if isinstance(target, WorkflowTarget):
        made |= {"workflow": target.workflow, "version": target.version}
        made["parameters"] = json.loads(target.parameters) or None
    else:
        made["task"] = task_fields(target)
    if isinstance(rule, Cron):
        made |= {"cron": rule.line, "gap": rule.gap and rule.gap.value, "fold": rule.fold and rule.fold.value}
    elif isinstance(rule, Interval):
        made |= {"every": rule.every_ms / 1000, "after_end": rule.after_end or None}
    else:
        made["at"] = rule.at_ms / 1000
    return {name: value for name, value in made.items() if value is not None}


def task_fields(spec: TaskSpec) -> dict[str, Any]:
    """The fields of `TaskIn` that make this task, without what is at its default."""
    need, default = spec.resources, TaskSpec("")
    made: dict[str, Any] = {
        "name": spec.name,
        "command": list(spec.command),
        "function": spec.function,
        "arguments": json.loads(spec.arguments),
        "image": spec.image,
        "directory": spec.directory,
        "volumes": list(spec.volumes),
        "environment": dict(spec.environment),
        "memory": need.memory,
        "gpus": need.gpus,
        "preemptible": None if spec.preemptible else False,
        "labels": dict(spec.labels),
        "node_labels": dict(spec.node_labels),
        "timeout": spec.timeout_s,
        "queue_timeout": spec.queue_timeout_s,
        "estimate": spec.estimate_s,
        "priority": spec.priority,
    }
    made = {name: value for name, value in made.items() if value not in (None, "", [], {}, 0, 0.0)}
    if spec.preemptible is False:
        made["preemptible"] = False
    made["cpus"] = need.cpu_m / 1000
    if spec.network != default.network:
        made["network"] = spec.network
    if (spec.min_workers, spec.max_workers) != (1, 1):
        made["workers"] = f"{spec.min_workers}..{spec.max_workers}"
    if spec.elasticity is not Elasticity.AUTO:
        made["elasticity"] = spec.elasticity.value
    if spec.urgency is not Urgency.NORMAL:
        made["urgency"] = spec.urgency.name.lower()
    if spec.grace_s != default.grace_s:
        made["grace"] = spec.grace_s
    if spec.retry != Retry():
        retry = spec.retry
        made["retry"] = {
            "attempts": retry.attempts,
            "backoff": retry.backoff_s,
            "factor": retry.factor,
            "max_backoff": retry.max_backoff_s,
            "jitter": retry.jitter,
            "on_exits": list(retry.on_exits),
            "lost_attempts": retry.lost_attempts,
        }
    return made
