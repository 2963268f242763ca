"""What workers say of themselves, and that they are gone. What follows for their groups: `elastic`.

It is heard out first (`regroup`): looking at the whole group for each word would take the square of its size.
"""

from __future__ import annotations

from collections.abc import Collection

from trainmaster.domain.events import (
    GroupBroken,
    ProgressReported,
    RunReported,
    TrainingConverged,
    WorkerJoined,
    WorkerReady,
)
from trainmaster.domain.group import Group, regrouped
from trainmaster.domain.history import RecordKind
from trainmaster.domain.ids import RunId
from trainmaster.domain.learned import NOTHING_LEARNED, Phase
from trainmaster.domain.learned import renewed as relearned
from trainmaster.domain.run import Run
from trainmaster.domain.task import Intent, Task
from trainmaster.scheduler.attempts import describe
from trainmaster.scheduler.elastic import failed_again, plan
from trainmaster.scheduler.heard import Heard
from trainmaster.scheduler.state import Change, moved
from trainmaster.scheduler.timers import Timer, TimerKind

OF_WORKERS = (WorkerReady, WorkerJoined, GroupBroken, TrainingConverged, ProgressReported, RunReported)


def on_ready(change: Change, event: WorkerReady) -> None:
    """A worker can be taken in. The first one that says so makes the attempt a group."""
    task, run = _current(change, event.run)
    if task is None or run is None:
        return
    runs = change.state.runs[task.id]
    group = task.group
    if group is None:
        group = Group(next_rank=max(runs) + 1, planned_at=change.now)
        due = change.now + change.state.limits.joiner_patience_s
        change.state.timers.set(Timer(due, TimerKind.GROUP_PATIENCE, task.id, 0))
        task = change.task(moved(task, group=group))
    begins = not group.generation
    if _hear(change, task).ready(group, run.id.rank, event.store) == len(runs) and begins:
        # It has begun: should one of them die now, the others go on.
        plan(change, taken_in(change, task))


def on_joined(change: Change, event: WorkerJoined) -> None:
    """A member trains in the generation; when all do, the resize is over and the next may begin."""
    task, run = _current(change, event.run)
    if task is None or run is None or task.group is None:
        return
    rank = run.id.rank
    if event.generation == task.group.generation and rank in _members(change, task, task.group):
        _hear(change, task).joined(rank, event.step)


def on_broken(change: Change, event: GroupBroken) -> None:
    """A step or a join failed. Once everybody alive says so they are planned anew; the silent are waited for
    a little, then killed."""
    task, run = _current(change, event.run)
    if task is None or run is None or task.group is None:
        return
    group = task.group
    if event.generation != group.generation or run.id.rank not in _members(change, task, group):
        return
    if not group.broken:
        due = change.now + change.state.limits.silence_s
        change.state.timers.set(Timer(due, TimerKind.GROUP_PATIENCE, task.id, group.generation))
        change.record(
            RecordKind.WORKER_LOST,
            task,
            run.node,
            reason=f"generation {group.generation} broke: {event.why or 'a step failed'}",
            suspects=list(event.suspects),
        )
    task = change.task(moved(task, group=regrouped(group, broken=group.broken | {run.id.rank})))
    _hear(change, task)


def on_converged(change: Change, event: TrainingConverged) -> None:
    """What the training says of its own progress, for the allotment policies."""
    task, run = _current(change, event.run)
    if task is None or run is None:
        return
    learned = change.state.learned.get(task.id, NOTHING_LEARNED)
    if learned.phase is event.phase:
        return
    change.state.learned[task.id] = relearned(learned, phase=event.phase)
    change.state.allot_due = change.state.unsettled = True
    words = {Phase.PLATEAU: "it gains little any more", Phase.FINISHED: "it gains nothing any more"}
    change.record(
        RecordKind.TASK_CONVERGED, task, reason=words.get(event.phase, "it gains again"), phase=event.phase
    )


def worker_gone(change: Change, task: Task, run: Run) -> bool:
    """A worker of a group has ended while others live. False: the attempt cannot go on without it."""
    group = task.group
    if group is None or task.intent is not Intent.NONE:
        return False
    rank, well = run.id.rank, run.exit is not None and run.exit.ok
    expected = rank in group.leaving or run.stopping
    if not group.members and not expected:
        return False  # it has not begun: all have to be there at first
    member = rank in _members(change, task, group)
    heard = change.heard.get(task.id)
    if heard is None:
        heard = Heard()
    heard.gone(rank)
    # A member that ended well has come to the end, as all are about to. If they are not, they will say that a
    # step failed.
    if not expected and not (member and well):
        detail = describe(run.exit) if run.exit is not None else "is gone"
        task = change.task(moved(task, group=heard.into(group), workers=task.workers - 1))
        change.record(
            RecordKind.WORKER_LOST, task, run.node, reason=f"worker {rank} {detail}; the others go on"
        )
        task = failed_again(change, task, detail)
        if task.intent is not Intent.NONE:
            return True
    if not member:
        change.state.runs[task.id].pop(rank, None)
    change.heard.setdefault(task.id, heard)
    return True


def regroup(change: Change) -> None:
    """Act on what was heard of workers. Due before an event that is not `OF_WORKERS` is looked at."""
    for task_id, heard in change.heard.items():
        before = change.state.tasks.get(task_id)
        if before is None or before.group is None:
            continue
        task = moved(before, group=heard.into(before.group))
        if task.intent is Intent.NONE:
            plan(change, task, heard.step)
        if change.state.tasks.get(task_id) is before:  # what was heard led to nothing further
            change.task(task)
    change.heard = {}


def taken_in(change: Change, task: Task) -> Task:
    """The task, its group being told what was heard."""
    heard = change.heard.get(task.id)
    if heard is None or task.group is None:
        return task
    group = heard.into(task.group)
    return task if group is task.group else change.task(moved(task, group=group))


def _hear(change: Change, task: Task) -> Heard:
    heard = change.heard.get(task.id)
    if heard is None:
        heard = change.heard[task.id] = Heard()
    return heard


def _members(change: Change, task: Task, group: Group) -> Collection[int]:
    heard = change.heard.get(task.id)
    return group.members if heard is None else heard.members(group)


def _current(change: Change, run_id: RunId) -> tuple[Task | None, Run | None]:
    """The task and the live run, unless the attempt is over or being stopped."""
    state = change.state
    task = state.tasks.get(run_id.task)
    if task is None or task.intent is not Intent.NONE:
        return None, None
    run = state.runs.get(run_id.task, {}).get(run_id.rank)
    if run is None or run.id != run_id or not run.live:
        return None, None
    return task, run
