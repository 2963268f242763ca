"""Triggers and their firings: what starts again and again, by which rule, and what became of due times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from trainmaster.domain.errors import TrainmasterError
from trainmaster.domain.ids import TaskId, TriggerId, UserName, WorkflowRunId
from trainmaster.domain.replacing import replacer
from trainmaster.domain.target import WorkflowTarget, validate_target
from trainmaster.domain.task import TaskSpec, validate
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

GRACE_MS = 10_000
WINDOW_MS = 86_400_000
_LONGEST_MS = 366 * 86_400_000


class UnknownTrigger(TrainmasterError):
    code = "unknown-trigger"
    status = 404
    remedy = "list the triggers there are with `trainmaster trigger list`"


class TriggerExists(TrainmasterError):
    """There is a trigger of that name already."""

    code = "trigger-exists"
    status = 409
    remedy = "choose another name, or change that one"


class TriggerConflict(TrainmasterError):
    """The trigger cannot do that now, or somebody was faster."""

    code = "trigger-conflict"
    status = 409


# What a firing starts; `scheduler.starting` tells them apart.
Target = TaskSpec | WorkflowTarget
Started = TaskId | WorkflowRunId


@dataclass(frozen=True, slots=True)
class Trigger:
    """A time rule with what it starts.

    `grace_ms`: a firing this late is still in time; `window_ms`: how far Misfire.CATCH_UP reaches;
    `deadline_s`: of each task, counted from its due time; `period_ms`: the shortest time between two due
    times, as far as it was looked for. `next_ms` is the due time to be decided on next (None: there is none,
    or it is counted from an end that has not come yet), `last_ms` the latest that was decided on, `missed`
    how many in a row were missed. `decided`: due times to come, or from `next_ms` on, that an earlier
    definition has fired. `seed` salts ids and jitter; another definition has another.
    """

    id: TriggerId
    name: str
    user: UserName
    timing: Timing
    target: Target
    seed: int = 0
    created_at: float = 0.0
    misfire: Misfire = Misfire.SKIP
    overlap: Overlap = Overlap.SKIP
    grace_ms: int = GRACE_MS
    window_ms: int = WINDOW_MS
    deadline_s: float | None = None
    period_ms: int | None = None
    decided: tuple[int, ...] = ()
    paused: bool = False
    next_ms: int | None = None
    last_ms: int | None = None
    missed: int = 0

    @property
    def zone(self) -> str:
        """The clock it goes by."""
        rule = self.timing.rule
        return rule.zone if isinstance(rule, Cron) else self.timing.zone

    def definition(self) -> dict[str, Any]:
        """All that does not change by firing, JSON-ready; fields at their default are left out."""
        out: dict[str, Any] = {"timing": timing_to_dict(self.timing), "target": self.target.to_dict()}
        for name, default in _DEFINITION:
            value = getattr(self, name)
            if value != default:
                out[name] = list(value) if isinstance(value, tuple) else value
        return out

    @classmethod
    def defined(cls, definition: dict[str, Any], **present: Any) -> Trigger:
        """Inverse of `definition`; `present` are the other fields."""
        values = dict(definition)
        values["timing"] = timing_from_dict(values["timing"])
        target = values["target"]
        kind = WorkflowTarget if "workflow" in target else TaskSpec
        values["target"] = kind.from_dict(target)
        values["decided"] = tuple(values.get("decided", ()))
        for name, policy in (("misfire", Misfire), ("overlap", Overlap)):
            if name in values:
                values[name] = policy(values[name])
        return cls(**values, **present)


_PRESENT = {"id", "name", "user", "timing", "target", "paused", "next_ms", "last_ms", "missed"}
_DEFINITION = tuple((f.name, f.default) for f in fields(Trigger) if f.name not in _PRESENT)

# A trigger with some fields changed.
changed = replacer(Trigger)


class FiringOutcome(StrEnum):
    """What became of a due time."""

    FIRED = "fired"
    WAITING = "waiting"  # held by the overlap policy until what an earlier firing started is over
    SKIPPED = "skipped"  # by the overlap policy, a quota, or a person
    MISSED = "missed"  # nobody could start it in time, and the misfire policy does not make up for it


class Cause(StrEnum):
    """Why a due time was decided on."""

    SCHEDULE = "schedule"
    MANUAL = "manual"  # somebody wanted it run now
    BACKFILL = "backfill"  # somebody wanted a due time of the past made up for


@dataclass(frozen=True, slots=True)
class Firing:
    """One due time of one trigger, which are its key. `task` or `run` (of a workflow) is what it started."""

    trigger: TriggerId
    due_ms: int
    outcome: FiringOutcome
    decided_at: float
    cause: Cause = Cause.SCHEDULE
    task: TaskId | None = None
    reason: str = ""
    run: WorkflowRunId | None = None


def validate_trigger(trigger: Trigger) -> None:
    """Raise InvalidTrigger, InvalidTask or InvalidWorkflow for what can never be right, apart from the timing
    (see `policies.firing.due.validate`)."""

    def refuse(field: str, problem: str, remedy: str) -> None:
        raise InvalidTrigger(f"{field}: {problem}", remedy=remedy, field=field)

    if not trigger.name or len(trigger.name) > 200 or trigger.name != trigger.name.strip():
        refuse("name", "must have 1 to 200 characters, and no spaces around them", "give a short name")
    if any(not char.isprintable() or char == "/" for char in trigger.name):
        refuse("name", "has a slash or a character that cannot be printed", "leave it out")
    for name in ("grace_ms", "window_ms"):
        if not 0 <= getattr(trigger, name) <= _LONGEST_MS:
            refuse(name.removesuffix("_ms"), "must be 0 to one year", 'write it like "90s" or "6h"')
    if trigger.deadline_s is not None and not 0 < trigger.deadline_s < 1e9:
        refuse("deadline", f"must be positive, got {trigger.deadline_s}", "leave it out for none")
    spec = trigger.target
    if isinstance(spec, WorkflowTarget):
        validate_target(spec)
        if trigger.deadline_s is not None:
            refuse("deadline", "is of tasks, and this starts a workflow", "give the workflow a timeout")
        return
    validate(spec)
    for name, wrong in (
        ("after", spec.after),
        ("start_at", spec.start_at is not None),
        ("deadline", spec.deadline is not None),
        ("planned", spec.planned is not None),
    ):
        if wrong:
            why = "is of one task, and a trigger starts many"
            refuse(
                f"task.{name}", why, "give the trigger a deadline" if name == "deadline" else "leave it out"
            )


# --- JSON --------------------------------------------------------------------------------------------------

_RULES: dict[str, type[Cron] | type[Interval] | type[Once]] = {
    "cron": Cron,
    "interval": Interval,
    "once": Once,
}


def timing_to_dict(timing: Timing) -> dict[str, Any]:
    """JSON-ready; what is at its default is left out."""
    rule = timing.rule
    kind = next(name for name, cls in _RULES.items() if isinstance(rule, cls))
    out = _given(timing, exclude={"rule"})
    if "exclusions" in out:
        out["exclusions"] = list(out["exclusions"])
    return {**out, "rule": {"kind": kind, **_given(rule)}}


def timing_from_dict(data: dict[str, Any]) -> Timing:
    """Inverse of `timing_to_dict`."""
    values = dict(data)
    rule = dict(values.pop("rule"))
    cls = _RULES[rule.pop("kind")]
    for name, kind in (("gap", Gap), ("fold", Fold)):
        if rule.get(name) is not None:
            rule[name] = kind(rule[name])
    made: Rule = cls(**rule)
    values["exclusions"] = tuple(values.get("exclusions", ()))
    return Timing(made, **values)


def _given(value: Any, exclude: Iterable[str] = ()) -> dict[str, Any]:
    return {
        f.name: getattr(value, f.name)
        for f in fields(value)
        if f.name not in exclude and getattr(value, f.name) != f.default
    }
