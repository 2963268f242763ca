"""The agent: hands runs to their runners and answers polls with what became of them.

It keeps no truth of its own: after a kill the next agent on the same folder finds everything in the files.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from trainmaster.agent.board import Board
from trainmaster.agent.logs import LogTail, read
from trainmaster.domain.cluster import Gauges, Node
from trainmaster.domain.group import GroupPlan
from trainmaster.domain.ids import RunId
from trainmaster.domain.run import Exit, Fault, LogChunk, RunGauge, RunReport, RunSpec, RunState, Stream
from trainmaster.ports import LogFile, PollResult, Runner

_log = logging.getLogger(__name__)

MEASURE_S = 5.0
_LEASE_TOUCH_S = 0.5
_TURN_S = 0.005


class Monitor(Protocol):
    """Measures a node. May be slow: it is called in a thread."""

    def sample(self) -> Gauges: ...

    def runs(self, pids: Mapping[RunId, int]) -> Sequence[RunGauge]: ...

    def index(self) -> float | None: ...


class Shared(Protocol):
    """What the runners share and the agent opens before and closes after them."""

    async def open(self) -> None: ...

    async def close(self, leave_running: bool) -> None: ...


class Agent:
    """One node's agent (the port `Agent`).

    `folder` is the node's; `runners` by kind report to `board`; `shared` is opened before they adopt.
    `devices` are the machine's numbers of the node's GPUs, empty if they are the same. `clock` and
    `monotonic` are the time it lives in.
    """

    def __init__(
        self,
        node: Node,
        folder: str,
        board: Board,
        runners: Mapping[str, Runner],
        shared: Sequence[Shared] = (),
        monitor: Monitor | None = None,
        measure_s: float = MEASURE_S,
        devices: Sequence[int] = (),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._node = replace(node, incarnation=board.incarnation)
        self._board = board
        self._runners = runners
        self._shared = shared
        self._monitor = monitor
        self._measure_s = measure_s
        self._devices = devices
        self._lease = Path(folder) / "lease"
        self._lease_touched = 0.0
        self._kinds: dict[RunId, Runner] = {}
        self._logs = LogTail(self._log_files, clock, monotonic)
        self._forgetting: set[RunId] = set()
        self._confirmed = 0  # the caller has stored everything up to here
        self._answered = 0  # the version of the last answer
        self._measured: tuple[Gauges, tuple[RunGauge, ...], float | None] | None = None
        self._measuring: asyncio.Task[None] | None = None
        board.listener = self._reported

    @property
    def node(self) -> Node:
        return self._node

    # --- the Agent port ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open what the runners share, adopt what still runs, begin to measure."""
        self._touch_lease()
        for shared in self._shared:
            await shared.open()
        for runner in self._runners.values():
            for report in await runner.adopt():
                self._kinds[report.id] = runner
                self._board.report(report)
        if self._monitor is not None:
            self._measuring = asyncio.create_task(self._measure(self._monitor))

    async def launch(self, runs: Sequence[RunSpec]) -> None:
        pause = _Pause()
        for run in sorted(runs, key=lambda run: run.priority, reverse=True):
            await pause.maybe()
            if run.id in self._kinds:
                continue
            runner = self._runners.get(run.kind)
            if runner is None:
                self._refuse(run)
                continue
            self._kinds[run.id] = runner
            self._board.note(RunReport(run.id, RunState.PREPARING))
            await runner.launch(self._with_devices(run))

    async def stop(self, run: RunId, grace_s: float) -> None:
        runner = self._kinds.get(run)
        if runner is not None:
            await runner.stop(run, grace_s)

    async def tell(self, run: RunId, plan: GroupPlan) -> None:
        runner = self._kinds.get(run)
        if runner is not None:
            await runner.tell(run, plan)

    async def forget(self, runs: Sequence[RunId]) -> None:
        self._forgetting.update(runs)
        await self._sweep()

    async def poll(
        self, cursor: tuple[str, int], wait_s: float, acks: Mapping[tuple[RunId, Stream], int]
    ) -> PollResult:
        self._touch_lease()
        full = self._resume(cursor, acks)
        if self._forgetting:
            await self._sweep()
        deadline = self._monotonic() + wait_s
        await asyncio.sleep(0)  # a caller that takes nothing in and asks at once must not stop the world
        while True:
            self._board.news.clear()
            if (answer := self._answer(full)) is not None:
                return answer
            now = self._monotonic()
            if now >= deadline:
                return PollResult(self._board.incarnation, self._answered, False)
            due = self._logs.next_due()
            await self._wait((deadline if due is None else min(deadline, due)) - now)

    async def read_log(self, run: RunId, stream: Stream, offset: int, limit: int) -> bytes:
        file = self._log_files(run).get(stream)
        return read(file, offset, limit) if file is not None else b""

    async def close(self, leave_running: bool) -> None:
        if self._measuring is not None:
            self._measuring.cancel()
            await asyncio.gather(self._measuring, return_exceptions=True)
        for runner in self._runners.values():
            await runner.close(leave_running)
        for shared in self._shared:
            await shared.close(leave_running)

    def wrote(self, message: bytes) -> None:
        """A worker says that its progress file has news (`group <run id>`): do not wait for the next look."""
        try:
            run = RunId.parse(message.decode())
        except ValueError:
            return
        if self._logs.wake(run):
            self._board.news.set()

    # --- polls ---------------------------------------------------------------------------------------------

    def _resume(self, cursor: tuple[str, int], acks: Mapping[tuple[RunId, Stream], int]) -> bool:
        """Take note of what the caller has. True if it must be told everything."""
        incarnation, version = cursor
        if incarnation != self._board.incarnation or not self._confirmed <= version <= self._answered:
            self._confirmed = 0
            self._logs.rewind(acks, new_caller=True)
            return True
        self._confirmed = version
        self._board.seen(version)
        if version == self._answered:
            self._logs.confirm(acks)
        else:
            self._logs.rewind(acks, new_caller=False)  # the last answer never arrived
        return False

    def _answer(self, full: bool) -> PollResult | None:
        # In the middle of a conversation the unseen are the new ones; after a lost answer its content too.
        changed = tuple(self._board.all()) if full else self._board.unseen()
        logs: tuple[LogChunk, ...] = self._logs.collect()
        measured, self._measured = self._measured, None
        if not (full or changed or logs or measured):
            return None
        self._answered = self._board.next_version()
        gauges, run_gauges, index = measured or (None, (), None)
        return PollResult(
            self._board.incarnation, self._answered, full, changed, logs, gauges, run_gauges, index
        )

    async def _wait(self, wait_s: float) -> None:
        """Until there is news, at most `wait_s`."""
        alarm = asyncio.get_running_loop().call_later(wait_s, self._board.news.set)
        try:
            await self._board.news.wait()
        finally:
            alarm.cancel()

    def _touch_lease(self) -> None:
        now = time.monotonic()
        if now - self._lease_touched >= _LEASE_TOUCH_S:
            self._lease.parent.mkdir(parents=True, exist_ok=True)
            self._lease.touch(mode=0o600)
            self._lease_touched = now

    # --- runs ----------------------------------------------------------------------------------------------

    def _reported(self, report: RunReport) -> None:
        if report.exit is not None:
            self._logs.end(report.id)
        elif report.state is RunState.RUNNING:
            self._logs.follow(report.id)

    def _with_devices(self, run: RunSpec) -> RunSpec:
        """The scheduler numbers a node's GPUs from 0; a machine of several nodes numbers them on."""
        if not self._devices or not run.devices:
            return run
        return replace(run, devices=tuple(self._devices[device] for device in run.devices))

    def _refuse(self, run: RunSpec) -> None:
        exit_ = Exit(None, Fault.START_FAILED, f"this node runs no {run.kind} tasks")
        self._board.report(RunReport(run.id, RunState.EXITED, None, self._clock(), exit_))

    def _log_files(self, run: RunId) -> Mapping[Stream, LogFile]:
        runner = self._kinds.get(run)
        return runner.logs(run) if runner is not None else {}

    async def _sweep(self) -> None:
        """Delete what is forgotten and whose log is stored to the end."""
        pause = _Pause()
        for run in list(self._forgetting):
            await pause.maybe()
            report = self._board.get(run)
            if report is not None and (report.exit is None or not self._logs.stored(run)):
                continue
            self._forgetting.discard(run)
            runner = self._kinds.pop(run, None)
            if runner is not None:
                await runner.forget(run)
            self._board.drop(run)
            self._logs.drop(run)

    # --- measuring -----------------------------------------------------------------------------------------

    async def _measure(self, monitor: Monitor) -> None:
        while True:
            pids = {
                report.id: report.pid for report in self._board.all() if report.exit is None and report.pid
            }
            try:
                self._measured = await asyncio.to_thread(_sample, monitor, pids)
                self._board.news.set()
            except Exception:  # a sensor that fails must not end the measuring for good
                _log.warning("measuring the node failed", exc_info=True)
            await asyncio.sleep(self._measure_s)


class _Pause:
    """Lets others have the event loop now and then during many small pieces of work."""

    def __init__(self) -> None:
        self._until = time.monotonic() + _TURN_S

    async def maybe(self) -> None:
        if time.monotonic() > self._until:
            await asyncio.sleep(0)
            self._until = time.monotonic() + _TURN_S


def _sample(monitor: Monitor, pids: Mapping[RunId, int]) -> tuple[Gauges, tuple[RunGauge, ...], float | None]:
    return monitor.sample(), tuple(monitor.runs(pids)), monitor.index()
