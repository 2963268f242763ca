"""Worker counts: what the allotment policy is shown, and how its answer becomes resizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from trainmaster.domain.ids import TaskId
from trainmaster.domain.learned import NOTHING_LEARNED
from trainmaster.domain.task import Assignment, Elasticity, Intent, Task, TaskKind
from trainmaster.domain.units import NOTHING, Resources
from trainmaster.policies.base import AllotmentView, Claim, Context
from trainmaster.scheduler.attempts import stop_attempt
from trainmaster.scheduler.deliberation import Answer, deliberation, still_fitting, within_bounds, yielding
from trainmaster.scheduler.elastic import grow, resizable, restart, shrink
from trainmaster.scheduler.room import Guard, Room
from trainmaster.scheduler.state import Change
from trainmaster.scheduler.timers import Timer, TimerKind


def allot(change: Change, room: Room, running: Counter[str]) -> bool:
    """Ask the policy, if anything is elastic and something changed; shrink who should have less. False if
    that goes on in the next cycle (docs/adr/0015): the policy thinks on, or there are too many to shrink.

    What it wants for the others stays in `state.targets`, until it is asked again. A task that is restarting
    for another count is shown with that count and cannot be moved: what was decided stands until it runs, or
    each of its steps (it ends, it waits, it starts) would look like news and call for further resizes.

    Groups in their cooldown cannot be moved either, unless a task waits for its minimum and finds no room:
    then the policy is asked again, and they may become smaller. They never grow before it is over, so between
    two growths each resize but the first starts a task, and takes at least one worker of those there are.
    """
    state = change.state
    policy = state.policies.allotment
    if not (state.elastic or state.ready.elastic or policy.suspends):
        state.targets.clear()
        state.deliberation, state.carrying = None, False
        return True
    if state.carrying:
        claims = list(_claims(change, room, running))
        return _carry_out(change, room, yielding(claims) if state.yielding else claims, False)
    pondered = state.deliberation is not None
    if state.deliberation is None:
        if not state.allot_due:
            return True
        state.allot_due = False
        claims = list(_claims(change, room, running))
        view = _view(change, room, claims, change.salt())
        state.deliberation = deliberation(policy, view)
    try:
        next(state.deliberation)
        return False
    except StopIteration as done:
        answer: Answer = done.value
        state.deliberation = None
    news = state.allot_due
    if pondered:
        claims = list(_claims(change, room, running))
    if answer.yielding:
        claims = yielding(claims)
    targets = {claim.task.id: within_bounds(claim, answer.targets) for claim in claims}
    if pondered:
        targets = still_fitting(_view(change, room, claims), targets)
    state.targets, state.yielding = targets, answer.yielding
    return _carry_out(change, room, claims, news)


def wanted_workers(change: Change, room: Room, task: Task) -> int:
    """How many workers to try for when a task starts. 0: the policy lets it wait, although there is room."""
    spec = task.spec
    if task.pinned is not None:
        return task.pinned
    if not spec.elastic and not change.state.policies.allotment.suspends:
        return spec.min_workers
    wanted = change.state.targets.get(task.id)
    if wanted is None:
        return spec.min_workers
    if wanted == 0 and room.places(task) < spec.min_workers:
        return spec.min_workers  # there is no room either: let the ordering's discipline protect it
    return min(wanted, spec.max_workers)


def place(
    change: Change, room: Room, task: Task, wanted: int, least: int, guard: Guard | None
) -> list[Assignment]:
    """Nodes for as many workers as fit up to `wanted`; none at all if `least` do not fit."""
    state, placement, nodes = change.state, change.state.policies.placement, len(room.views)
    if placement.by_node_alone and guard is None:
        taken = room.fill(task, placement, Context(change.now, state.decisions, nodes), wanted)
        state.decisions += len(taken) + (len(taken) < wanted)  # each is one, and so is finding none
    else:
        usable = room.planned_node_usable(task)
        here = Counter(run.node for run in state.runs.get(task.id, {}).values() if run.live)
        taken = []
        for _ in range(wanted):
            context = Context(change.now, change.salt(), nodes, usable, here)
            chosen = room.best(task, guard, placement, context)
            if chosen is None:
                break
            taken.append(room.take(task, chosen))
            here[chosen.id] += 1
    if len(taken) >= least:
        return taken
    for assignment in reversed(taken):
        room.give_back(task, assignment)
    return []


def grow_running(change: Change, room: Room, guard: Guard | None) -> bool:
    """Give running groups what the policy wants for them, as far as nobody who waits needs the room. False if
    that goes on in the next cycle."""
    state = change.state
    grown = 0
    for task in sorted(state.elastic.values(), key=_by_start):
        target = state.targets.get(task.id, 0)
        if target <= task.workers or _restarts(task) or not _movable(change, task):
            continue
        if grown == state.limits.resizes:
            state.carrying = True
            return False
        assignments = place(change, room, task, target - task.workers, 1, guard)
        if assignments:
            grown += 1
            now = task.workers + len(assignments)
            grow(change, task, assignments, f"{_who(change, task)}: {task.workers} → {now} workers")
    return True


# --- the view ----------------------------------------------------------------------------------------------


def _view(change: Change, room: Room, claims: Sequence[Claim], salt: int = 0) -> AllotmentView:
    free = room.free - _promised(change) + _coming_free(change)
    return AllotmentView(change.now, claims, free, room.views, salt)


def _claims(change: Change, room: Room, running: Counter[str]) -> Iterator[Claim]:
    state = change.state
    suspends = state.policies.allotment.suspends
    having = [*(state.active if suspends else state.elastic).values(), *_between_attempts(change)]
    for task in sorted(having, key=_by_start):
        if task.spec.kind is TaskKind.FUNCTION:
            continue
        if task.id in state.active:
            settled = _movable(change, task)
            movable = settled or (suspends and task.spec.preemptible)
            yield _claim(change, room, running, task, task.workers, movable, settled)
        else:
            yield _claim(change, room, running, task, state.restarting[task.id], False, False)
    for task_id in state.ready.head(state.limits.claims):
        task = state.tasks[task_id]
        if task.spec.kind is not TaskKind.FUNCTION and task_id not in state.restarting:
            yield _claim(change, room, running, task, 0, True, True)


def _claim(
    change: Change,
    room: Room,
    running: Counter[str],
    task: Task,
    workers: int,
    movable: bool,
    settled: bool,
) -> Claim:
    """`settled`: it may have any count within its bounds; else it keeps the one it has, or rests."""
    spec, state = task.spec, change.state
    least, most = spec.min_workers, spec.max_workers
    if workers and not (spec.elastic and settled):
        least = most = workers
    elif task.pinned is not None:
        least = most = task.pinned
    most = min(most, max(room.holds(task), least))
    quota = state.quotas.get(spec.user)
    if quota is not None and quota.running_workers is not None:
        most = max(min(most, workers + quota.running_workers - running[spec.user]), least)
    learned = state.learned.get(task.id, NOTHING_LEARNED)
    cost = state.limits.group_pause_s
    if _restarts(task):
        cost = state.limits.restart_pause_s if learned.pause_s is None else learned.pause_s
    return Claim(task, workers, least, most, movable, learned, cost)


def _movable(change: Change, task: Task) -> bool:
    return resizable(task) and change.now >= _cool_at(change, task)


def _cool_at(change: Change, task: Task) -> float:
    """When the task may be resized again."""
    limits = change.state.limits
    at = change.state.learned.get(task.id, NOTHING_LEARNED).resized_at
    if at is None:
        return 0.0
    return at + (limits.restart_cooldown_s if _restarts(task) else limits.resize_cooldown_s)


def _between_attempts(change: Change) -> list[Task]:
    """Those that have ended, or were told to, so as to start again with another count."""
    state = change.state
    return [state.tasks[task_id] for task_id in state.restarting if task_id not in state.active]


def _promised(change: Change) -> Resources:
    """What they are going to take."""
    restarting = change.state.restarting
    needs = (task.spec.resources * restarting[task.id] for task in _between_attempts(change))
    return sum(needs, NOTHING)


def _coming_free(change: Change) -> Resources:
    """What workers hold that are on their way out."""
    state = change.state
    going = [
        run for run in state.ending.values() if run.id.task in state.elastic or run.id.task in state.stopping
    ]
    for task in state.elastic.values():
        if task.group is not None and task.group.leaving:
            runs = state.runs[task.id]
            leaving = (runs[rank] for rank in task.group.leaving if rank in runs)
            going += [run for run in leaving if run.live and not run.stopping]
    return sum((run.resources for run in going), NOTHING)


# --- carrying out ------------------------------------------------------------------------------------------


def _carry_out(change: Change, room: Room, claims: Sequence[Claim], news: bool) -> bool:
    """Shrink who should have less, and restart who restarts to have more. False if some are left. `news`:
    something has happened since the policy was shown the claims."""
    state = change.state
    state.carrying = False
    targets = state.targets
    unassigned = room.free - _promised(change)
    favoured = _favoured(claims, targets)
    resized = 0
    for claim in claims:
        target = targets.get(claim.task.id, claim.workers)
        if not claim.workers or not claim.movable or target == claim.workers:
            continue
        if target > claim.workers:
            # It trains on with what it has until the others have given up their room.
            more = claim.task.spec.resources * (target - claim.workers)
            if not _restarts(claim.task) or not more.fits(unassigned):
                continue
            unassigned -= more
        if resized == state.limits.resizes:
            state.carrying = True
            break
        reason = _why(_who(change, claim.task), claim.workers, target, favoured)
        if target < claim.workers:
            resized += _take(change, claim, target, reason)
        else:
            restart(change, claim.task, target, reason)
            resized += 1
    _look_again(change, claims, news)
    return not state.carrying


def _take(change: Change, claim: Claim, target: int, reason: str) -> bool:
    """False if it cannot be."""
    task = claim.task
    if target <= 0:
        if not (change.state.policies.allotment.suspends and task.spec.preemptible):
            return False
        stop_attempt(change, task, Intent.INTERRUPT, reason)
    elif target < claim.least:
        return False
    elif _restarts(task):
        restart(change, task, target, reason)
    elif task.group is not None:
        shrink(change, task, claim.workers - target, reason)
    else:
        return False
    return True


def _favoured(claims: Sequence[Claim], targets: Mapping[TaskId, int]) -> str:
    """Those for whom others give workers up, in words: who starts, else who grows."""
    gaining = [claim for claim in claims if targets.get(claim.task.id, 0) > claim.workers]
    others = [claim.task.id for claim in gaining if not claim.workers]
    others = others or [claim.task.id for claim in gaining]
    more = f" and {len(others) - 2} more" if len(others) > 2 else ""
    return f", in favour of {', '.join(others[:2])}{more}" if others else ""


def _why(policy: str, before: int, after: int, favoured: str) -> str:
    words = f"{before} → {after} workers" if after else "suspended"
    return f"{policy}: {words}{favoured if after < before else ''}"


def _who(change: Change, task: Task) -> str:
    return "by request" if task.pinned is not None else change.state.policies.allotment.name


def _look_again(change: Change, claims: Sequence[Claim], news: bool) -> None:
    """At once if there were `news` while the policy was thinking, when a cooldown ends, and after the period
    in any case: training has told more by then."""
    state, now = change.state, change.now
    due = [now if news else now + state.limits.allotment_period_s]
    due += [at for claim in claims if claim.workers and (at := _cool_at(change, claim.task)) > now]
    at = min(due)
    if not now < state.allot_at <= at:
        state.allot_at = at
        state.timers.set(Timer(at, TimerKind.ALLOTMENT, TaskId(""), 0))


def _restarts(task: Task) -> bool:
    return task.spec.elasticity is Elasticity.RESTART


def _by_start(task: Task) -> tuple[float, int]:
    return (task.accepted_at or 0.0, task.seq)
