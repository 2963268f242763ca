"""The function runner: calls of Python functions in warm lanes.

Which lane a call is in, whether it began and how it ended is all in the lanes' folders; this class keeps an
index of them, fills the lanes evenly and settles what a dead lane leaves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from trainmaster.domain.group import GroupPlan
from trainmaster.domain.ids import NodeId, RunId
from trainmaster.domain.run import Exit, Fault, RunReport, RunSpec, RunState, Stream
from trainmaster.ports import LogFile
from trainmaster.runners import environment, lanecall
from trainmaster.runners.forkclient import ForkServer
from trainmaster.runners.hints import Hints
from trainmaster.runners.lanefolder import LaneBusy
from trainmaster.runners.laneindex import Call, Lane
from trainmaster.runners.lanepool import LanePool, LaneProcess

RETIRE_INBOX = 8 * 1024 * 1024  # bytes of calls sent to one lane process before a fresh one replaces it
RETIRE_SPOOL = 64 * 1024 * 1024  # bytes of output, likewise
_REREAD_S = 0.004  # longer than a lane's pause between hints, so what it did not hint at is found
_MANY = 16  # calls due at once in one lane: what it says of them is taken in together
_A_CALL_S = 75e-6  # three times what the shortest takes
_LONGEST_PAUSE_S = 0.25
_STEAL_S = 0.05
_RETRY_S = 0.1
_MAX_RETRY_S = 5.0


class FunctionRunner:
    """Keeps up to `lanes` lanes on one node and hands each call to the least loaded.

    `folder` is the node's; `cpus` are the cores its lanes may use, None for all.
    """

    def __init__(
        self,
        folder: str,
        node: NodeId,
        server: ForkServer,
        hints: Hints,
        on_report: Callable[[RunReport], None],
        cpus: Sequence[int] | None = None,
        lanes: int = 1,
    ) -> None:
        self._node = node
        self._on_report = on_report
        self._count = max(lanes, 1)
        plan = lanecall.plan(environment.base(), hints.path, cpus)
        self._pool = LanePool(f"{folder}/lanes", plan, server, hints, self._news, self._gone)
        self._calls: dict[RunId, Call] = {}
        self._lanes: dict[LaneProcess, Lane] = {}
        self._dirty: dict[Lane, None] = {}
        self._homeless: list[Call] = []  # in no lane: the last one died or none could be made
        self._failures = 0  # lanes in a row that died without having begun a call
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    # --- the Runner port -----------------------------------------------------------------------------------

    async def adopt(self) -> list[RunReport]:
        found = []
        for process in self._pool.adopt():
            lane = self._lanes[process] = Lane(process)
            for call in lane.load_inbox():
                before = self._calls.get(call.id)
                if before is not None and before.begun:
                    lane.lose(call)
                    continue
                if before is not None and before.lane is not None:
                    before.lane.lose(before)  # moved from a dead lane whose disk was too full to say so
                self._calls[call.id] = call
            self._read(lane)
            found.append(lane)
        for lane in found:
            self._pool.settle(lane.process)
        living = [lane for lane in found if lane.open and not lane.process.gone]
        for lane in living[: -self._count]:
            self._retire(lane)  # there were more lanes in the life before
        return [call.report for call in self._calls.values()]

    async def launch(self, run: RunSpec) -> None:
        if run.id not in self._calls:
            call = self._calls[run.id] = Call(run.id, lanecall.line(run, self._node), run.not_before)
            self._enqueue(call)

    async def stop(self, run: RunId, grace_s: float) -> None:
        call = self._calls.get(run)
        if call is None or call.report.exit is not None:
            return
        self._flush()
        lane = call.lane
        if lane is None:
            self._homeless.remove(call)
            self._settle(call, Exit(None, Fault.NEVER_STARTED), time.time())
            return
        folder = lane.process.folder
        try:
            await folder.lock()
        except LaneBusy:
            call.stopping = True
            self._pool.kill(lane.process)  # frozen: what is in it is settled when it is gone
            return
        try:
            self._read(lane)
            if call.lane is not lane or call.report.exit is not None:
                return
            if not call.begun:
                now = time.time()
                folder.send([lanecall.encode({"drop": str(run), "t": now})])
                lane.unwait(str(run))
                self._settle(call, Exit(None, Fault.NEVER_STARTED), now)
                return
            call.stopping = True
            folder.send([lanecall.encode({"stop": str(run)})])
            if grace_s <= 0:
                self._pool.kill(lane.process)
                return
        finally:
            folder.unlock()
        self._pool.terminate(lane.process)
        self._spawn(self._kill_after(call, lane, grace_s))

    async def tell(self, run: RunId, plan: GroupPlan) -> None:
        """Functions form no groups."""

    async def forget(self, run: RunId) -> None:
        call = self._calls.get(run)
        if call is not None and call.report.exit is not None:
            del self._calls[run]
            if call.lane is not None:
                call.lane.kept -= 1
                call.lane.forgetting.append(str(run))
                self._flush_soon(call.lane)

    def logs(self, run: RunId) -> Mapping[Stream, LogFile]:
        call = self._calls.get(run)
        return call.logs() if call is not None else {}

    async def close(self, leave_running: bool) -> None:
        self._flush()
        if not leave_running:
            self._closing = True
            for call in list(self._calls.values()):
                await self.stop(call.id, 0.0)
        for task in list(self._tasks):
            task.cancel()
        for timer in self._timers.values():
            timer.cancel()
        await self._pool.close(leave_running)

    # --- filling lanes -------------------------------------------------------------------------------------

    def _enqueue(self, call: Call) -> None:
        lane = self._pick(call.at)
        if lane is None:
            call.lane = None
            self._homeless.append(call)
            self._later("house", min(_RETRY_S * 2**self._failures, _MAX_RETRY_S), self._house)
        else:
            lane.take(call)
            self._flush_soon(lane)

    def _pick(self, at: float) -> Lane | None:
        """The least loaded lane; a new one while there are fewer than allowed and none is idle.

        Calls of a time to come are dealt out evenly and wait elsewhere than the others: neither kind counts
        against the other.
        """
        best, living, least = None, 0, 0
        for lane in self._lanes.values():
            if lane.open and not lane.process.gone:
                living += 1
                load = len(lane.ahead) if at else lane.load
                if best is None or load < least:
                    best, least = lane, load
        crashing = self._failures > 0 and "house" in self._timers
        if living < self._count and (best is None or least) and not crashing:
            try:
                # Not after lanes that died before their first call: importing may be what kills them.
                process = self._pool.create(activate=not self._failures)
            except OSError:
                return best
            best = self._lanes[process] = Lane(process)
        return best

    def _house(self) -> None:
        """Try again to find lanes for the calls that have none."""
        homeless, self._homeless = self._homeless, []
        for call in homeless:
            self._enqueue(call)

    def _flush_soon(self, lane: Lane) -> None:
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._flush)
        self._dirty[lane] = None

    def _flush(self) -> None:
        """Send what was collected in this turn of the loop: one write per lane."""
        dirty, self._dirty = self._dirty, {}
        for lane in dirty:
            if lane.unsent:
                try:
                    lane.send()
                except OSError:  # a full disk: they wait outside, and nothing is lost
                    for call in lane.unsent:
                        lane.lose(call)
                        self._homeless.append(call)
                    lane.unsent.clear()
                    self._later("house", _RETRY_S, self._house)
                if lane.open and lane.process.folder.inbox_bytes > RETIRE_INBOX:
                    self._retire(lane)
            lane.flush_forgotten()
            self._delete_if_done(lane)

    def _retire(self, lane: Lane) -> None:
        """Nothing new for this lane; it ends when it has done what it has."""
        lane.open = False
        try:
            lane.process.folder.send([lanecall.encode({"retire": True})])
        except OSError:
            lane.open = True

    # --- what lanes say ------------------------------------------------------------------------------------

    def _news(self, process: LaneProcess) -> None:
        lane = self._lanes.get(process)
        if lane is None:
            return
        pause = _pause(lane)
        if not pause:
            self._read(lane)
        if not lane.rereading:
            # A lane that is busy does not hint at everything: look again until it says nothing new.
            lane.rereading = True
            asyncio.get_running_loop().call_later(max(pause, _REREAD_S), self._reread, lane)

    def _reread(self, lane: Lane) -> None:
        if lane.process.gone or self._lanes.get(lane.process) is not lane or lane.process.folder.closed:
            return
        if self._read(lane):
            asyncio.get_running_loop().call_later(max(_pause(lane), _REREAD_S), self._reread, lane)
        else:
            lane.rereading = False

    def _read(self, lane: Lane) -> bool:
        """Take in the journal's news; False if there were none."""
        lines = lane.process.folder.news()
        for line in lines:
            if "s" in line:
                lane.begin(line)
            elif "d" in line:
                call = lane.conclude(line)
                if call is not None:
                    self._on_report(call.report)
        running = lane.running
        if running is not None and running.report.pid is None and lane.process.child:
            running.report = replace(running.report, pid=lane.process.child)
            running.told = False
        if running is not None and not running.told:
            running.told = True
            self._on_report(running.report)
        if not lines:
            return False
        self._failures = 0
        if lane.open and lane.spooled > RETIRE_SPOOL:
            self._retire(lane)
        if not lane.load:
            self._later("steal", _STEAL_S, self._steal_soon)
        return True

    def _gone(self, process: LaneProcess) -> None:
        """A lane ended and nothing of it is alive: settle its call, move what it had not begun."""
        lane = self._lanes[process]
        self._read(lane)
        call, lane.running = lane.running, None
        if call is not None:
            if call.final is not None:
                call.report = call.final
            else:
                self._bury(call, lane, process.code)
            self._on_report(call.report)
        if not lane.begun and lane.waiting:
            self._failures += 1
        waiting = list(lane.waiting.values())
        lane.unsent.clear()
        if waiting and not self._closing:
            try:
                process.folder.send([lanecall.encode({"moved": str(call.id)}) for call in waiting])
            except OSError:
                pass  # then the next agent finds them in two folders, and that this lane is dead
        for call in waiting:
            lane.lose(call)
            if self._closing:
                self._settle(call, Exit(None, Fault.NEVER_STARTED), time.time())
            elif not lane.begun:
                self._homeless.append(call)
            else:
                self._enqueue(call)
        if self._homeless:
            self._later("house", min(_RETRY_S * 2**self._failures, _MAX_RETRY_S), self._house)
        self._delete_if_done(lane)

    def _bury(self, call: Call, lane: Lane, code: int | None) -> None:
        """The lane died in the middle of a call."""
        if call.stopping:
            exit_ = Exit(code, Fault.STOPPED)
        else:
            how = f"with exit code {code}" if code is not None else "and nobody saw how"
            exit_ = Exit(code, Fault.LANE_DIED, f"the lane's process ended during the call, {how}")
        lane.write_outcome(call, exit_, time.time())

    def _settle(self, call: Call, exit_: Exit, ended_at: float) -> None:
        call.report = RunReport(call.id, RunState.EXITED, call.report.started_at, ended_at, exit_)
        self._on_report(call.report)

    def _delete_if_done(self, lane: Lane) -> None:
        if lane.process.gone and lane.kept == 0 and self._lanes.pop(lane.process, None) is not None:
            self._pool.delete(lane.process)

    # --- stopping and stealing -----------------------------------------------------------------------------

    async def _kill_after(self, call: Call, lane: Lane, grace_s: float) -> None:
        await asyncio.sleep(grace_s)
        if lane.process.gone:
            return
        try:
            # Under the lock no other call can begin, so the KILL hits this one or nothing.
            await lane.process.folder.lock()
        except LaneBusy:
            self._pool.kill(lane.process)
            return
        try:
            self._read(lane)
            if lane.running is call:
                self._pool.kill(lane.process)
        finally:
            lane.process.folder.unlock()

    def _steal_soon(self) -> None:
        idle = [
            lane for lane in self._lanes.values() if lane.open and not lane.process.gone and not lane.load
        ]
        full = [
            lane
            for lane in self._lanes.values()
            if lane.load > (lane.running is not None) and not lane.process.gone
        ]
        if idle and full:
            self._spawn(self._steal(idle[0], max(full, key=lambda lane: lane.load)))

    async def _steal(self, idle: Lane, full: Lane) -> None:
        """A long call holds others up while a lane has nothing to do: move half of them over."""
        self._flush()
        folder = full.process.folder
        try:
            await folder.lock()
        except LaneBusy:
            return
        try:
            self._read(full)
            if full.process.gone or idle.process.gone or idle.load:
                return
            waiting = full.due()
            taken = waiting[len(waiting) // 2 :]
            if not taken:
                return
            folder.send([lanecall.encode({"moved": str(call.id)}) for call in taken])
        except OSError:
            return
        finally:
            folder.unlock()
        for call in taken:
            full.lose(call)
            idle.take(call)
        self._flush_soon(idle)

    # --- time ----------------------------------------------------------------------------------------------

    def _later(self, name: str, delay_s: float, action: Callable[[], None]) -> None:
        """Run `action` once after a while, however often it is asked for until then."""
        if name not in self._timers:

            def fire() -> None:
                del self._timers[name]
                action()

            self._timers[name] = asyncio.get_running_loop().call_later(delay_s, fire)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _pause(lane: Lane) -> float:
    """How long to leave a lane alone in which many calls are due now.

    What it says of the first would go to the disk at once, and with the disk and a core busy the rest would
    start late.
    """
    burst = lane.burst
    return min(burst * _A_CALL_S, _LONGEST_PAUSE_S) if burst >= _MANY else 0.0
