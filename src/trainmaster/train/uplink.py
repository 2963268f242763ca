"""What a worker tells the scheduler: lines in its progress file, and a hint (docs/adr/0007)."""

from __future__ import annotations

import json
import os
from typing import Any

from trainmaster.train.clock import process_clock
from trainmaster.train.context import Context


class Uplink:
    """Writes `{"t": …, "group": kind, …}` lines. Never raises: training goes on without a listener."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def tell(self, kind: str, **fields: Any) -> None:
        if not self._context.report:
            return
        line = json.dumps(
            {"t": round(process_clock().now(), 6), "group": kind, **fields}, separators=(",", ":")
        )
        try:
            _append(self._context.report, os.O_CREAT | os.O_APPEND, line)
            if self._context.hints:
                _append(self._context.hints, os.O_NONBLOCK, f"group {self._context.run}")
        except OSError:
            pass


def _append(path: str, flags: int, line: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
    try:
        os.write(fd, line.encode() + b"\n")
    finally:
        os.close(fd)
