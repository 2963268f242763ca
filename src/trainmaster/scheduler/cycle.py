"""One scheduling cycle, in numbered steps."""

from __future__ import annotations

from collections import Counter

from trainmaster.domain.commands import Launch
from trainmaster.domain.history import RecordKind
from trainmaster.domain.ids import RunId, TaskId
from trainmaster.domain.lifecycle import Move, advance
from trainmaster.domain.run import Run
from trainmaster.domain.task import Assignment, Task
from trainmaster.policies.admission import may_start
from trainmaster.scheduler.allot import allot, grow_running, place, wanted_workers
from trainmaster.scheduler.backfill import protection
from trainmaster.scheduler.clearing import clear, preempt
from trainmaster.scheduler.launch import run_specs
from trainmaster.scheduler.room import Guard, Room
from trainmaster.scheduler.state import Change, moved


def cycle(change: Change) -> bool:
    """Start, resize and stop what should be. True if another cycle should follow: a limit was reached, or the
    allotment policy thinks on."""
    state = change.state
    carried = state.carrying
    news = carried and state.allot_due
    again = _cycle(change)
    if state.carrying:
        state.allot_due = news  # what is being carried out calls for no other decision before all is done
        return True
    state.allot_due |= carried
    return again or news


def _cycle(change: Change) -> bool:
    state, limits = change.state, change.state.limits
    to_allot = state.allot_due or state.carrying or state.deliberation is not None
    if not len(state.ready) and not (state.elastic and to_allot):
        state.deliberation, state.carrying = None, False
        return False
    room = Room(state)  # 1. snapshot
    running = state.running_workers() if state.quotas else Counter()
    # 2. allot: how many workers each should have; who has too many gives up some
    if not allot(change, room, running):
        return True
    guard: Guard | None = None
    placed = tried = 0
    passed: set[TaskId] = set()  # not meant to start, which says nothing of others like them
    for task_id in state.ready.walk(passed):  # 3. rank: in the order of the policy, one lot at a time
        task = state.tasks[task_id]
        if not _admitted(change, task, running):  # 4. admit
            continue
        wanted = wanted_workers(change, room, task)
        if not wanted:
            passed.add(task_id)
            continue
        least = _least(task)
        assignments = place(change, room, task, wanted, least, guard)  # 5. place
        if assignments:
            _commit(change, room, task, assignments)  # 6. commit
            running[task.spec.user] += len(assignments)
            placed += 1
        else:
            if guard is None:
                if not clear(change, room, task, least):  # 7. preempt: single workers, else whole tasks
                    preempt(change, room, task, least)
                guard = protection(state, room, task, state.policies.ordering.discipline, change.now)
                if guard is None:
                    return False
            tried += 1
        if placed >= limits.placements or tried >= limits.attempts or room.examined >= limits.examinations:
            return placed > 0
    # 8. what is left goes to those that run and should have more
    return not grow_running(change, room, guard)


def _admitted(change: Change, task: Task, running: Counter[str]) -> bool:
    quota = change.state.quotas.get(task.spec.user)
    return may_start(quota, running[task.spec.user], _least(task))


def _least(task: Task) -> int:
    return task.pinned or task.spec.min_workers


def _commit(change: Change, room: Room, task: Task, assignments: list[Assignment]) -> None:
    state = change.state
    nodes = sorted({assignment.node for assignment in assignments})
    policies = state.policies
    where = nodes[0] if len(nodes) == 1 else f"{len(nodes)} nodes"
    reason = f"{policies.placement.name} chose {where}"
    planned = task.spec.planned
    if planned is not None and planned.node not in nodes:
        why = "was not followed" if room.planned_node_usable(task) else "is gone or cannot hold it"
        reason += f"; its planned node {planned.node} {why}"
    if task.spec.elastic:
        reason += f"; {policies.allotment.name} gave {len(assignments)} of {task.spec.max_workers} workers"
    task = moved(
        task,
        state=advance(task.state, Move.ACCEPT),
        attempt=task.attempt + 1,
        workers=len(assignments),
        accepted_at=change.now,
        not_before=0.0,
        preempting=False,
        exit_code=None,
        reason=reason,
    )
    state.runs[task.id] = {}
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
        for rank, assignment in enumerate(assignments)
    ]
    change.task(task)
    change.record(
        RecordKind.TASK_ACCEPTED, task, assignments[0].node, reason, workers=task.workers, nodes=nodes
    )
    change.out.commands += [
        Launch(run.node, orders) for run, orders in zip(runs, run_specs(state, task, runs), strict=True)
    ]
