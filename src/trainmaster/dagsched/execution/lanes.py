"""Warm processes that run their list of calls in order and send results to each other.

Each lane has one inbox that all others write to and one thread that empties it, so a sender never waits for a
busy lane. A lane runs exactly the tasks of its processor, in the plan's order; a task waits until the results
of its parents are there. Times are measured on the machine's monotonic clock, which all its processes share.
"""

from __future__ import annotations

import multiprocessing
import pickle
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np
import numpy.typing as npt

from trainmaster.dagsched.errors import ExecutionError, OptionError
from trainmaster.dagsched.execution.orders import Step, orders_of
from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.plan import PLACEMENT, Plan

Functions = Sequence[Callable[..., Any]] | Mapping[int, Callable[..., Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Execution:
    """What a run gave: ``results`` per task, ``makespan`` in seconds from the first start to the last finish,
    and ``placements`` as a plan's, with the measured seconds."""

    results: dict[int, Any]
    makespan: float
    placements: npt.NDArray[Any]


class Lanes:
    """A pool of ``count`` processes that stays warm between runs; a context manager.

    ``start_method`` as in ``multiprocessing``: "forkserver" and "spawn" pickle the functions, "fork" does
    for the first run of functions known when the pool is made. Not for use by several threads at once.
    """

    def __init__(self, count: int, *, start_method: str = "forkserver") -> None:
        if count < 1:
            raise OptionError("count", count, "at least one lane is needed")
        context = multiprocessing.get_context(start_method)
        inboxes = [context.Pipe(duplex=False) for _ in range(count)]
        writers = [writer for _, writer in inboxes]
        # Kept: a lock that its maker lets go of is gone for a child that has not opened it yet.
        locks = self._locks = [context.Lock() for _ in range(count)]
        self._controls: list[Connection] = []
        self._processes = []
        for lane in range(count):
            ours, theirs = context.Pipe()
            process: Any = context.Process(  # type: ignore[attr-defined]
                target=_lane,
                args=(lane, theirs, inboxes[lane][0], writers, locks),
                daemon=True,
                name=f"lane-{lane}",
            )
            process.start()
            theirs.close()
            self._controls.append(ours)
            self._processes.append(process)
        for reader, writer in inboxes:
            reader.close()
            writer.close()
        self._run = 0
        self._broken = False

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def count(self) -> int:
        """Number of lanes."""
        return len(self._processes)

    def execute(self, functions: Functions, plan: Plan) -> Execution:
        """Run ``functions[v](*results of v's parents by number)`` for every task as ``plan`` has it.

        A task with several copies is called once per copy, so functions should not mind that. Raises
        ``ExecutionError`` if a function fails or a lane dies, after which the pool is closed.
        """
        if self._broken:
            raise OptionError("lanes", self, "a run failed on them; make new ones")
        if plan.processors > self.count:
            raise OptionError("lanes", self.count, f"the plan needs {plan.processors}")
        if len(functions) != plan.graph.n:
            raise OptionError("functions", len(functions), f"the graph has {plan.graph.n} tasks")
        self._run += 1
        steps = orders_of(plan)
        steps += [[] for _ in range(self.count - len(steps))]
        for control, mine in zip(self._controls, steps, strict=True):
            payload = pickle.dumps((self._run, mine, {step.task: functions[step.task] for step in mine}))
            control.send_bytes(payload)
        # All lanes hold their orders before any begins: loading functions is not part of the makespan.
        self._gather("ready")
        for control in self._controls:
            control.send_bytes(b"go")
        answers = self._gather("done")
        results: dict[int, Any] = {}
        rows: list[tuple[int, int, float, float]] = []
        for lane, (kept, times) in answers.items():
            results.update(kept)
            rows += [(task, lane, start, finish) for task, start, finish in times]
        placements = np.array(rows, PLACEMENT)
        placements = placements[np.lexsort((placements["start"], placements["processor"]))]
        zero = placements["start"].min()
        placements["start"] -= zero
        placements["finish"] -= zero
        return Execution(
            {task: results[task] for task in sorted(results)}, float(placements["finish"].max()), placements
        )

    def _gather(self, expected: str) -> dict[int, Any]:
        """One answer from every lane; fails if one reports a failure, ends, or says anything else."""
        answers: dict[int, Any] = {}
        while len(answers) < self.count:
            silent = [lane for lane in range(self.count) if lane not in answers]
            controls = {self._controls[lane]: lane for lane in silent}
            sentinels = {process.sentinel: lane for lane, process in enumerate(self._processes)}
            found = wait([*controls, *sentinels])
            # Words first: a lane that ended may have said why.
            spoken = [control for control in controls if control in found]
            for control in spoken:
                lane = controls[control]
                try:
                    kind, body = control.recv()
                except EOFError:
                    self._fail(-1, lane, "the process ended")
                if kind != expected:
                    self._fail(*((body[0], lane, body[1]) if kind == "failed" else (-1, lane, kind)))
                answers[lane] = body
            for source in found if not spoken else ():
                lane = sentinels[source]
                self._fail(-1, lane, f"the process ended with code {self._processes[lane].exitcode}")
        return answers

    def _fail(self, task: int, lane: int, detail: str) -> None:
        self._broken = True
        self.close(grace_s=0.0)
        raise ExecutionError(task, lane, detail)

    def close(self, grace_s: float = 5.0) -> None:
        """End all lanes: ask, wait ``grace_s``, then kill."""
        for control in self._controls:
            try:
                control.send_bytes(b"")
            except OSError:
                continue
        for process in self._processes:
            if grace_s:
                process.join(grace_s)
            if process.is_alive():
                process.kill()
            process.join()
        for control in self._controls:
            control.close()
        for process in self._processes:
            process.close()
        self._controls, self._processes = [], []


def execute(
    functions: Functions,
    graph: TaskGraph,
    plan: Plan,
    *,
    lanes: Lanes | None = None,
    start_method: str = "forkserver",
) -> Execution:
    """Run a graph of functions as planned, on ``lanes`` or on as many fresh local processes as planned.

    ``functions[v]`` is called with the results of v's parents in order of their number. Raises
    ``ExecutionError``, ``OptionError``.
    """
    if graph is not plan.graph and graph != plan.graph:
        raise OptionError("plan", plan, "was made for another graph")
    if lanes is not None:
        return lanes.execute(functions, plan)
    with Lanes(plan.processors, start_method=start_method) as pool:
        return pool.execute(functions, plan)


def _lane(lane: int, control: Connection, inbox: Connection, writers: list[Any], locks: list[Any]) -> None:
    """The life of one lane: orders, go, calls, answer, again."""
    store = _Store()
    threading.Thread(target=_receive, args=(inbox, store), daemon=True).start()
    while True:
        try:
            orders = control.recv_bytes()
        except EOFError:
            return
        if not orders:
            return
        task = -1
        try:
            run, steps, functions = pickle.loads(orders)
            store.begin(run)
            control.send(("ready", None))
            if control.recv_bytes() != b"go":
                return
            kept: dict[int, Any] = {}
            times: list[tuple[int, float, float]] = []
            for step in steps:
                task = step.task
                arguments = [store.wait(parent) for parent in step.parents]
                start = time.perf_counter()
                value = functions[task](*arguments)
                finish = time.perf_counter()
                times.append((task, start, finish))
                store.put(run, task, value)
                if step.keep:
                    kept[task] = value
                _send(step, run, value, writers, locks)
            control.send(("done", (kept, times)))
        except Exception:
            control.send(("failed", (task, traceback.format_exc())))


def _send(step: Step, run: int, value: Any, writers: list[Any], locks: list[Any]) -> None:
    if not step.send_to:
        return
    message = pickle.dumps((run, step.task, value), protocol=pickle.HIGHEST_PROTOCOL)
    for target in step.send_to:
        with locks[target]:
            writers[target].send_bytes(message)


def _receive(inbox: Connection, store: _Store) -> None:
    while True:
        try:
            message = inbox.recv_bytes()
        except (EOFError, OSError):
            return
        store.put(*pickle.loads(message))


class _Store:
    """Results a lane has, by task; waiting for one blocks until it is there."""

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._values: dict[tuple[int, int], Any] = {}
        self._run = 0

    def begin(self, run: int) -> None:
        """Forget older runs; results of this one may have come early."""
        with self._ready:
            self._run = run
            self._values = {key: value for key, value in self._values.items() if key[0] >= run}

    def put(self, run: int, task: int, value: Any) -> None:
        with self._ready:
            self._values.setdefault((run, task), value)
            self._ready.notify_all()

    def wait(self, task: int) -> Any:
        key = self._run, task
        with self._ready:
            self._ready.wait_for(lambda: key in self._values)
            return self._values[key]
