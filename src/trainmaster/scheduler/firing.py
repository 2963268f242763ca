"""Claim, activate, trigger: the first of the three. (Activation and the start itself are the lanes'.)

`fire` decides on every due time that has come: what it starts, or why not. The firing's row, what it starts
and the trigger's next due time are parts of one outcome, so they become durable together, or none does; and
the id of what is started follows from trigger and due time alone. So no due time fires twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from trainmaster.domain.chance import mix
from trainmaster.domain.errors import TrainmasterError
from trainmaster.domain.events import (
    BackfillRequested,
    FiringRequested,
    TriggerChanged,
    TriggerCreated,
    TriggerDeleted,
    TriggerPaused,
    WorkflowRegistered,
)
from trainmaster.domain.firing import (
    Cause,
    Firing,
    FiringOutcome,
    Started,
    Trigger,
    TriggerExists,
    UnknownTrigger,
    changed,
)
from trainmaster.domain.history import RecordKind
from trainmaster.domain.ids import TaskId, TriggerId, UserName, WorkflowRunId
from trainmaster.domain.target import WorkflowTarget
from trainmaster.domain.trigger import Misfire, Overlap
from trainmaster.policies.firing.due import due_times, is_fixed_delay, start_time
from trainmaster.policies.firing.misfire import why_missed
from trainmaster.scheduler.starting import begins_at, check_startable, start, stop
from trainmaster.scheduler.state import Change


def fire(change: Change) -> None:
    """Decide on what is due, as far as one step should, and release what waited."""
    book, limits = change.state.triggers, change.state.limits
    left = limits.firings
    while left > 0 and (trigger := book.take(change.now)) is not None:
        weight = limits.run_firings if isinstance(trigger.target, WorkflowTarget) else 1
        left -= weight * _claim(change, trigger, max(left // weight, 1))
    release(change)


def release(change: Change) -> None:
    """What waited for something that is over now may start."""
    book = change.state.triggers
    freed, book.freed = book.freed, set()
    for trigger_id in sorted(freed):
        if trigger_id in book.all:
            _release(change, book.all[trigger_id])


def more_is_due(change: Change) -> bool:
    """There is more to decide on than one step should: step again at once."""
    following = change.state.triggers.next_due()
    return following is not None and following <= change.now


def _claim(change: Change, trigger: Trigger, most: int) -> int:
    """Decide on the due times of one trigger that have come, at most so many. Returns how many that were."""
    state = change.state
    ahead_ms = state.triggers.lead_ms(trigger, state.limits.lead_s)
    now_ms = int(change.now * 1000)
    count = 0
    due, dues = trigger.next_ms, state.triggers.dues_after_next(trigger)
    while due is not None and (due - ahead_ms) / 1000 <= change.now and count < most:
        following = next(dues, None)
        count += 1
        late_ms = now_ms - start_time(trigger.timing, due, trigger.seed)
        followed = following is not None and following <= now_ms
        why = "" if is_fixed_delay(trigger.timing) else why_missed(
            late_ms, trigger.grace_ms, followed, trigger.misfire, trigger.window_ms
        )  # fmt: skip
        if due in trigger.decided:
            pass
        elif why:
            trigger, later = _missed(change, trigger, due, following, why)
            if later != following and later is not None:
                dues = due_times(trigger.timing, later)
            following = later
        else:
            trigger = changed(trigger, missed=0)
            _decide(change, trigger, due, Cause.SCHEDULE)
        if is_fixed_delay(trigger.timing):
            busy = state.triggers.busy(trigger.id)
            following = None if busy else next(due_times(trigger.timing, due, now_ms), None)
        trigger = changed(trigger, last_ms=due, next_ms=following)
        if trigger.decided:  # those to come are kept: another change of the trigger would go back to them
            over = min(due, now_ms)
            trigger = changed(trigger, decided=tuple(one for one in trigger.decided if one > over))
        due = following
    change.trigger(trigger)
    state.triggers.remember(trigger, dues)
    return count


def _missed(
    change: Change, trigger: Trigger, due: int, following: int | None, why: str
) -> tuple[Trigger, int | None]:
    """Record a missed due time. After very many in a row, one row stands for all that are left; returns the
    due time to go on with."""
    missed = trigger.missed + 1
    if missed > change.state.limits.missed_rows and following is not None:
        kept_ms = trigger.grace_ms
        if trigger.misfire is Misfire.CATCH_UP:
            kept_ms = max(kept_ms, trigger.window_ms)
        # FIRE_ONCE needs the last one that has come: look from somewhat before now.
        step_ms = trigger.period_ms or 60_000
        until = int(change.now * 1000) - kept_ms - 2 * step_ms
        if following < until:
            following = next(due_times(trigger.timing, until), None)
            why += f", as were all until {instant(until)}"
    if trigger.missed == 0:
        _record(change, RecordKind.FIRING_MISSED, trigger, due, why)
    _row(change, trigger, due, FiringOutcome.MISSED, Cause.SCHEDULE, why)
    return changed(trigger, missed=missed), following


def _decide(change: Change, trigger: Trigger, due: int, cause: Cause) -> None:
    """Start, hold or skip one firing, by what earlier ones are doing."""
    book = change.state.triggers
    waiting = book.waiting.get(trigger.id, [])
    overlap = trigger.overlap
    if cause is Cause.BACKFILL and overlap is not Overlap.ALLOW:
        overlap = Overlap.QUEUE_ALL
    if overlap is Overlap.ALLOW or not (book.live.get(trigger.id) or waiting):
        _start(change, trigger, due, cause)
        return
    if overlap is Overlap.SKIP:
        _skipped(change, trigger, due, cause, "what an earlier firing started is not over")
    elif overlap is Overlap.QUEUE_ONE and waiting:
        _skipped(change, trigger, due, cause, "another firing waits already")
    elif overlap is Overlap.QUEUE_ALL and len(waiting) >= change.state.limits.waiting_firings:
        _skipped(change, trigger, due, cause, f"{len(waiting)} firings wait already")
    else:
        if overlap is Overlap.CANCEL_OLD:
            for old in waiting:
                _skipped(change, trigger, old.due_ms, old.cause, "a later firing took its place")
            waiting = []
            for started in sorted(book.live.get(trigger.id, ())):
                stop(change, started, f"a later firing of {trigger.name} takes over")
        why = "waits until what an earlier firing started is over"
        held = _row(change, trigger, due, FiringOutcome.WAITING, cause, why)
        book.waiting[trigger.id] = [*waiting, held]


def _release(change: Change, trigger: Trigger) -> None:
    """Something that a trigger started is over: what waits for that may start."""
    book = change.state.triggers
    book.back_on_wheel(trigger, change.state.limits.lead_s)
    while not trigger.paused and (waiting := book.waiting.get(trigger.id)):
        if book.live.get(trigger.id) and trigger.overlap is not Overlap.ALLOW:
            break
        book.waiting[trigger.id] = waiting[1:]
        _start(change, trigger, waiting[0].due_ms, waiting[0].cause)
    if not book.waiting.get(trigger.id):
        book.waiting.pop(trigger.id, None)
    if is_fixed_delay(trigger.timing) and trigger.next_ms is None and not book.busy(trigger.id):
        after = trigger.last_ms if trigger.last_ms is not None else int(trigger.created_at * 1000)
        due = next(due_times(trigger.timing, after, int(change.now * 1000)), None)
        if due is not None:
            change.trigger(changed(trigger, next_ms=due))


def _start(change: Change, trigger: Trigger, due: int, cause: Cause) -> None:
    try:
        started = start(change, trigger, due, cause)
    except TrainmasterError as error:
        _skipped(change, trigger, due, cause, error.message)
        return
    _row(change, trigger, due, FiringOutcome.FIRED, cause, "", started)


def _skipped(change: Change, trigger: Trigger, due: int, cause: Cause, why: str) -> None:
    _record(change, RecordKind.FIRING_SKIPPED, trigger, due, why)
    _row(change, trigger, due, FiringOutcome.SKIPPED, cause, why)


def _row(
    change: Change,
    trigger: Trigger,
    due: int,
    outcome: FiringOutcome,
    cause: Cause,
    reason: str,
    started: Started | None = None,
) -> Firing:
    made = Firing(trigger.id, due, outcome, change.now, cause, reason=reason)
    if started is not None:
        of_workflow = isinstance(trigger.target, WorkflowTarget)
        kind = {"run": WorkflowRunId(started)} if of_workflow else {"task": TaskId(started)}
        made = replace(made, **kind)
    return change.firing(made)


def _record(change: Change, kind: RecordKind, trigger: Trigger, due: int | None, reason: str) -> None:
    detail: dict[str, Any] = {"trigger": trigger.id, "name": trigger.name}
    if due is not None:
        detail["due"] = due / 1000
    change.record(kind, reason=reason, **detail)


def instant(moment_ms: int) -> str:
    """For people: `2026-11-25 14:30:00 UTC`."""
    return f"{datetime.fromtimestamp(moment_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


# --- requests of users -------------------------------------------------------------------------------------


def on_trigger_created(change: Change, event: TriggerCreated) -> None:
    """Raises TriggerExists, and as `check_startable`."""
    trigger = event.trigger
    _must_be_free(change, trigger)
    following = next(due_times(trigger.timing, int(change.now * 1000)), None)
    trigger = changed(trigger, created_at=change.now, next_ms=following)
    change.state.library.put(event.definitions)
    try:
        check_startable(change, trigger, following or 0)
    except TrainmasterError:
        _tidy_library(change)
        raise
    change.trigger(trigger)
    _record(change, RecordKind.TRIGGER_CREATED, trigger, None, f"by {trigger.user}")


def on_trigger_changed(change: Change, event: TriggerChanged) -> None:
    """The new definition counts from now: also for due times to come that were claimed ahead, if they have
    not begun (see `Triggers.recall`). Raises UnknownTrigger, TriggerExists, and as `check_startable`."""
    before = _known(change, event.trigger.id)
    _must_be_free(change, event.trigger)
    book, now_ms = change.state.triggers, int(change.now * 1000)
    busy = is_fixed_delay(event.trigger.timing) and book.busy(before.id)
    following = None if busy else next(due_times(event.trigger.timing, now_ms), None)
    change.state.library.put(event.definitions)
    try:
        check_startable(change, event.trigger, following or now_ms)
    except TrainmasterError:
        _tidy_library(change)
        raise
    if before.next_ms is not None and before.next_ms <= now_ms and not _claimed(change, before):
        _row(
            change, before, before.next_ms, FiringOutcome.MISSED, Cause.SCHEDULE,
            "missed, with all until its rule was changed",
        )  # fmt: skip
    after = changed(
        event.trigger,
        created_at=before.created_at,
        seed=mix(before.seed, now_ms),  # what is started from now on is none of what was taken back
        paused=before.paused,
        last_ms=_last_come(before, now_ms),
        next_ms=following,
        missed=0,
        decided=tuple(due for due in before.decided if due > now_ms),
    )
    change.trigger(after)
    claimed = [started for started in book.live.get(before.id, ()) if _to_come(change, started, now_ms)]
    book.recall(before.id, claimed)
    for started in sorted(claimed):
        stop(change, started, f"its trigger was changed by {event.by} before its time")
    book.freed.add(before.id)
    _tidy_library(change)
    _record(change, RecordKind.TRIGGER_CHANGED, event.trigger, None, f"by {event.by}")


def _claimed(change: Change, trigger: Trigger) -> bool:
    """Has an earlier definition claimed the due time to be decided on next?"""
    tasks = (change.state.tasks[TaskId(one)] for one in change.state.triggers.recalled.get(trigger.id, ()))
    return trigger.next_ms in trigger.decided or any(task.spec.due_ms == trigger.next_ms for task in tasks)


def _to_come(change: Change, started: Started, now_ms: int) -> bool:
    """Was it claimed for a due time that has not come, and has not begun?"""
    task = change.state.tasks.get(TaskId(started))
    return task is not None and task.started_at is None and (task.spec.due_ms or 0) > now_ms


def _last_come(trigger: Trigger, now_ms: int) -> int | None:
    """The latest due time decided on, those to come aside."""
    if trigger.last_ms is None or trigger.last_ms <= now_ms:
        return trigger.last_ms
    since = now_ms - 2 * (trigger.period_ms or 60_000)
    return max(takewhile(lambda due: due <= now_ms, due_times(trigger.timing, since)), default=None)


def _tidy_library(change: Change) -> None:
    targets = (trigger.target for trigger in change.state.triggers.all.values())
    change.state.library.keep(target for target in targets if isinstance(target, WorkflowTarget))


def on_workflow_registered(change: Change, event: WorkflowRegistered) -> None:
    """What triggers start from now on is the new version, where they do not name one."""
    change.state.library.put(event.definitions)
    _tidy_library(change)


def on_trigger_paused(change: Change, event: TriggerPaused) -> None:
    """Raises UnknownTrigger."""
    trigger = _known(change, event.trigger)
    if trigger.paused == event.paused:
        return
    change.trigger(changed(trigger, paused=event.paused))
    if event.paused:
        _recall(change, trigger, event.by, "paused")
    else:
        change.state.triggers.freed.add(trigger.id)
    kind = RecordKind.TRIGGER_PAUSED if event.paused else RecordKind.TRIGGER_RESUMED
    _record(change, kind, trigger, None, f"by {event.by}")


def on_trigger_deleted(change: Change, event: TriggerDeleted) -> None:
    """What it started goes on; what waits or was claimed ahead does not start. Raises UnknownTrigger."""
    trigger = _known(change, event.trigger)
    _recall(change, trigger, event.by, "deleted")
    for firing in change.state.triggers.waiting.get(trigger.id, ()):
        _skipped(change, trigger, firing.due_ms, firing.cause, f"its trigger was deleted by {event.by}")
    change.state.triggers.drop(trigger.id)
    _tidy_library(change)
    change.out.triggers.pop(trigger.id, None)
    change.out.dropped_triggers.append(trigger.id)
    _record(change, RecordKind.TRIGGER_DELETED, trigger, None, f"by {event.by}")


def on_firing_requested(change: Change, event: FiringRequested) -> None:
    """Raises UnknownTrigger. The overlap policy decides as for any other firing."""
    _decide(change, _known(change, event.trigger), event.due_ms, Cause.MANUAL)


def on_backfill(change: Change, event: BackfillRequested) -> None:
    """Raises UnknownTrigger."""
    trigger = _known(change, event.trigger)
    for due in event.dues:
        _decide(change, trigger, due, Cause.BACKFILL)


def _recall(change: Change, trigger: Trigger, by: UserName, done: str) -> None:
    """Take back what was claimed ahead of its time and has not begun. A lane may begin it all the same: its
    row says what became of it (`Change.task`)."""
    for started in sorted(change.state.triggers.live.get(trigger.id, ())):
        if (begins_at(change, started) or 0.0) > change.now:
            stop(change, started, f"{done} by {by} before its time")


def _known(change: Change, trigger: TriggerId) -> Trigger:
    found = change.state.triggers.all.get(trigger)
    if found is None:
        raise UnknownTrigger(f"there is no trigger {trigger}", trigger=trigger)
    return found


def _must_be_free(change: Change, trigger: Trigger) -> None:
    """Raise TriggerExists if another trigger has the name."""
    for other in change.state.triggers.all.values():
        if other.name == trigger.name and other.id != trigger.id:
            raise TriggerExists(f"there is a trigger {trigger.name!r} already", trigger=other.id)
