"""A second process that compiles half of ``auto``'s kernels while this one compiles the other half.

Compiling keeps one core busy for as long as a user waits for the first plan ever made on a machine. numba
compiles under one lock, so only another process can take a share; it leaves it in the cache on disk, from
which this process loads it. Nothing depends on that: whatever the cache does not hold is compiled here.
"""

from __future__ import annotations

import gc
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np

from trainmaster.dagsched.clusters import parts_of
from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.jit import compiling, config
from trainmaster.dagsched.kernels.clusters import (
    BY_COMPLETION,
    assign_leftovers,
    chains,
    critical_parents,
    earliest_completions,
)
from trainmaster.dagsched.kernels.insertion import insert_producers
from trainmaster.dagsched.kernels.merging import merge_lists
from trainmaster.dagsched.kernels.ports import free_ports
from trainmaster.dagsched.machine import machine_for
from trainmaster.dagsched.plan import Ports
from trainmaster.dagsched.problem import Problem

# Many times what any kernel takes: a second process that says nothing for so long is stopped or swapped out.
LONGEST_WAIT_S = 120.0


class CompileBeside:
    """Within it, the first kernel that must really be compiled starts the second process; leaving ends that.

    At most once in the life of a process, and only with a second core and an interpreter that can be started.
    The garbage collector rests until it is left, as ``jit`` has it do within each compilation: it would look
    through all that numba made once more after each. ``ports``: the plan's port model.
    """

    _begun = False

    def __init__(self, ports: Ports = "multi") -> None:
        self.ports = ports
        self.child: subprocess.Popen[bytes] | None = None
        self.done = 0
        self.collecting = False

    def __enter__(self) -> CompileBeside:
        if not CompileBeside._begun:
            compiling.at_first = self._begin
        return self

    def __exit__(self, *_: object) -> None:
        compiling.at_first = None
        self._end()
        if self.collecting:
            gc.enable()

    def join(self) -> None:
        """See to it that all is compiled which the second process took over; call it before TDPATD.

        It goes on from the front of its share, and this process compiles from the back what it is not at yet.
        """
        compiling.at_first = None
        if self.child is None:
            return
        share = shared(self.ports)
        end = len(share)
        while self._done() < end - 1:
            end -= 1
            share[end]()
        before = -1
        while before < self.done < end:
            before = self.done
            self._done(LONGEST_WAIT_S)
        self._end()

    def _done(self, wait_s: float = 0.0) -> int:
        """How much of its share it has compiled, after waiting for some more; all, if it is gone."""
        assert self.child is not None and self.child.stdout is not None
        ready, _, _ = select.select([self.child.stdout], [], [], wait_s)
        if ready:
            told = os.read(self.child.stdout.fileno(), 64)
            self.done = self.done + len(told) if told else sys.maxsize
        return self.done

    def _begin(self) -> None:
        CompileBeside._begun = True
        self.collecting = gc.isenabled()
        gc.disable()
        if _cores() < 2 or not _can_start_python():
            return
        # The same modules from the same places (-P: not from the current folder), into the same cache.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        if config.CACHE_DIR:
            environment["NUMBA_CACHE_DIR"] = config.CACHE_DIR
        try:
            self.child = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, self.ports],
                env=environment,
                # Never written to. It closes when this process ends, however it ends; the child sees that.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,  # one byte for each call that it has made
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


def shared(ports: Ports) -> list[Callable[[], object]]:
    """Calls that compile the partitioner and the kernels of TDCA, in the order in which TDPATD needs them.

    With the start of a process they take longer than what comes before TDPATD, so there is always something
    left for the first process to do.
    """
    graph = TaskGraph([1.0, 1.0, 1.0], [(0, 1, 1.0), (0, 2, 1.0)])
    problem = Problem(graph, machine_for(graph, 3), ports)
    g, times, p, order = problem.g, problem.times, problem.p, problem.g.topo
    member, nothing = np.eye(p, problem.n, dtype=np.bool_), np.zeros(problem.n)
    ect, no_parent, assigned = np.zeros((problem.n, p)), np.full(problem.n, -1, np.int32), nothing == 0.0
    ports_free = free_ports(p, problem.single)
    return [
        lambda: parts_of(problem, 2),
        lambda: earliest_completions(g, times, p),
        lambda: critical_parents(g, ect),
        lambda: chains(g, ect, nothing, no_parent, order[::-1].copy()),
        lambda: assign_leftovers(g, order, times, member, assigned, BY_COMPLETION),
        lambda: insert_producers(g, order, times, member),
        lambda: merge_lists(g, times, order, member, np.arange(p), ports_free, nothing, nothing, 1.0, 1.0),
    ]


def _exit_with_parent() -> None:
    # Not through sys.stdin, whose lock would be held when this process ends first.
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    gc.disable()
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    for call in shared(cast(Ports, sys.argv[1])):
        call()
        os.write(1, b".")
