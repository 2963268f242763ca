"""Amounts of resources, as integers so that sums are exact."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trainmaster.domain.errors import InvalidTask
from trainmaster.domain.replacing import quick

_SUFFIX = {
    "": 1,
    "b": 1,
    "k": 10**3, "kb": 10**3, "ki": 2**10, "kib": 2**10,
    "m": 10**6, "mb": 10**6, "mi": 2**20, "mib": 2**20,
    "g": 10**9, "gb": 10**9, "gi": 2**30, "gib": 2**30,
    "t": 10**12, "tb": 10**12, "ti": 2**40, "tib": 2**40,
}  # fmt: skip
_DURATION = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@quick
@dataclass(frozen=True, slots=True)
class Resources:
    """What one worker needs, or a node has.

    `cpu_m`: thousandths of a core; `memory`: bytes; `gpus`: whole devices; `lanes`: places in the queues of
    the node's warm lanes, used only by function tasks.
    """

    cpu_m: int = 0
    memory: int = 0
    gpus: int = 0
    lanes: int = 0

    def fits(self, free: Resources) -> bool:
        """True if `free` holds at least this much of everything."""
        return (
            self.cpu_m <= free.cpu_m
            and self.memory <= free.memory
            and self.gpus <= free.gpus
            and self.lanes <= free.lanes
        )

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            self.cpu_m + other.cpu_m,
            self.memory + other.memory,
            self.gpus + other.gpus,
            self.lanes + other.lanes,
        )

    def __sub__(self, other: Resources) -> Resources:
        return Resources(
            self.cpu_m - other.cpu_m,
            self.memory - other.memory,
            self.gpus - other.gpus,
            self.lanes - other.lanes,
        )

    def __mul__(self, count: int) -> Resources:
        return Resources(self.cpu_m * count, self.memory * count, self.gpus * count, self.lanes * count)

    def times_fitting(self, free: Resources) -> int:
        """How many such amounts `free` holds; a need of nothing at all fits any number of times (10**9)."""
        count = 10**9
        for need, have in (
            (self.cpu_m, free.cpu_m),
            (self.memory, free.memory),
            (self.gpus, free.gpus),
            (self.lanes, free.lanes),
        ):
            if need > 0:
                count = min(count, have // need)
        return max(count, 0)

    def describe(self) -> str:
        """For people: `1 core, 8 GB, 1 GPU`."""
        parts = []
        if self.cpu_m:
            cores = self.cpu_m / 1000
            parts.append(f"{cores:g} core" + ("" if cores == 1 else "s"))
        if self.memory:
            parts.append(format_bytes(self.memory))
        if self.gpus:
            parts.append(f"{self.gpus} GPU" + ("" if self.gpus == 1 else "s"))
        if self.lanes:
            parts.append("a place in a lane")
        return ", ".join(parts) or "nothing"


NOTHING = Resources()


def parse_bytes(value: str | int, field: str = "memory") -> int:
    """`"8GB"`, `"512Mi"`, `1024` → bytes. Raises InvalidTask naming `field`."""
    if isinstance(value, int):
        amount = value
    else:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", value)
        if match is None or match[2].lower() not in _SUFFIX:
            raise InvalidTask(
                f"{field}: {value!r} is not an amount of memory",
                remedy='write it like "8GB", "512Mi" or a number of bytes',
                field=field,
            )
        amount = int(float(match[1]) * _SUFFIX[match[2].lower()])
    if amount < 0:
        raise InvalidTask(f"{field}: must not be negative, got {value}", remedy="leave it out", field=field)
    return amount


def parse_duration(value: str | float, field: str = "timeout") -> float:
    """`"90s"`, `"5m"`, `"1.5h"`, `30` → seconds. Raises InvalidTask naming `field`."""
    if isinstance(value, int | float):
        seconds = float(value)
    else:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", value)
        if match is None or match[2] not in _DURATION:
            raise InvalidTask(
                f"{field}: {value!r} is not a duration",
                remedy='write it like "90s", "5m" or "1.5h"',
                field=field,
            )
        seconds = float(match[1]) * _DURATION[match[2]]
    if not 0 <= seconds < 1e12:
        raise InvalidTask(f"{field}: {value} is out of range", remedy="give a positive number", field=field)
    return seconds


def format_bytes(amount: int) -> str:
    """Short, for people: `8 GB`, `1.5 GB`, `512 MB`."""
    size = float(amount)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def format_duration(seconds: float) -> str:
    """Short, for people: `0.4 s`, `2 min 10 s`, `3 h 5 min`, `2 d 4 h`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    for big, small, big_name, small_name in (
        (60, 1, "min", "s"),
        (3600, 60, "h", "min"),
        (86400, 3600, "d", "h"),
    ):
        if whole < big * (60 if big < 3600 else 24 if big < 86400 else 10**9):
            head, rest = divmod(whole, big)
            return (
                f"{head} {big_name} {rest // small} {small_name}" if rest // small else f"{head} {big_name}"
            )
    raise AssertionError("unreachable")


def format_roughly(seconds: float) -> str:
    """An estimated duration: `a few seconds`, `about 40 s`, `about 6 min`, `about 3 h 5 min`."""
    if seconds < 10:
        return "a few seconds"
    unit = 10 if seconds < 300 else 60
    return f"about {format_duration(max(round(seconds / unit), 1) * unit)}"
