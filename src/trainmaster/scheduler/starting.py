"""What a firing starts: a task, or a run of a workflow. The one place that tells them apart.

The id of what is started follows from trigger, due time and cause. Whatever it is counts as live for the
overlap policy from `Triggers.started` to `Triggers.over`, which `Change.task` and `workflows` say.
"""

from __future__ import annotations

import json
from dataclasses import replace

from trainmaster.domain.chance import mix
from trainmaster.domain.errors import InvalidWorkflow
from trainmaster.domain.firing import Cause, Started, Trigger, TriggerConflict
from trainmaster.domain.ids import TaskId, WorkflowRunId, task_id, workflow_run_id
from trainmaster.domain.target import WorkflowTarget, parameters_at
from trainmaster.domain.task import TaskSpec
from trainmaster.domain.workflow import MAX_VALUE_BYTES, WorkflowSpec, with_defaults
from trainmaster.domain.workflow_run import WorkflowRun
from trainmaster.policies.firing.due import start_time
from trainmaster.scheduler.attempts import cancel
from trainmaster.scheduler.state import Change
from trainmaster.scheduler.submission import check_placeable_now, submit
from trainmaster.scheduler.workflows import open_run, stop_run

_CAUSES = {Cause.SCHEDULE: 0, Cause.MANUAL: 1, Cause.BACKFILL: 2}  # salts of ids: never renumber


def start(change: Change, trigger: Trigger, due: int, cause: Cause) -> Started:
    """Start what the trigger starts. Raises TrainmasterError if that is refused, with nothing changed."""
    entropy = mix(trigger.seed, due, _CAUSES[cause])
    if isinstance(trigger.target, WorkflowTarget):
        return _start_run(change, trigger, trigger.target, due, cause, workflow_run_id(entropy))
    new = task_id(entropy)
    if new in change.state.tasks:
        raise TriggerConflict(f"{new}, which this firing starts, is there already", task=new)
    submit(
        change, new, task_of(trigger, trigger.target, due, cause, change.now), f"by trigger {trigger.name}"
    )
    change.state.triggers.started(trigger.id, new)
    return new


def check_startable(change: Change, trigger: Trigger, due: int) -> None:
    """Raise Unplaceable, UnknownWorkflow, WrongParameter or InvalidWorkflow for a target that could not be
    started as things are now."""
    if isinstance(trigger.target, WorkflowTarget):
        _, graph = change.state.library.find(trigger.target.workflow, trigger.target.version)
        change.state.library.pins(trigger.target.workflow, trigger.target.version)
        _parameters(graph.spec, trigger, trigger.target, due, Cause.SCHEDULE)
    else:
        check_placeable_now(change, trigger.target)


def stop(change: Change, started: Started, reason: str) -> None:
    """End what a firing started."""
    task = change.state.tasks.get(TaskId(started))
    if task is not None:
        cancel(change, task, reason)
    else:
        stop_run(change, WorkflowRunId(started), reason)


def begins_at(change: Change, started: Started) -> float | None:
    """When something live will begin that was started ahead of its time; None once it has begun."""
    task = change.state.tasks.get(TaskId(started))
    if task is not None:
        return task.spec.start_at if task.started_at is None else None
    unfolding = change.state.unfoldings.get(WorkflowRunId(started))
    if unfolding is None or unfolding.run.begun_at is not None:
        return None
    return unfolding.run.start_at


def task_of(trigger: Trigger, spec: TaskSpec, due: int, cause: Cause, now: float) -> TaskSpec:
    """The task of one firing."""
    labels = spec.labels
    if trigger.period_ms is not None:
        labels = (
            *(pair for pair in labels if pair[0] != "period_s"),
            ("period_s", f"{trigger.period_ms / 1000:g}"),
        )
    return replace(
        spec,
        user=trigger.user,
        start_at=_later(trigger, due, cause, now),
        deadline=None if trigger.deadline_s is None else due / 1000 + trigger.deadline_s,
        labels=labels,
        trigger=trigger.id,
        due_ms=due,
    )


def _start_run(
    change: Change, trigger: Trigger, target: WorkflowTarget, due: int, cause: Cause, new: WorkflowRunId
) -> WorkflowRunId:
    """Open a run, pinned to the versions there are now."""
    if new in change.state.unfoldings:
        raise TriggerConflict(f"{new}, which this firing starts, is there already", run=new)
    library = change.state.library
    pins = library.pins(target.workflow, target.version)
    graphs = library.graphs(pins)
    run = WorkflowRun(
        id=new,
        seq=0,
        workflow=target.workflow,
        version=pins[0][1],
        owner=trigger.user,
        created_at=change.now,
        parameters=_parameters(graphs[target.workflow].spec, trigger, target, due, cause),
        pins=pins,
        start_at=_later(trigger, due, cause, change.now),
        trigger=trigger.id,
        due_ms=due,
    )
    open_run(change, run, graphs, f"by trigger {trigger.name}")
    return new


def _parameters(spec: WorkflowSpec, trigger: Trigger, target: WorkflowTarget, due: int, cause: Cause) -> str:
    given = parameters_at(target, due, trigger.zone, cause, trigger.id, trigger.name)
    text = json.dumps(with_defaults(spec, given), separators=(",", ":"))
    if len(text) > MAX_VALUE_BYTES:
        raise InvalidWorkflow(
            f"parameters: {len(text)} bytes, more than {MAX_VALUE_BYTES}",
            remedy="write them to a file and hand over its path",
            field="parameters",
        )
    return text


def _later(trigger: Trigger, due: int, cause: Cause, now: float) -> float | None:
    """The moment it is to start at, if that has not come."""
    start_ms = start_time(trigger.timing, due, trigger.seed) if cause is Cause.SCHEDULE else due
    return start_ms / 1000 if start_ms / 1000 > now else None
