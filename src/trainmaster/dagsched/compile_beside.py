"""A second process that compiles half of ``auto``'s kernels while this one compiles the other half.

Compiling keeps one core busy for as long as a user waits for the first plan ever made on a machine. numba
compiles under one lock, so only another process can take a share; it leaves it in the cache on disk, from
which this process loads it. Nothing depends on that: whatever the cache does not hold is compiled here.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

from trainmaster.dagsched.algorithms.tdca import first_lists
from trainmaster.dagsched.clusters import parts_of
from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.jit import compiling, config
from trainmaster.dagsched.kernels.insertion import insert_producers
from trainmaster.dagsched.kernels.merging import merge_lists
from trainmaster.dagsched.kernels.ports import free_ports
from trainmaster.dagsched.machine import machine_for
from trainmaster.dagsched.problem import Problem

# Many times what the share takes: a second process that is not done by then is stopped or swapped out.
LONGEST_WAIT_S = 120.0


class CompileBeside:
    """Within it, the first kernel that must really be compiled starts the second process; leaving ends that.

    At most once in the life of a process, and only with a second core and an interpreter that can be started.
    ``single``: the plan's port model.
    """

    _begun = False

    def __init__(self, single: bool = False) -> None:
        self.single = single
        self.child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> CompileBeside:
        if not CompileBeside._begun:
            compiling.at_first = self._begin
        return self

    def __exit__(self, *_: object) -> None:
        compiling.at_first = None
        self._end()

    def join(self) -> None:
        """Wait for what the second process is at, if there is one; call it before TDPATD.

        Its share done it goes on with the rest that TDPATD needs. Where it is not so far yet, the rest is
        compiled here meanwhile.
        """
        compiling.at_first = None
        if self.child is None:
            return
        if self._share_done(0.0):
            try:
                self.child.wait(LONGEST_WAIT_S)
            except subprocess.TimeoutExpired:
                self._end()
        else:
            rest(self.single)
            self._share_done(LONGEST_WAIT_S)
            self.child.kill()

    def _share_done(self, wait_s: float) -> bool:
        """Whether it says so, or is gone."""
        assert self.child is not None and self.child.stdout is not None
        ready, _, _ = select.select([self.child.stdout], [], [], wait_s)
        return bool(ready)

    def _begin(self) -> None:
        CompileBeside._begun = True
        if _cores() < 2 or not _can_start_python():
            return
        # The same modules from the same places (-P: not from the current folder), into the same cache.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        if config.CACHE_DIR:
            environment["NUMBA_CACHE_DIR"] = config.CACHE_DIR
        try:
            self.child = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, str(int(self.single))],
                env=environment,
                # Never written to. It closes when this process ends, however it ends; the child sees that.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,  # one byte when its share is done
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            # No room for another process, or none allowed.
            self.child = None

    def _end(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.wait()
            for pipe in (self.child.stdin, self.child.stdout):
                if pipe is not None:
                    pipe.close()
            self.child = None


def _cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _can_start_python() -> bool:
    """Whether ``sys.executable`` is Python, and not an application around it, which would start again."""
    return Path(sys.executable or "").name.lower().startswith("python") and not getattr(sys, "frozen", False)


def share() -> None:
    """Compile the partitioner and TDCA's first stage, by calling them on a small graph.

    With the start of a process they take as long, roughly, as everything else.
    """
    problem = _small()
    parts_of(problem, 2)
    first_lists(problem, problem.g.topo, "rct")


def rest(single: bool) -> None:
    """Compile TDCA's last stages likewise."""
    problem = _small()
    g, times, nothing = problem.g, problem.times, np.zeros(problem.n)
    ports = free_ports(problem.p, single)
    member = np.eye(problem.p, problem.n, dtype=np.bool_)
    insert_producers(g, g.topo, times, member)
    merge_lists(g, times, g.topo, member, np.arange(problem.p), ports, nothing, nothing, 1.0, 1.0)


def _small() -> Problem:
    graph = TaskGraph([1.0, 1.0, 1.0], [(0, 1, 1.0), (0, 2, 1.0)])
    return Problem(graph, machine_for(graph, 3))


def _exit_with_parent() -> None:
    # Not through sys.stdin, whose lock would be held when this process ends first.
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    share()
    os.write(1, b".")
    rest(sys.argv[1] == "1")
