"""When something is due again and again: the values of time rules, and what to do with late and overlapping
firings.

Due times are whole milliseconds since the epoch: a firing's key is (trigger, due time), and a key must not be
a float. How due times follow from a rule is in `policies.firing`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trainmaster.domain.errors import TrainmasterError

SHORTEST_MS = 100  # between two firings of an interval
LONGEST_MS = 100 * 366 * 86_400_000
MAX_JITTER_MS = 86_400_000
MAX_EXCLUSIONS = 1000
_CLOSED = re.compile(r"(\d{4}-\d\d-\d\d)(?:\.\.(\d{4}-\d\d-\d\d))?")
_YEARLY = re.compile(r"(\d\d)-(\d\d)")


class InvalidTrigger(TrainmasterError):
    """The trigger as described can never be right; `fields["field"]` names the culprit."""

    code = "invalid-trigger"
    status = 422


class UnknownZone(InvalidTrigger):
    """There is no such time zone."""

    code = "unknown-zone"


class Gap(StrEnum):
    """What becomes of a local time that a change of the clock leaps over."""

    SKIP = "skip"  # nothing is due
    AFTER = "after"  # due at the first moment after the gap
    SHIFT = "shift"  # due as long after the change as it was meant after the gap's beginning (RFC 5545)


class Fold(StrEnum):
    """Which of the two moments counts where a change of the clock lets a local time come twice."""

    FIRST = "first"
    SECOND = "second"
    BOTH = "both"


class Misfire(StrEnum):
    """What becomes of firings nobody could start in time, for the service was away or paused."""

    SKIP = "skip"  # each is recorded as skipped
    FIRE_ONCE = "fire-once"  # the latest fires, the others are recorded as skipped
    CATCH_UP = "catch-up"  # those within the window fire in order, older ones are recorded as skipped


class Overlap(StrEnum):
    """What becomes of a firing while a task of an earlier one is live."""

    ALLOW = "allow"
    SKIP = "skip"
    QUEUE_ONE = "queue-one"  # one waits; a further one is skipped
    QUEUE_ALL = "queue-all"
    CANCEL_OLD = "cancel-old"  # it starts once the old ones are verifiably gone


@dataclass(frozen=True, slots=True)
class Cron:
    """Five fields (minute first) or six (second first), or a name such as `@daily`, in the clock of `zone`.

    `gap` and `fold` None: as Debian's cron has it. A line that names its hour and minute is due once a day
    however the clock changes (AFTER, FIRST); one whose hour or minute begins with `*` goes by real time
    (SKIP, BOTH).
    """

    line: str
    zone: str = "UTC"
    gap: Gap | None = None
    fold: Fold | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """Every `every_ms`. Fixed rate: counted from the start. `after_end`: fixed delay, counted from the end of
    the task before."""

    every_ms: int
    after_end: bool = False


@dataclass(frozen=True, slots=True)
class Once:
    """At one moment."""

    at_ms: int


Rule = Cron | Interval | Once


@dataclass(frozen=True, slots=True)
class Timing:
    """A rule within its bounds (both inclusive), less the excluded local days of `zone`.

    `exclusions`: "2026-12-24", "2026-12-24..2027-01-01", or "12-25" for every year. `jitter_ms`: each firing
    starts up to this much later than due, by a number that is the same whenever it is asked for.
    """

    rule: Rule
    start_ms: int = 0
    end_ms: int | None = None
    exclusions: tuple[str, ...] = ()
    zone: str = "UTC"  # of the exclusions; a cron line has its own
    jitter_ms: int = 0


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo:
    """The IANA zone called `name`. Raises UnknownZone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownZone(
            f"zone: there is no time zone {name!r}", remedy='use an IANA name, such as "Europe/Berlin"',
            field="zone",
        ) from None  # fmt: skip


@lru_cache(maxsize=4096)
def excluded_days(text: str) -> tuple[date, date] | tuple[int, int]:
    """The first and last day of an exclusion, or the (month, day) of a yearly one. Raises InvalidTrigger."""
    try:
        if (yearly := _YEARLY.fullmatch(text)) is not None:
            month, day = int(yearly[1]), int(yearly[2])
            date(2024, month, day)  # a leap year: 29 February is a day
            return month, day
        if (closed := _CLOSED.fullmatch(text)) is not None:
            first = date.fromisoformat(closed[1])
            last = date.fromisoformat(closed[2]) if closed[2] else first
            if first <= last:
                return first, last
    except ValueError:
        pass
    raise InvalidTrigger(
        f"exclusions: {text!r} is not a day",
        remedy='write "2026-12-24", "2026-12-24..2027-01-01", or "12-25" for every year',
        field="exclusions",
    )


def validate_timing(timing: Timing) -> None:
    """Raise InvalidTrigger for what is wrong whatever a cron line says (`policies.firing.cron` checks
    lines)."""

    def refuse(field: str, problem: str, remedy: str) -> None:
        raise InvalidTrigger(f"{field}: {problem}", remedy=remedy, field=field)

    rule = timing.rule
    zone_named(timing.zone)
    if isinstance(rule, Cron):
        zone_named(rule.zone)
    if isinstance(rule, Interval) and not SHORTEST_MS <= rule.every_ms <= LONGEST_MS:
        refuse("every", f"must be 100 ms to 100 years, got {rule.every_ms} ms", 'write it like "90s" or "6h"')
    if isinstance(rule, Once) and not 0 <= rule.at_ms <= LONGEST_MS * 3:
        refuse("at", "is out of range", "give a time between 1970 and 2270")
    if timing.end_ms is not None and timing.end_ms < timing.start_ms:
        refuse("end", "is before the start", "give a later end, or none")
    if not 0 <= timing.jitter_ms <= MAX_JITTER_MS:
        refuse("jitter", f"must be 0 to one day, got {timing.jitter_ms} ms", "give less")
    if isinstance(rule, Interval) and timing.jitter_ms > rule.every_ms:
        refuse("jitter", "is longer than the interval", "firings would change their order: give less")
    if len(timing.exclusions) > MAX_EXCLUSIONS:
        refuse("exclusions", f"at most {MAX_EXCLUSIONS}", "use ranges")
    for text in timing.exclusions:
        excluded_days(text)
