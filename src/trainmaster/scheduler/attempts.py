"""The end of an attempt: what becomes of the task once every worker is verifiably gone."""

from __future__ import annotations

from typing import Any

from trainmaster.domain.commands import Stop
from trainmaster.domain.history import RecordKind
from trainmaster.domain.lifecycle import ENDED, OCCUPYING, Move, TaskState, advance
from trainmaster.domain.replacing import replacer
from trainmaster.domain.run import Exit, Fault, Run, RunState
from trainmaster.domain.task import Intent, Task
from trainmaster.domain.units import format_duration
from trainmaster.policies.retry import delay_before_next, retries_loss
from trainmaster.scheduler.state import Change, arm, moved

_REASONS = {
    Intent.CANCEL: "cancelled",
    Intent.INTERRUPT: "interrupted",
    Intent.TIMEOUT: "ran longer than its timeout",
    Intent.RETRY: "a worker of the same attempt failed",
    Intent.RESIZE: "stopped to go on with another number of workers",
}


def stop_attempt(change: Change, task: Task, intent: Intent, reason: str) -> Task:
    """Ask for the end of all workers. The task moves on only when the last of them is reported gone."""
    task = change.task(moved(task, intent=intent, reason=reason))
    for run in list(change.state.runs.get(task.id, {}).values()):
        if run.live and not run.stopping:
            change.run(moved_run(run, stopping=True))
            change.out.commands.append(Stop(run.node, run.id, task.spec.grace_s))
    change.record(RecordKind.TASK_STOPPING, task, reason=reason, intent=str(intent))
    return task


def cancel(change: Change, task: Task, reason: str) -> None:
    """End a task, once its workers are gone; one that is being cancelled already goes on being so."""
    if task.state in OCCUPYING:
        if task.intent is not Intent.CANCEL:
            stop_attempt(change, task, Intent.CANCEL, reason)
    else:
        finish(change, task, Move.CANCEL, reason)


def conclude(change: Change, task: Task) -> None:
    """Decide what follows, given how all workers ended. Called when none of them is live any more."""
    runs = _decisive(task, list(change.state.runs.get(task.id, {}).values()))
    change.attempt_over(task.id)
    lost = [run for run in runs if run.state is RunState.LOST]
    worst = _worst(runs)
    ended_by_itself = all(run.exit is not None and run.exit.ok for run in runs)
    # By the node's own books: we may hear of it late, after having been away ourselves.
    over = min(max((run.ended_at or change.now for run in runs), default=change.now), change.now)
    # Seconds of this attempt are booked now, since a later attempt overwrites `started_at`.
    ran_s = task.ran_s
    if task.started_at is not None:
        ran_s += max(over - task.started_at, 0.0)
    task = moved(task, group=None)
    if ended_by_itself:
        result = runs[0].exit.result if runs and runs[0].exit else None
        task = moved(task, ran_s=ran_s, started_at=None, exit_code=worst.code, result=result)
        finish(change, task, Move.SUCCEED, "every worker exited with 0", over)
        return
    task = moved(task, ran_s=ran_s, started_at=None, exit_code=worst.code)
    if task.intent is Intent.CANCEL:
        finish(change, task, Move.CANCEL, task.reason, over)
    elif task.intent is Intent.INTERRUPT:
        _interrupted(change, task)
    elif task.intent is Intent.RESIZE:
        # Its room was freed for its own next attempt.
        _requeue(change, moved(task, preempting=True), 0.0, task.reason)
    elif lost and task.intent is not Intent.TIMEOUT:
        _lost(change, task, lost[0])
    else:
        _failed(change, task, worst, over)


def _decisive(task: Task, runs: list[Run]) -> list[Run]:
    """Those whose ends say how the attempt ended: of a group the last members, not the late ones."""
    if task.group is None or not task.group.members:
        return runs
    members = frozenset(task.group.members)
    return [run for run in runs if run.id.rank in members] or runs


def finish(
    change: Change, task: Task, move: Move, reason: str, at: float | None = None, **detail: Any
) -> None:
    """Enter a final state, as of `at` or now, and let go of whoever waits for this task.

    `detail` goes into the record.
    """
    task = moved(
        task,
        state=advance(task.state, move),
        intent=Intent.NONE,
        ended_at=change.now if at is None else at,
        reason=reason,
        preempting=False,
    )
    change.task(task)
    kind = {
        TaskState.SUCCEEDED: RecordKind.TASK_SUCCEEDED,
        TaskState.FAILED: RecordKind.TASK_FAILED,
        TaskState.CANCELLED: RecordKind.TASK_CANCELLED,
    }[task.state]
    change.record(kind, task, reason=reason, exit_code=task.exit_code, **detail)
    _release_dependants(change, task)


def _interrupted(change: Change, task: Task) -> None:
    task = moved(
        task,
        state=advance(task.state, Move.INTERRUPT),
        intent=Intent.NONE,
        interruptions=task.interruptions + 1,
        queued_at=change.now,
    )
    change.task(task)
    change.record(RecordKind.TASK_INTERRUPTED, task, reason=task.reason)


def _lost(change: Change, task: Task, run: Run) -> None:
    detail = run.exit.detail if run.exit and run.exit.detail else f"{run.node} is gone"
    task = moved(task, state=advance(task.state, Move.LOSE), losses=task.losses + 1, intent=Intent.NONE)
    change.record(RecordKind.TASK_LOST, task, node=run.node, reason=detail)
    if retries_loss(task):
        _requeue(change, task, 0.0, f"lost: {detail}; starts again elsewhere")
    else:
        used_up = {"retries_used_up": True} if task.spec.retry.lost_attempts else {}
        finish(change, task, Move.FAIL, f"lost {task.losses} times: {detail}", **used_up)


def _failed(change: Change, task: Task, worst: Exit, over: float) -> None:
    reason = describe(worst) if task.intent is not Intent.TIMEOUT else _REASONS[Intent.TIMEOUT]
    task = moved(task, failures=task.failures + 1)
    delay = delay_before_next(task, worst, change.state.seed)
    if delay is None:
        attempts = f" ({task.failures} attempts)" if task.failures > 1 else ""
        used_up = {"retries_used_up": True} if task.failures >= task.spec.retry.attempts > 1 else {}
        finish(change, task, Move.FAIL, reason + attempts, over, **used_up)
    else:
        left = task.spec.retry.attempts - task.failures
        wait = f" in {format_duration(delay)}" if delay else ""
        _requeue(change, task, delay, f"{reason}; tries again{wait}, {left} left")


def _requeue(change: Change, task: Task, delay: float, reason: str) -> None:
    task = moved(
        task,
        state=advance(task.state, Move.REQUEUE),
        intent=Intent.NONE,
        queued_at=change.now,
        not_before=change.now + delay if delay else 0.0,
        reason=reason,
    )
    change.task(task)
    arm(change, task)
    change.record(RecordKind.TASK_RETRIED, task, reason=reason, delay_s=round(delay, 3))


def _release_dependants(change: Change, task: Task) -> None:
    state = change.state
    waiting = state.dependants.pop(task.id, set())
    well = task.state is TaskState.SUCCEEDED
    for waiter_id in sorted(waiting):
        waiter = state.tasks.get(waiter_id)
        if waiter is None or waiter.state in ENDED:
            continue
        missing = state.missing.get(waiter_id, set())
        missing.discard(task.id)
        if not well:
            state.missing.pop(waiter_id, None)
            finish(change, waiter, Move.CANCEL, f"{task.id}, which it waits for, ended {task.state}")
        elif not missing:
            state.missing.pop(waiter_id, None)
            released = moved(
                waiter,
                state=advance(waiter.state, Move.RELEASE),
                queued_at=change.now,
                reason="everything it waited for has succeeded",
            )
            change.task(released)
            arm(change, released)  # it may have a time to start at
            change.record(RecordKind.TASK_RELEASED, released, reason=released.reason)


def _worst(runs: list[Run]) -> Exit:
    """The exit that explains the attempt: a fault or code of a worker that failed by itself, lowest rank
    first; then of one that was stopped or lost."""
    exits = [run.exit for run in sorted(runs, key=lambda run: run.id.rank) if run.exit is not None]
    own = [e for e in exits if not e.ok and e.fault not in (Fault.STOPPED, Fault.NEVER_STARTED)]
    other = [e for e in exits if not e.ok]
    return (own or other or exits or [Exit(None, Fault.VANISHED)])[0]


def describe(exit_: Exit) -> str:
    """An exit in words."""
    if exit_.fault is Fault.NONE:
        if exit_.code is not None and exit_.code > 128:
            return f"killed by signal {exit_.code - 128}"
        return f"exited with {exit_.code}"
    words = str(exit_.fault).replace("-", " ")
    return f"{words}: {exit_.detail}" if exit_.detail else words


# A run with some fields changed.
moved_run = replacer(Run)
