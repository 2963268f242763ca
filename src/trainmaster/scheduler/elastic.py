"""The coordinator of elastic groups: who belongs to which generation (docs/adr/0007).

A generation is planned only when everybody in the one before has joined it or is gone; only the removal of
the dead does not wait. `plan` is the one place that makes one. What workers say: `workers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trainmaster.domain.commands import Launch, Regroup, Stop
from trainmaster.domain.group import Group, regrouped
from trainmaster.domain.history import RecordKind
from trainmaster.domain.ids import RunId
from trainmaster.domain.learned import NOTHING_LEARNED
from trainmaster.domain.learned import renewed as relearned
from trainmaster.domain.lifecycle import Move, TaskState, advance
from trainmaster.domain.run import Run
from trainmaster.domain.task import Assignment, Elasticity, Intent, Task
from trainmaster.scheduler.attempts import moved_run, stop_attempt
from trainmaster.scheduler.launch import run_specs
from trainmaster.scheduler.state import Change, moved
from trainmaster.scheduler.timers import Timer, TimerKind


def takes_resizes(task: Task) -> bool:
    """Can its worker count be changed while it runs at all?"""
    elasticity = task.spec.elasticity
    return elasticity is Elasticity.RESTART or (elasticity is Elasticity.AUTO and task.group is not None)


def resizable(task: Task) -> bool:
    """Can it be changed now: is nothing else happening to the task?"""
    if task.state is not TaskState.RUNNING or task.intent is not Intent.NONE or not takes_resizes(task):
        return False
    return task.spec.elasticity is Elasticity.RESTART or (task.group is not None and task.group.settled)


def shrinkable(task: Task) -> bool:
    """Can a group let workers go now? Also while some are on their way in: these go first."""
    group = task.group
    if group is None or task.intent is not Intent.NONE or task.spec.elasticity is not Elasticity.AUTO:
        return False
    return task.state in (TaskState.RUNNING, TaskState.RESIZING) and group.settled and not group.leaving


def departing(task: Task, run: Run) -> bool:
    """Is a live worker on its way out, so that what it holds will be free?"""
    leaving = task.group.leaving if task.group is not None else frozenset()
    return run.live and (run.stopping or run.id.rank in leaving)


def grow(change: Change, task: Task, assignments: Sequence[Assignment], reason: str) -> None:
    """Start further workers of a group; the group takes them in when they are ready."""
    group = task.group
    assert group is not None
    ranks = range(group.next_rank, group.next_rank + len(assignments))
    task = _resizing(
        change,
        task,
        len(assignments),
        reason,
        group=regrouped(group, next_rank=group.next_rank + len(assignments)),
    )
    runs = [
        change.run(
            Run(
                RunId(task.id, task.attempt, rank),
                assignment.node,
                task.spec.resources,
                devices=assignment.devices,
                launched_at=change.now,
            )
        )
        for rank, assignment in zip(ranks, assignments, strict=True)
    ]
    due = change.now + change.state.limits.joiner_patience_s
    for run, orders in zip(runs, run_specs(change.state, task, runs), strict=True):
        change.out.commands.append(Launch(run.node, orders))
        change.state.timers.set(Timer(due, TimerKind.JOINER_PATIENCE, task.id, run.id.rank))


def shrink(change: Change, task: Task, count: int, reason: str) -> None:
    """Let `count` workers of a group go, the newest first; the leader stays."""
    group = task.group
    assert group is not None
    going = sorted(_wanted(change, task).keys() - group.leaving - {group.members[0]}, reverse=True)[:count]
    let_go(change, task, going, reason)


def let_go(change: Change, task: Task, going: Sequence[int], reason: str) -> None:
    """Let these workers of a group go. At least one that trains has to stay."""
    group = task.group
    assert group is not None
    members = frozenset(group.members)
    strangers = [rank for rank in going if rank not in members]
    task = _resizing(
        change,
        task,
        -len(going),
        reason,
        group=regrouped(group, leaving=group.leaving | (members & frozenset(going))),
    )
    for rank in strangers:
        _stop(change, change.state.runs[task.id][rank], task.spec.grace_s)
    plan(change, task)


def restart(change: Change, task: Task, workers: int, reason: str) -> None:
    """Another number of workers by another attempt, for a task that is no group."""
    task = change.task(moved(task, state=advance(task.state, Move.RESIZE)))
    _note_resize(change, task, workers, reason)
    stop_attempt(change, task, Intent.RESIZE, reason)
    change.state.restarting[task.id] = workers


def _resizing(change: Change, task: Task, more: int, reason: str, group: Group) -> Task:
    after = task.workers + more
    state = task.state if task.state is TaskState.RESIZING else advance(task.state, Move.RESIZE)
    _note_resize(change, task, after, reason)
    return change.task(moved(task, state=state, workers=after, group=group, reason=reason))


def _note_resize(change: Change, task: Task, workers: int, reason: str) -> None:
    learned = change.state.learned.get(task.id, NOTHING_LEARNED)
    change.state.learned[task.id] = relearned(learned, resized_at=change.now, resizes=learned.resizes + 1)
    change.record(RecordKind.TASK_RESIZING, task, reason=reason, before=task.workers, workers=workers)


# --- patience ----------------------------------------------------------------------------------------------


def on_group_patience(change: Change, task: Task, generation: int) -> None:
    """The generation should have begun: go on without those that have not joined, and end them."""
    group = task.group
    if group is None or group.generation != generation or task.intent is not Intent.NONE:
        return
    live = _live(change, task)
    if not generation:
        late = sorted(set(live) - set(dict(group.stores)))
        ready = len(live) - len(late)
        if late and ready < task.spec.min_workers:
            names = ", ".join(str(rank) for rank in late)
            stop_attempt(change, task, Intent.RETRY, f"worker {names} never got ready to train")
            return
    elif group.broken:
        late = [rank for rank in group.members if rank in live and rank not in group.broken]
    else:
        late = [rank for rank in group.members if rank in live and rank not in group.joined]
    late += [rank for rank in sorted(group.leaving) if rank in live and rank not in group.members]
    killed = 0
    for rank in late:
        run = live[rank]
        if not run.stopping:
            killed += rank not in group.leaving
            why = "never got ready" if not generation else "does not answer"
            change.record(RecordKind.WORKER_LOST, task, run.node, reason=f"worker {rank} {why}; it is killed")
            # What does not answer will not act on a TERM either.
            _stop(change, run, 0.0 if rank in group.members else task.spec.grace_s)
    if killed:
        task = change.task(moved(task, workers=task.workers - killed))
    if late and not generation:
        plan(change, task)


def on_joiner_patience(change: Change, task: Task, rank: int) -> None:
    """A worker that was to join has had its time. One that joined and leaves again is not waited for."""
    run = _live(change, task).get(rank)
    group = task.group
    if run is None or group is None or rank in group.members or rank in group.leaving or run.stopping:
        return
    if task.intent is not Intent.NONE:
        return
    limit = change.state.limits.joiner_patience_s
    change.record(
        RecordKind.WORKER_LOST, task, run.node, reason=f"worker {rank} did not get ready within {limit:g} s"
    )
    task = change.task(moved(task, workers=task.workers - 1))
    _stop(change, run, task.spec.grace_s)


# --- generations -------------------------------------------------------------------------------------------


def plan(change: Change, task: Task, step: float | None = None) -> None:
    """Make the next generation if it is time for one. `step`: where the latest word came from, if it said."""
    group = task.group
    assert group is not None
    live = _wanted(change, task)
    if not group.generation:
        if live and set(live) <= {rank for rank, _ in group.stores}:
            _publish(change, task, tuple(sorted(live)), live)
        return
    alive = [rank for rank in group.members if rank in live]
    if not alive:
        # Whoever had the state is gone, or all is done: there is nothing left to join.
        for run in live.values():
            _stop(change, run, task.spec.grace_s)
        return
    runs = change.state.runs[task.id]
    gone = [rank for rank in group.members if rank not in live] if len(alive) < len(group.members) else []
    done = group.broken and any(rank not in group.fresh and _ended_well(runs.get(rank)) for rank in gone)
    if done and group.fresh.issuperset(alive):
        # Training ended while they were on their way in: alone, they would begin it anew.
        members = tuple(rank for rank in group.members if rank not in group.fresh)
        change.task(moved(task, group=regrouped(group, members=members)))
        for run in live.values():
            _stop(change, run, task.spec.grace_s)
        return
    dead = any(not _ended_well(runs.get(rank)) for rank in gone)
    if not dead and not (group.broken or group.joined).issuperset(alive):
        return
    joiners: list[int] = []
    if len(live) > len(alive):
        others = set(live).difference(alive)
        joiners = sorted(rank for rank, _ in group.stores if rank in others)
    members = tuple(rank for rank in alive + joiners if rank not in group.leaving)
    if group.broken and not dead:
        task = failed_again(change, task)
        if task.intent is not Intent.NONE:
            return
    if members and (dead or group.broken or members != tuple(alive)):
        _publish(change, task, members, live)
    elif group.settled:
        _settle(change, task, live, step)


def failed_again(change: Change, task: Task, detail: str = "") -> Task:
    """Count a failure of the group. Too many in a row end the attempt; a long good time makes up for all."""
    group, limits = task.group, change.state.limits
    assert group is not None
    lasted = change.now - group.planned_at >= limits.stable_s
    failures = 1 if lasted else group.failures + 1
    task = change.task(moved(task, group=regrouped(group, failures=failures)))
    if failures > limits.group_failures:
        task = stop_attempt(
            change, task, Intent.RETRY, f"its workers keep failing{detail and ', the last one '}{detail}"
        )
    return task


def _ended_well(run: Run | None) -> bool:
    return run is not None and not run.live and run.exit is not None and run.exit.ok


def _publish(change: Change, task: Task, members: tuple[int, ...], live: Mapping[int, Run]) -> None:
    """Record a generation and tell everybody whom it concerns. `live`: the workers nobody is ending."""
    before = task.group
    assert before is not None
    had, has = frozenset(before.members), frozenset(members)
    group = regrouped(
        before,
        generation=before.generation + 1,
        members=members,
        joined=frozenset(),
        broken=frozenset(),
        planned_at=change.now,
        fresh=has & before.fresh | has - had,
    )
    runs = change.state.runs[task.id]
    # Those that ended well were counted until now: it was not known that training goes on without them.
    task = change.task(moved(task, group=group, workers=len(live.keys() - group.leaving)))
    for rank in [rank for rank, run in runs.items() if not run.live and rank not in has]:
        del runs[rank]
    plan = group.plan
    change.record(
        RecordKind.TASK_REGROUPED,
        task,
        reason=_difference(before.members, members),
        generation=group.generation,
        members=list(members),
    )
    concerned = had | has
    change.out.commands += [
        Regroup(run.node, run.id, plan) for rank, run in runs.items() if rank in concerned and run.live
    ]
    due = change.now + change.state.limits.group_patience_s
    change.state.timers.set(Timer(due, TimerKind.GROUP_PATIENCE, task.id, group.generation))


def _difference(before: tuple[int, ...], after: tuple[int, ...]) -> str:
    if not before:
        return f"begins with {len(after)} worker" + ("s" if len(after) > 1 else "")
    had, has = frozenset(before), frozenset(after)
    came = [str(rank) for rank in after if rank not in had]
    went = [str(rank) for rank in before if rank not in has]
    parts = [f"with worker {', '.join(came)}"] if came else []
    parts += [f"without worker {', '.join(went)}"] if went else []
    return " ".join(parts) or "the same workers again"


def _settle(change: Change, task: Task, live: Mapping[int, Run], step: float | None) -> None:
    """Everybody trains. If nobody is on the way in or out any more, the resize is over."""
    group = task.group
    assert group is not None
    if task.state is TaskState.RESIZING and not group.leaving and live.keys() <= frozenset(group.members):
        task = change.task(moved(task, state=advance(task.state, Move.START)))
        change.record(RecordKind.TASK_RESIZED, task, reason=task.reason, workers=task.workers, step=step)


# --- helpers -----------------------------------------------------------------------------------------------


def _live(change: Change, task: Task) -> dict[int, Run]:
    return {rank: run for rank, run in change.state.runs.get(task.id, {}).items() if run.live}


def _wanted(change: Change, task: Task) -> dict[int, Run]:
    """The live workers nobody is ending; those that leave by a plan are among them."""
    runs = change.state.runs.get(task.id, {})
    return {rank: run for rank, run in runs.items() if not run.stopping and run.live}


def _stop(change: Change, run: Run, grace_s: float) -> None:
    change.run(moved_run(run, stopping=True))
    change.out.commands.append(Stop(run.node, run.id, grace_s))
