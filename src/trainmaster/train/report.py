"""Telling Trainmaster how training goes: one JSON line per call, appended to the run's progress file."""

from __future__ import annotations

import json
import math
import os
import threading
from typing import Any

from trainmaster.train.clock import process_clock

VARIABLE = "TRAINMASTER_REPORT"

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class _Journal:
    """The progress file of this process, opened at the first report and again when its name changes."""

    def __init__(self) -> None:
        # Reentrant: a signal handler may report while the code it interrupted does.
        self._lock = threading.RLock()
        self._path = ""
        self._fd = -1
        self._step = 0.0
        self._torn = False

    def renew_lock(self) -> None:
        """In a forked child: a thread that does not exist there may have held the lock."""
        self._lock = threading.RLock()

    def append(self, path: str, step: float | None, values: dict[str, Any]) -> None:
        with self._lock:
            if path != self._path:
                self._open(path)
            self._step = self._step + 1 if step is None else step
            count = int(self._step) if self._step == int(self._step) else self._step
            line = _encode({"t": round(process_clock().now(), 6), "step": count, **values}).encode() + b"\n"
            if self._torn:
                line = b"\n" + line
            # One write to a file opened for appending: lines of threads and processes never mix.
            self._torn = os.write(self._fd, line) != len(line)

    def _open(self, path: str) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._path, self._step, self._torn = fd, path, 0.0, False


_journal = _Journal()
os.register_at_fork(after_in_child=_journal.renew_lock)


def report(*, step: float | None = None, **metrics: Any) -> None:
    """Report metrics of this moment, such as `report(epoch=3, loss=0.4, accuracy=0.91)`.

    `step` is the position on the curves' axis; left out, calls are counted from 1 in this process, or on from
    the last `step` given. Values are numbers, or anything with `item()` that yields one (NumPy and torch
    scalars); NaN and infinities are written as the strings "NaN", "Infinity", "-Infinity", which `float`
    reads; what is no number is left out. A metric called `t` is written as `t_`, for `t` is the time (seconds
    since the epoch).

    Outside Trainmaster it does nothing, and it never raises: training must not die of a full disk here.
    Safe to call from threads, forked children and signal handlers.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        return
    try:
        position = None if step is None else _finite(step)
        values = {}
        for name, value in metrics.items():
            number = _number(value)
            if number is not None:
                values["t_" if name == "t" else name] = number
        _journal.append(path, position, values)
    except Exception:
        pass


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _number(value: Any) -> int | float | str | None:
    """The value as JSON can hold it; None if it is no number."""
    if not isinstance(value, int | float):
        item = getattr(value, "item", None)
        if item is None:
            return None
        try:
            value = item()  # raises for an array of several elements
        except Exception:
            return None
        if not isinstance(value, int | float):
            return None
    if isinstance(value, int):  # bool too
        value = int(value)
        return value if abs(value) < 2**63 else float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return float(value)
