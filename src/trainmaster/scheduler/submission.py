"""How a task enters the state, whoever submits it: a user, or a trigger."""

from __future__ import annotations

from dataclasses import replace

from trainmaster.domain.cluster import NodeState
from trainmaster.domain.errors import TaskEnded, UnknownTask
from trainmaster.domain.history import RecordKind
from trainmaster.domain.ids import TaskId
from trainmaster.domain.lifecycle import Move, TaskState, advance
from trainmaster.domain.task import Task, TaskKind, TaskSpec
from trainmaster.policies.admission import check_placeable, check_quota
from trainmaster.scheduler.state import Change, arm, moved


def submit(change: Change, task_id: TaskId, spec: TaskSpec, reason: str) -> Task:
    """Record a task: it is queued, waits for its time, or for the tasks it depends on.

    Raises QuotaExceeded, UnknownTask or TaskEnded, with nothing changed.
    """
    state = change.state
    if spec.part is None:  # a workflow that has begun goes on
        check_quota(spec, state.quotas.get(spec.user), state.waiting_tasks(spec.user))
    missing = _unmet(change, spec.after)
    if spec.handed_ahead:
        # It waits in the lane by the clock, not in the queue of those that start as soon as they can.
        spec = replace(spec, resources=replace(spec.resources, lanes=0))
    task = Task(
        id=task_id,
        seq=state.next_seq,
        spec=spec,
        state=TaskState.SUBMITTED,
        submitted_at=change.now,
        urgency=spec.urgency,
        priority=spec.priority,
        not_before=_release(change, spec),
    )
    urgency, priority = state.policies.ordering.adjust(task)
    if urgency > spec.urgency:
        task = moved(task, urgency=urgency, priority=priority)
    elif urgency < spec.urgency:
        # Urgent, but with less than the threshold: it was asked for as urgent, so it starts at the threshold.
        task = moved(task, priority=priority)
    state.next_seq += 1
    if missing:
        names = ", ".join(sorted(missing)[:3])
        task = moved(task, state=advance(task.state, Move.HOLD), reason=f"waits for {names}")
        state.missing[task.id] = missing
        for dependency in missing:
            state.dependants.setdefault(dependency, set()).add(task.id)
    else:
        task = moved(task, state=advance(task.state, Move.ADMIT), queued_at=change.now)
        if spec.start_at is not None and spec.start_at > change.now:
            task = moved(task, reason="waits for the time it is to start at")
    change.out.new_tasks.add(task.id)
    change.record(RecordKind.TASK_SUBMITTED, task, reason=reason)
    if missing:
        change.record(RecordKind.TASK_BLOCKED, task, reason=task.reason)
    change.task(task)
    if spec.queue_timeout_s is not None or task.not_before > change.now:
        arm(change, task)
    return task


def _release(change: Change, spec: TaskSpec) -> float:
    """From when on it may be placed: its start time, or somewhat earlier if a lane keeps that."""
    if spec.start_at is None:
        return 0.0
    return max(spec.start_at - change.state.limits.lead_s, 0.0) if spec.handed_ahead else spec.start_at


def check_placeable_now(change: Change, spec: TaskSpec) -> None:
    """Raise Unplaceable if no known node could ever hold it.

    Remembers the shapes that fit, so that a bulk of like tasks asks the nodes once.
    """
    shape = (spec.resources, spec.node_labels, spec.kind is TaskKind.CONTAINER, spec.min_workers)
    if shape not in change.state.placeable:
        check_placeable(spec, (n for n in change.state.nodes.values() if n.state is not NodeState.GONE))
        change.state.placeable.add(shape)


def _unmet(change: Change, after: tuple[TaskId, ...]) -> set[TaskId]:
    """Dependencies that have not succeeded yet. One that is unknown or ended badly refuses the submission."""
    missing = set()
    for dependency in after:
        if dependency in change.state.tasks:
            missing.add(dependency)
        elif dependency not in change.state.ended:
            raise UnknownTask(f"there is no task {dependency} to wait for", task=dependency)
        elif not change.state.ended[dependency]:
            raise TaskEnded(
                f"{dependency}, to be waited for, has already ended badly",
                remedy="submit the dependency again first",
                task=dependency,
            )
    return missing
