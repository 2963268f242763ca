"""What each event does to the state. One function per event; `react` is the table.

Past 400 lines because it is the whole list; what is more than a few lines lives elsewhere (`attempts`,
`elastic`, `drains`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from trainmaster.domain.cluster import NodeState
from trainmaster.domain.commands import Forget, Launch, Regroup, Stop
from trainmaster.domain.errors import NotResizable, TaskEnded
from trainmaster.domain.events import (
    BackfillRequested,
    CancelRequested,
    ClusterSized,
    DrainRequested,
    Event,
    FiringRequested,
    GroupBroken,
    NodeFellSilent,
    NodeJoined,
    NodeMeasured,
    NodeReturned,
    NodesNeeded,
    NodeVanished,
    PriorityRequested,
    ProfileSwitched,
    ProgressReported,
    QuotaChanged,
    ResizeRequested,
    RunReported,
    SizingChanged,
    TaskSubmitted,
    TrainingConverged,
    TriggerChanged,
    TriggerCreated,
    TriggerDeleted,
    TriggerPaused,
    WorkerJoined,
    WorkerReady,
    WorkflowCancelRequested,
    WorkflowOpened,
    WorkflowPlanned,
    WorkflowRegistered,
)
from trainmaster.domain.history import RecordKind
from trainmaster.domain.ids import NodeId, TaskId
from trainmaster.domain.learned import NOTHING_LEARNED, learn, paused
from trainmaster.domain.lifecycle import ENDED, OCCUPYING, Move, TaskState, advance
from trainmaster.domain.run import Exit, Fault, Run, RunReport, RunState, settled
from trainmaster.domain.task import Elasticity, Intent, Task
from trainmaster.policies.registry import named
from trainmaster.scheduler.attempts import cancel, conclude, finish, moved_run, stop_attempt
from trainmaster.scheduler.drains import on_drain, on_needed, on_sized, on_sizing
from trainmaster.scheduler.elastic import on_group_patience, on_joiner_patience, takes_resizes
from trainmaster.scheduler.firing import (
    on_backfill,
    on_firing_requested,
    on_trigger_changed,
    on_trigger_created,
    on_trigger_deleted,
    on_trigger_paused,
    on_workflow_registered,
)
from trainmaster.scheduler.launch import run_specs
from trainmaster.scheduler.state import Change, Progress, arm, moved
from trainmaster.scheduler.submission import check_placeable_now, submit
from trainmaster.scheduler.timers import OF_RUNS, Timer, TimerKind
from trainmaster.scheduler.workers import (
    on_broken,
    on_converged,
    on_joined,
    on_ready,
    taken_in,
    worker_gone,
)
from trainmaster.scheduler.workflows import (
    on_node_lost,
    on_opened,
    on_planned,
    on_run_timer,
    on_workflow_cancel,
)


def react(change: Change, event: Event) -> None:
    """Apply one event. Raises a TrainmasterError, with nothing changed, if a request must be refused."""
    _REACTIONS[type(event)](change, event)


# --- requests of users -------------------------------------------------------------------------------------


def on_submitted(change: Change, event: TaskSubmitted) -> None:
    spec = event.spec
    check_placeable_now(change, spec)
    submit(change, event.id, spec, f"by {spec.user if spec.part is None else spec.part.run}")


def on_cancel(change: Change, event: CancelRequested) -> None:
    cancel(change, _live(change, event.task), f"cancelled by {event.by}")


def on_priority(change: Change, event: PriorityRequested) -> None:
    task = _live(change, event.task)
    period = change.state.limits.priority_period_s
    if event.bumps:
        if task.bumps == 0:
            change.state.timers.set(Timer(change.now + period, TimerKind.PRIORITY_PERIOD, task.id, 0))
        task = moved(task, bumps=task.bumps + event.bumps)
    if event.value is not None or event.urgency is not None:
        task = moved(
            task,
            priority=task.priority if event.value is None else event.value,
            urgency=task.urgency if event.urgency is None else event.urgency,
        )
        change.record(RecordKind.PRIORITY_CHANGED, task, reason=f"by {event.by}", **_standing(task))
    change.task(task)


def _standing(task: Task) -> dict[str, Any]:
    return {"urgency": task.urgency.name.lower(), "priority": task.priority}


def on_resize(change: Change, event: ResizeRequested) -> None:
    """Pin the number of workers, or give it back to the allotment policy. Carried out by the next cycle."""
    task = _live(change, event.task)
    spec, workers = task.spec, event.workers
    if workers is not None and not spec.min_workers <= workers <= spec.max_workers:
        raise NotResizable(
            f"{task.id} takes {spec.min_workers} to {spec.max_workers} workers, not {workers}",
            remedy="choose a number within its bounds, which are set at submission",
            task=task.id,
        )
    if task.state in OCCUPYING and workers not in (None, task.workers) and not takes_resizes(task):
        raise NotResizable(f"{task.id} cannot be resized while it runs: {_why_not(task)}", task=task.id)
    if workers is not None:
        check_placeable_now(change, replace(spec, min_workers=workers))
    task = change.task(moved(task, pinned=workers))
    learned = change.state.learned.get(task.id)
    if learned is not None:  # a person's wish need not wait for the cooldown
        change.state.learned[task.id] = replace(learned, resized_at=None)
    change.state.unsettled = True
    wish = f"{workers} workers" if workers is not None else "as many workers as the policy gives"
    change.record(RecordKind.RESIZE_REQUESTED, task, reason=f"{wish} by {event.by}", workers=workers)


def _why_not(task: Task) -> str:
    if task.spec.elasticity is Elasticity.NONE:
        return "it was submitted with elasticity none"
    return "its workers have not formed a group (see trainmaster.train)"


def on_profile(change: Change, event: ProfileSwitched) -> None:
    state = change.state
    before = state.policies.profile.name
    state.policies = named(event.name, state.profiles, state.networks)
    state.deliberation, state.carrying = None, False
    state.ready.rekey(state.tasks.__getitem__, state.policies.ordering.key)
    state.unsettled = state.allot_due = True
    change.out.settings["profile"] = event.name
    change.record(RecordKind.PROFILE_SWITCHED, reason=f"from {before} to {event.name} by {event.by}")


def on_quota(change: Change, event: QuotaChanged) -> None:
    change.state.quotas[event.quota.user] = event.quota
    change.state.unsettled = change.state.allot_due = True
    change.out.quotas.append(event.quota)
    change.record(
        RecordKind.QUOTA_CHANGED,
        reason=f"of {event.quota.user} by {event.by}",
        running_workers=event.quota.running_workers,
        queued_tasks=event.quota.queued_tasks,
    )


def _live(change: Change, task_id: TaskId) -> Task:
    task = change.state.tasks.get(task_id)
    if task is None:
        raise TaskEnded(f"{task_id} has ended or never existed", task=task_id)
    return task


# --- news of nodes -----------------------------------------------------------------------------------------


def on_node_joined(change: Change, event: NodeJoined) -> None:
    """Reconcile: what the node holds against what we have recorded of it."""
    state, node = change.state, event.node
    if node.id in state.drained:
        node = replace(node, state=NodeState.DRAINING)
    if not any(name == "node" for name, _ in node.labels):
        node = replace(node, labels=(*node.labels, ("node", node.id)))  # so that a task can name it
    change.node(node)
    change.record(RecordKind.NODE_JOINED, node=node.id, reason=node.capacity.describe())
    held = {report.id for report in event.runs}
    ours = list(state.on_node.get(node.id, {}).values())
    for report in event.runs:
        on_reported(change, RunReported(node.id, report))
    for held_by_us in ours:
        run = state.on_node.get(node.id, {}).get(held_by_us.id)
        if run is None:
            continue  # its report has just ended it
        if run.id not in held:
            if run.state is RunState.LAUNCHING and not run.stopping:
                task = state.tasks[run.id.task]
                change.out.commands += [Launch(node.id, orders) for orders in run_specs(state, task, [run])]
            elif run.state is RunState.LAUNCHING:
                _ended(change, run, Exit(None, Fault.NEVER_STARTED, "stopped before it was launched"))
            else:
                _lost(change, run, f"{node.id} came back without it")
        elif run.stopping:
            change.out.commands.append(Stop(node.id, run.id, state.tasks[run.id.task].spec.grace_s))
        elif (group := taken_in(change, state.tasks[run.id.task]).group) is not None and group.generation:
            change.out.commands.append(Regroup(node.id, run.id, group.plan))


def on_measured(change: Change, event: NodeMeasured) -> None:
    node = change.state.nodes.get(event.node)
    if node is None:
        return
    index = node.index if event.index is None else event.index
    change.measured(replace(node, gauges=event.gauges, index=index, seen_at=change.now))


def on_silent(change: Change, event: NodeFellSilent) -> None:
    node = change.state.nodes.get(event.node)
    if node is not None and node.state in (NodeState.UP, NodeState.DRAINING):
        change.node(replace(node, state=NodeState.SUSPECT))
        change.record(RecordKind.NODE_SUSPECT, node=node.id, reason="it does not answer")


def on_returned(change: Change, event: NodeReturned) -> None:
    node = change.state.nodes.get(event.node)
    if node is not None and node.state is NodeState.SUSPECT:
        drained = node.id in change.state.drained
        change.node(replace(node, state=NodeState.DRAINING if drained else NodeState.UP))
        change.record(RecordKind.NODE_RETURNED, node=node.id)


def on_vanished(change: Change, event: NodeVanished) -> None:
    node = change.state.nodes.get(event.node)
    if node is None or node.state is NodeState.GONE:
        return
    change.node(replace(node, state=NodeState.GONE))
    change.record(RecordKind.NODE_GONE, node=node.id)
    for run in list(change.state.on_node.get(node.id, {}).values()):
        _lost(change, run, f"{node.id} is gone")
    on_node_lost(change, node.id)


# --- news of runs ------------------------------------------------------------------------------------------


def on_reported(change: Change, event: RunReported) -> None:
    """One worker's present. A superseded attempt's report is refused and its worker stopped or forgotten."""
    report = event.report
    task = change.state.tasks.get(report.id.task)
    run = change.state.runs.get(report.id.task, {}).get(report.id.rank)
    if task is None or run is None or run.id != report.id or run.node != event.node:
        _refuse(change, event.node, report)
        return
    if not run.live:
        change.out.commands.append(Forget(event.node, report.id))
        return
    if report.state is RunState.LAUNCHING or (
        report.state is run.state and report.started_at == run.started_at
    ):
        return
    if report.state is RunState.EXITED:
        assert report.exit is not None
        run = settled(run, report)
        if run.started_at is not None and task.started_at is None:
            # It was over before we heard that it had begun: the start still belongs into the books.
            task = _started(change, task, run.started_at, short=len(change.state.runs[task.id]) == 1)
        change.out.commands.append(Forget(event.node, report.id))
        _ended(change, run, report.exit)
    elif report.state is RunState.LOST:
        change.out.commands.append(Forget(event.node, report.id))
        _lost(change, settled(run, report), report.exit.detail if report.exit else "nobody saw it end")
    else:
        change.run(settled(run, report))
        _progressed(change, task, report)


def _refuse(change: Change, node: NodeId, report: RunReport) -> None:
    if report.state in (RunState.EXITED, RunState.LOST):
        change.out.commands.append(Forget(node, report.id))
        return
    change.out.commands.append(Stop(node, report.id, 0.0))
    change.record(
        RecordKind.REPORT_REFUSED,
        node=node,
        reason=f"{report.id} is not the current attempt",
        run=str(report.id),
    )


def _progressed(change: Change, task: Task, report: RunReport) -> None:
    runs = change.state.runs[task.id]
    if report.state is RunState.PREPARING and task.state is TaskState.ACCEPTED:
        change.task(moved(task, state=advance(task.state, Move.PREPARE)))
        change.record(RecordKind.TASK_PREPARING, task, runs[report.id.rank].node)
    elif task.group is not None and task.state is TaskState.RESIZING:
        pass  # when a group is complete again its members say
    elif report.state is RunState.RUNNING and _all_run(runs):
        started = max(run.started_at or change.now for run in runs.values())
        _started(change, task, started)


def _all_run(runs: dict[int, Run]) -> bool:
    """Looks at the last worker first: as they usually report in order, it is the one that is missing."""
    return all(run.state is RunState.RUNNING for run in reversed(runs.values()))


def _any_live(runs: dict[int, Run]) -> bool:
    """Looks at the last worker first, for the same reason."""
    return any(run.live for run in reversed(runs.values()))


def _started(change: Change, task: Task, at: float, short: bool = False) -> Task:
    """`short`: its end is known, too, and will be the next record, which says all this one would."""
    if task.state not in (TaskState.ACCEPTED, TaskState.PREPARING, TaskState.RESIZING):
        return task
    _note_pause(change, task, at)
    task = moved(
        task,
        state=advance(task.state, Move.START),
        started_at=task.started_at if task.state is TaskState.RESIZING else at,
        first_started_at=task.first_started_at if task.first_started_at is not None else at,
    )
    change.task(task)
    if short:
        return task
    if task.spec.timeout_s is not None:
        arm(change, task)
    node = min(change.state.runs[task.id].values(), key=lambda run: run.id.rank).node
    change.record(RecordKind.TASK_STARTED, task, node, workers=task.workers)
    return task


def _note_pause(change: Change, task: Task, at: float) -> None:
    """Remember what a restart for a resize cost, now that the task runs again."""
    learned = change.state.learned.get(task.id)
    if task.id in change.state.restarting and learned is not None and learned.resized_at is not None:
        change.state.learned[task.id] = paused(learned, max(at - learned.resized_at, 0.0))


def _ended(change: Change, run: Run, exit_: Exit) -> None:
    """A worker is gone and we know how."""
    change.run(moved_run(run, state=RunState.EXITED, exit=exit_, ended_at=run.ended_at or change.now))
    task = change.state.tasks[run.id.task]
    if _any_live(change.state.runs[task.id]):
        if not worker_gone(change, task, change.state.runs[task.id][run.id.rank]) and (
            not exit_.ok and task.intent is Intent.NONE
        ):
            stop_attempt(
                change, task, Intent.RETRY, f"worker {run.id.rank} ended: {exit_.fault or exit_.code}"
            )
        return
    conclude(change, task)


def _lost(change: Change, run: Run, detail: str) -> None:
    """A worker is gone and nobody knows how."""
    exit_ = Exit(None, Fault.VANISHED, detail)
    change.run(moved_run(run, state=RunState.LOST, exit=exit_, ended_at=change.now))
    task = change.state.tasks[run.id.task]
    if _any_live(change.state.runs[task.id]):
        if not worker_gone(change, task, change.state.runs[task.id][run.id.rank]) and (
            task.intent is Intent.NONE
        ):
            stop_attempt(change, task, Intent.RETRY, f"worker {run.id.rank} is lost: {detail}")
        return
    conclude(change, task)


def on_progress(change: Change, event: ProgressReported) -> None:
    """Only the leading worker of the current attempt speaks for the task."""
    task = change.state.tasks.get(event.run.task)
    if task is None or event.run.attempt != task.attempt:
        return
    members = task.group.members if task.group is not None else ()
    leader = members[0] if members else 0
    if event.run.rank == leader:
        state = change.state
        learned = state.learned.get(task.id, NOTHING_LEARNED)
        state.learned[task.id] = learn(
            learned, event.time, event.step, len(members) or task.workers, event.metrics
        )
        before = change.state.progress.get(task.id)
        metrics = {**(before.metrics if before else {}), **event.metrics}
        change.state.progress[task.id] = Progress(event.time, event.step, metrics)


# --- timers ------------------------------------------------------------------------------------------------


def on_timer(change: Change, timer: Timer) -> None:
    """A timer is due. Void if the situation it was set in has passed."""
    if timer.kind is TimerKind.ALLOTMENT:
        change.state.allot_due = change.state.unsettled = True
        return
    if timer.kind in OF_RUNS:
        on_run_timer(change, timer)
        return
    task = change.state.tasks.get(timer.task)
    if task is None or task.state in ENDED:
        return
    if timer.kind is TimerKind.ATTEMPT_TIMEOUT:
        if task.attempt == timer.stamp and task.state in OCCUPYING and task.intent is Intent.NONE:
            stop_attempt(change, task, Intent.TIMEOUT, f"timeout of {task.spec.timeout_s:g} s")
    elif timer.kind is TimerKind.QUEUE_TIMEOUT:
        if task.first_started_at is None and task.state is TaskState.QUEUED:
            finish(
                change, task, Move.FAIL, f"waited longer than {task.spec.queue_timeout_s:g} s in the queue"
            )
        elif task.state is TaskState.BLOCKED:
            finish(change, task, Move.CANCEL, f"waited longer than {task.spec.queue_timeout_s:g} s")
    elif timer.kind is TimerKind.BACKOFF_OVER:
        if task.attempt == timer.stamp and task.state is TaskState.QUEUED:
            change.task(task)
    elif timer.kind is TimerKind.GROUP_PATIENCE:
        on_group_patience(change, task, timer.stamp)
    elif timer.kind is TimerKind.JOINER_PATIENCE:
        on_joiner_patience(change, task, timer.stamp)
    elif task.bumps:
        urgency, priority = change.state.policies.ordering.adjust(task)
        task = change.task(moved(task, urgency=urgency, priority=priority, bumps=0))
        change.record(RecordKind.PRIORITY_CHANGED, task, reason="by request", **_standing(task))


_REACTIONS: dict[type, Callable[[Change, Any], None]] = {
    TaskSubmitted: on_submitted,
    TriggerCreated: on_trigger_created,
    TriggerChanged: on_trigger_changed,
    TriggerPaused: on_trigger_paused,
    TriggerDeleted: on_trigger_deleted,
    FiringRequested: on_firing_requested,
    BackfillRequested: on_backfill,
    CancelRequested: on_cancel,
    PriorityRequested: on_priority,
    ProfileSwitched: on_profile,
    QuotaChanged: on_quota,
    DrainRequested: on_drain,
    SizingChanged: on_sizing,
    ClusterSized: on_sized,
    NodesNeeded: on_needed,
    NodeJoined: on_node_joined,
    NodeMeasured: on_measured,
    NodeFellSilent: on_silent,
    NodeReturned: on_returned,
    NodeVanished: on_vanished,
    RunReported: on_reported,
    ProgressReported: on_progress,
    ResizeRequested: on_resize,
    WorkerReady: on_ready,
    WorkerJoined: on_joined,
    GroupBroken: on_broken,
    TrainingConverged: on_converged,
    WorkflowOpened: on_opened,
    WorkflowPlanned: on_planned,
    WorkflowRegistered: on_workflow_registered,
    WorkflowCancelRequested: on_workflow_cancel,
}
