"""The probe: a short fixed piece of work, timed, that shows how fast a worker would run on this node now."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Sequence

from trainmaster.domain.performance_index import PerformanceIndex

PERIOD_S = 30.0
WORK_MIB = 10  # about 8 ms of one core at 1.2 GB/s
_BLOCK = bytes(1 << 20)

# Nodes that share this process share its machine: probes at the same moment would measure each other.
_one_at_a_time = threading.Lock()


def work() -> None:
    """The fixed task: it hashes WORK_MIB MiB. Compiled code that lets go of the interpreter's lock."""
    digest = hashlib.blake2b()
    for _ in range(WORK_MIB):
        digest.update(_BLOCK)


def scaled(wall_s: float, cpu_s: float, share: float) -> float:
    """What a one-threaded worker gets here, in MiB/s of the fixed task.

    Two things bound it: the pace just seen (`wall_s`), which falls when others use the cores, and a share of
    less than one core at the core's full pace (`cpu_s`). The smaller counts, so that neighbours on a core
    that is divided anyway are not held against the node twice. More than one core makes one worker no faster.
    """
    shortest = 1e-6
    return min(WORK_MIB / max(wall_s, shortest), min(share, 1.0) * WORK_MIB / max(cpu_s, shortest))


class Probe:
    """Samples one node every PERIOD_S when asked often enough, each time in a short-lived thread of its own.

    `cpus`: the node's cores, None for any; `share`: its part of the machine, in cores.
    """

    def __init__(
        self,
        cpus: Sequence[int] | None,
        share: float,
        index: PerformanceIndex | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cpus = set(cpus) if cpus else None
        self._share = share
        self._index = index if index is not None else PerformanceIndex()
        self._clock = clock
        self._due = clock()
        self._thread: threading.Thread | None = None

    @property
    def value(self) -> float | None:
        """The index D after the latest sample; None before the first."""
        return self._index.value

    def tick(self) -> bool:
        """Begin a sample if one is due and none is being taken. Returns at once; True if it began one."""
        now = self._clock()
        if now < self._due or (self._thread is not None and self._thread.is_alive()):
            return False
        self._due = now + PERIOD_S
        self._thread = threading.Thread(target=self._take, name="trainmaster-probe", daemon=True)
        self._thread.start()
        return True

    def join(self, timeout_s: float) -> None:
        """Wait for a sample that is being taken."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _take(self) -> None:
        with _one_at_a_time:
            if self._cpus is not None:
                try:
                    os.sched_setaffinity(0, self._cpus)  # of this thread alone
                except OSError:
                    pass  # the cores were taken offline or away from us: measure where we may run
            work_began, cpu_began = time.perf_counter(), time.thread_time()
            work()
            cpu_s, wall_s = time.thread_time() - cpu_began, time.perf_counter() - work_began
        self._index.add(scaled(wall_s, cpu_s, self._share))
