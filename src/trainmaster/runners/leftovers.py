"""Ending what a run left behind when its shim was killed and can no longer do it."""

from __future__ import annotations

import time
from typing import Any

from trainmaster.runners import descendants, life


def kill_left(progress: str, started: dict[str, Any] | None) -> None:
    """KILL the command, all below it and whatever carries its environment. Blocks until nothing is left.

    `progress` is the run's progress file, by which its environment is known; `started` is from its life file.
    """
    variable = f"TRAINMASTER_REPORT={progress}".encode()
    pause_s = 0.001
    while True:
        left = descendants.carrying(variable)
        if started is not None:
            child = started["child"]
            if life.start_time(child) == started["child_start"]:
                left += [child, *descendants.below(child)]
        left = [pid for pid in left if not descendants.zombie(pid)]
        if not left:
            return
        descendants.signal_all(left, descendants.KILL)
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.25)
