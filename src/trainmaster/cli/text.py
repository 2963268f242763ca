"""Values as a person reads them, in few characters."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainmaster.domain.errors import InvalidTask
from trainmaster.domain.units import parse_duration

if TYPE_CHECKING:
    from trainmaster.client.types import Task

NOTHING = "–"
_BARS = "▁▂▃▄▅▆▇█"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Without characters that would move the cursor or change the terminal: names come from anybody."""
    return _CONTROL.sub(lambda match: _visible(match[0]), text)


def _visible(char: str) -> str:
    code = ord(char)
    return chr(0x2400 + code) if code < 0x20 else "\N{REPLACEMENT CHARACTER}"


def span(seconds: float | None) -> str:
    """A duration in a column: `0.4 s`, `42 s`, `2m 10s`, `3h 05m`, `2d 04h`."""
    if seconds is None:
        return NOTHING
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    for big, small, name, part in ((60, 1, "m", "s"), (3600, 60, "h", "m")):
        if whole < big * 60 if big == 60 else whole < 86400:
            return f"{whole // big}{name} {whole % big // small:02}{part}"
    return f"{whole // 86400}d {whole % 86400 // 3600:02}h"


def moment(when: float | None, now: float) -> str:
    """The time of day; with the date if that was not today."""
    if when is None:
        return NOTHING
    then, today = time.localtime(when), time.localtime(now)
    same = then[:3] == today[:3]
    return time.strftime("%H:%M:%S" if same else "%Y-%m-%d %H:%M", then)


def instant(text: str, now: float, field: str, ahead: bool = False) -> float:
    """Epoch seconds of `10m` (ago; from now if `ahead`), `14:30`, `2026-11-21T14:30` or of epoch seconds.

    Raises InvalidTask.
    """
    if re.fullmatch(r"\d{9,}(\.\d+)?", text):
        return float(text)
    try:
        length = parse_duration(text, field)
        return now + length if ahead else now - length
    except InvalidTask:
        pass
    from datetime import datetime

    try:
        if re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", text):
            clock = text if text.index(":") == 2 else f"0{text}"
            today = time.strftime("%Y-%m-%d", time.localtime(now))
            return datetime.fromisoformat(f"{today}T{clock}").timestamp()
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise InvalidTask(
            f"{field}: {text!r} is neither a duration nor a time",
            remedy='write it like "10m", "14:30" or "2026-11-21T14:30"',
            field=field,
        ) from None


def standing(task: Task) -> str:
    """Urgency and priority: `normal`, `normal 2`, `highest`."""
    return f"{task.urgency} {task.priority:g}" if task.priority else task.urgency


def workers(task: Task) -> str:
    """`1`, `2/4` (of a fixed number), `2 of 1..4`."""
    if task.min_workers != task.max_workers:
        return f"{task.workers} of {task.min_workers}..{task.max_workers}"
    return str(task.min_workers)


def exited(task: Task) -> str:
    return NOTHING if task.exit_code is None else str(task.exit_code)


def number(value: float) -> str:
    """A metric: four digits that matter."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.4g}"


def percent(share: float) -> str:
    return f"{share * 100:.0f}%"


def sparkline(values: Sequence[float], width: int) -> str:
    """The course of a value in `width` characters at most; the last value is the last character."""
    if not values:
        return ""
    if len(values) > width:
        values = [values[(i + 1) * len(values) // width - 1] for i in range(width)]
    low, high = min(values), max(values)
    if high <= low:
        return _BARS[0] * len(values)
    return "".join(_BARS[round((value - low) / (high - low) * (len(_BARS) - 1))] for value in values)


def bar(share: float, width: int) -> str:
    """How full something is."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return "█" * filled + "░" * (width - filled)
