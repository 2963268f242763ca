"""The due times of a timing, in order, and how much later than due each starts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count, islice, pairwise

from trainmaster.domain.chance import uniform
from trainmaster.domain.trigger import (
    Cron,
    Interval,
    Once,
    Timing,
    excluded_days,
    validate_timing,
    zone_named,
)
from trainmaster.policies.firing.cron import moments, validate_cron

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Excluded due times in a row before a timing counts as over: it may be excluded for good.
_MOST_EXCLUDED = 100_000


def validate(timing: Timing) -> None:
    """Raise InvalidTrigger for a timing that can never be right."""
    validate_timing(timing)
    if isinstance(timing.rule, Cron):
        validate_cron(timing.rule)


def due_times(timing: Timing, after_ms: int, ended_ms: int | None = None) -> Iterator[int]:
    """Due times later than `after_ms`, strictly rising, in milliseconds since the epoch.

    A fixed delay gives one at a time, counted from `ended_ms`, the end of the task before (None: there was
    none, so the start is due). Ends when the rule does, or after 100,000 excluded ones in a row.
    """
    left = _MOST_EXCLUDED
    for due in _by_rule(timing, max(after_ms, timing.start_ms - 1), ended_ms):
        if timing.end_ms is not None and due > timing.end_ms:
            return
        if timing.exclusions and excluded(timing, due):
            left -= 1
            if left == 0:
                return
            continue
        left = _MOST_EXCLUDED
        yield due


def _by_rule(timing: Timing, after_ms: int, ended_ms: int | None) -> Iterator[int]:
    rule = timing.rule
    if isinstance(rule, Once):
        if rule.at_ms > after_ms:
            yield rule.at_ms
    elif isinstance(rule, Cron):
        for moment in moments(rule, after_ms // 1000):
            yield moment * 1000
    elif rule.after_end:
        due = timing.start_ms if ended_ms is None else ended_ms + rule.every_ms
        yield max(due, after_ms + 1)
    else:
        passed = max((after_ms - timing.start_ms) // rule.every_ms + 1, 0)
        for number in count(passed):
            yield timing.start_ms + number * rule.every_ms


def preview(timing: Timing, after_ms: int, limit: int) -> list[int]:
    """The next `limit` due times. Of a fixed delay only the next is known."""
    return list(islice(due_times(timing, after_ms), limit))


def shortest_period(timing: Timing, after_ms: int, looked_at: int = 2000) -> int | None:
    """Milliseconds between two due times, the least of the next `looked_at`; None if there are no two."""
    if isinstance(timing.rule, Interval):
        return timing.rule.every_ms
    found = preview(timing, after_ms, looked_at)
    return min((b - a for a, b in pairwise(found)), default=None)


def excluded(timing: Timing, due_ms: int) -> bool:
    """Is the local day of a due time one of the excluded?"""
    zone = timing.rule.zone if isinstance(timing.rule, Cron) else timing.zone
    day = (_EPOCH + timedelta(milliseconds=due_ms)).astimezone(zone_named(zone)).date()
    for text in timing.exclusions:
        first, last = excluded_days(text)
        if isinstance(first, date) and isinstance(last, date):
            if first <= day <= last:
                return True
        elif (day.month, day.day) == (first, last):
            return True
    return False


def start_time(timing: Timing, due_ms: int, seed: int) -> int:
    """When a firing starts: its due time and a delay of [0, jitter] that depends on `seed` and the due time
    alone."""
    if not timing.jitter_ms:
        return due_ms
    return due_ms + int(uniform(seed, due_ms) * (timing.jitter_ms + 1))


def is_fixed_delay(timing: Timing) -> bool:
    return isinstance(timing.rule, Interval) and timing.rule.after_end
