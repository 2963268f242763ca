"""Room for a task that comes next and fits on no node: workers of groups go, or tasks are interrupted.

Allotment counts the resources of all nodes together. So a task may find room in the sum and on no node, as
when each node has a worker of a group. Then those workers go that stand in the way; the group may grow again
elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from trainmaster.domain.ids import NodeId, TaskId
from trainmaster.domain.run import Run
from trainmaster.domain.task import Intent, Task, TaskKind
from trainmaster.domain.units import NOTHING, Resources
from trainmaster.scheduler.attempts import stop_attempt
from trainmaster.scheduler.elastic import departing, let_go, shrinkable
from trainmaster.scheduler.room import Room
from trainmaster.scheduler.state import Change, moved


def clear(change: Change, room: Room, task: Task, least: int) -> bool:
    """Let as few workers of groups go as make room for `least` workers of the task. False if none would.

    Only where the allotment policy found room for the task, and only workers above their task's minimum, of
    tasks that are not more urgent and whose count nobody asked for. Of a group with workers on their way in
    only those go. Ties: the first node; on it the group with the most workers to spare, its newest worker,
    the leader last.
    """
    state = change.state
    if not state.elastic or task.spec.planned is not None or state.targets.get(task.id, 0) < least:
        return False
    able = {room.views[at].id for at in room.able(task)}
    freed = _already_yielding(change, able)
    if _would_fit(room, task, least, freed, able):
        return True  # they are on their way out
    spare = {
        group.id: group.workers - group.spec.min_workers
        for group in state.elastic.values()
        if shrinkable(group) and group.pinned is None and group.urgency <= task.urgency
    }
    standing: dict[NodeId, list[Run]] = defaultdict(list)
    for group_id in spare:
        for run in _may_go(change, state.tasks[group_id]):
            if run.node in able:
                standing[run.node].append(run)
    going = _fewest(room, task, least, freed, standing, spare, able)
    if going is None:
        return False
    for group_id, runs in going.items():
        group = state.tasks[group_id]
        where = ", ".join(sorted({run.node for run in runs}))
        words = f"{group.workers} → {group.workers - len(runs)} workers, so that {task.id} fits on {where}"
        let_go(change, group, [run.id.rank for run in runs], words)
    change.task(moved(task, reason=f"room is made for it by {', '.join(going)}"))
    return True


def _may_go(change: Change, task: Task) -> list[Run]:
    """The workers of a group that it can do without, as far as those that stay have its state."""
    runs = [run for run in change.state.runs[task.id].values() if run.live and not departing(task, run)]
    members = task.group.members if task.group is not None else ()
    return [run for run in runs if run.id.rank not in members] or runs


def _fewest(
    room: Room,
    task: Task,
    least: int,
    freed: dict[NodeId, Resources],
    standing: dict[NodeId, list[Run]],
    spare: dict[TaskId, int],
    able: set[NodeId],
) -> dict[TaskId, list[Run]] | None:
    """Who should go, by group: for one worker of the task after the other, where the fewest have to."""
    need = task.spec.resources
    free = {view.id: view.free for view in room.with_freed(freed) if view.id in able}
    going: dict[TaskId, list[Run]] = {}
    for _ in range(least):
        best: tuple[NodeId, list[Run]] | None = None
        for node, amount in free.items():
            runs = _in_the_way(need, amount, standing.get(node, ()), spare)
            if runs is not None and (best is None or len(runs) < len(best[1])):
                best = node, runs
                if not runs:
                    break
        if best is None:
            return None
        node, runs = best
        for run in runs:
            free[node] += run.resources
            standing[node].remove(run)
            spare[run.id.task] -= 1
            going.setdefault(run.id.task, []).append(run)
        free[node] -= need
    return going


def _in_the_way(
    need: Resources, free: Resources, standing: Iterable[Run], spare: dict[TaskId, int]
) -> list[Run] | None:
    """The fewest of those on a node whose room, with what is free, holds one worker; None if all do not."""
    left = dict(spare)
    going: list[Run] = []
    for run in sorted(standing, key=lambda run: (-spare[run.id.task], run.id.task, -run.id.rank)):
        if need.fits(free):
            break
        if left[run.id.task] > 0:
            left[run.id.task] -= 1
            free += run.resources
            going.append(run)
    return going if need.fits(free) else None


def preempt(change: Change, room: Room, task: Task, least: int) -> None:
    """Interrupt as few as possible, in the policy's order, so that the task fits once they are gone."""
    state = change.state
    if task.spec.planned is not None or not state.policies.preemption.may(task):
        return
    if task.preempting and any(t.intent is Intent.INTERRUPT for t in map(state.tasks.get, state.runs) if t):
        return  # those it interrupted are not gone yet
    yielding = [
        other
        for other in state.policies.preemption.order(task, state.running_tasks())
        if other.spec.preemptible and other.spec.kind is not TaskKind.FUNCTION
    ]
    if not yielding:
        return
    able = {room.views[at].id for at in room.able(task)}
    freed = _already_yielding(change, able)
    victims: list[Task] = []
    for other in yielding:
        if _would_fit(room, task, least, freed, able):
            break
        if any(run.node in able for run in state.runs[other.id].values()):
            _add_resources(freed, change, other, able, 1)
            victims.append(other)
    if not victims or not _would_fit(room, task, least, freed, able):
        return
    for other in list(victims):  # the first taken may have become unnecessary by the later ones
        _add_resources(freed, change, other, able, -1)
        if _would_fit(room, task, least, freed, able):
            victims.remove(other)
        else:
            _add_resources(freed, change, other, able, 1)
    for other in victims:
        stop_attempt(change, other, Intent.INTERRUPT, f"by {task.id} ({task.urgency.name.lower()})")
    names = ", ".join(other.id for other in victims)
    change.task(moved(task, preempting=True, reason=f"{state.policies.preemption.name} interrupts {names}"))


def _already_yielding(change: Change, able: set[NodeId]) -> dict[NodeId, Resources]:
    freed: dict[NodeId, Resources] = {}
    for task_id, runs in change.state.runs.items():
        other = change.state.tasks[task_id]
        for run in runs.values():
            if departing(other, run) and run.node in able:
                freed[run.node] = freed.get(run.node, NOTHING) + run.resources
    return freed


def _add_resources(
    freed: dict[NodeId, Resources], change: Change, task: Task, able: set[NodeId], sign: int
) -> None:
    for run in change.state.runs[task.id].values():
        if run.live and run.node in able and not departing(task, run):
            freed[run.node] = freed.get(run.node, NOTHING) + run.resources * sign


def _would_fit(room: Room, task: Task, least: int, freed: dict[NodeId, Resources], able: set[NodeId]) -> bool:
    need, left = task.spec.resources, least
    for view in room.with_freed(freed):
        if view.id in able:
            left -= min(need.times_fitting(view.free), left)
    return left <= 0
