"""What a lane's folder says, indexed: the calls it has, which one it makes, how the others went."""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainmaster.domain.ids import RunId
from trainmaster.domain.run import Exit, Fault, RunReport, RunState, Stream
from trainmaster.ports import LogFile
from trainmaster.runners import lanecall, life
from trainmaster.runners.lanepool import LaneProcess

_SPOOLS = ((Stream.STDOUT, life.STDOUT), (Stream.STDERR, life.STDERR), (Stream.PROGRESS, life.PROGRESS))


class Call:
    """One function run: its line for an inbox, its lane, and what the journal says of it."""

    __slots__ = ("at", "begins", "begun", "ends", "final", "id", "lane", "line", "report", "stopping", "told")

    def __init__(self, run: RunId, line: bytes, at: float = 0.0) -> None:
        self.id = run
        self.line = line
        self.at = at  # when it is to start; 0 for as soon as it can
        self.lane: Lane | None = None
        self.report = RunReport(run, RunState.PREPARING)
        self.begun = False
        self.told = False  # RUNNING was reported
        self.stopping = False
        self.final: RunReport | None = None  # known, but to be told only once the lane is verifiably gone
        self.begins: Sequence[int] = (0, 0, 0)  # of its output in the lane's spool files
        self.ends: Sequence[int] | None = None

    def logs(self) -> Mapping[Stream, LogFile]:
        """Its slices of the spool files; empty ones for a call that never began."""
        if self.lane is None:
            return {}
        ends = self.ends
        if ends is None and not (self.begun and self.report.exit is None):
            ends = self.begins
        path = self.lane.process.folder.path
        return {
            stream: LogFile(f"{path}/{name}", self.begins[i], None if ends is None else ends[i])
            for i, (stream, name) in enumerate(_SPOOLS)
        }


@dataclass(slots=True, eq=False)
class Lane:
    """A lane and the calls that are in it."""

    process: LaneProcess
    open: bool = True  # takes new calls
    waiting: dict[str, Call] = field(default_factory=dict)  # sent or about to be, not begun
    ahead: dict[str, float] = field(default_factory=dict)  # of the waiting, those that were not due
    by_time: list[tuple[float, str]] = field(default_factory=list)  # the same as a heap
    ripe: set[str] = field(default_factory=set)  # of the waiting, those that are due and were not
    running: Call | None = None
    begun: int = 0  # calls that ever began
    kept: int = 0  # calls not forgotten yet
    spooled: int = 0  # bytes of output so far
    unsent: list[Call] = field(default_factory=list)
    forgetting: list[str] = field(default_factory=list)
    rereading: bool = False

    @property
    def load(self) -> int:
        """Calls it has to make now: without those whose time has not come."""
        self._ripen()
        return len(self.waiting) - len(self.ahead) + (self.running is not None)

    @property
    def burst(self) -> int:
        """Calls that were promised this moment and wait: they have come due together."""
        self._ripen()
        return len(self.ripe)

    def due(self) -> list[Call]:
        """The waiting calls whose time has come, if they had one."""
        self._ripen()
        return [call for name, call in self.waiting.items() if name not in self.ahead]

    def _ripen(self) -> None:
        if self.by_time:
            now = time.time()
            while self.by_time and self.by_time[0][0] <= now:
                name = heapq.heappop(self.by_time)[1]
                if self.ahead.pop(name, None) is not None:
                    self.ripe.add(name)

    def _wait(self, call: Call) -> None:
        name = str(call.id)
        self.waiting[name] = call
        if call.at:
            self.ahead[name] = call.at
            heapq.heappush(self.by_time, (call.at, name))

    def unwait(self, name: str) -> Call | None:
        """It waits no more: it began, was withdrawn, or goes elsewhere."""
        self.ahead.pop(name, None)
        self.ripe.discard(name)
        return self.waiting.pop(name, None)

    def load_inbox(self) -> Iterator[Call]:
        """Index an adopted lane's inbox; the calls that are not forgotten."""
        forgotten = self.process.folder.forgotten()
        found: dict[str, Call] = {}
        for message in self.process.folder.inbox():
            if "run" in message:
                name = message["run"]
                if name not in forgotten:
                    call = Call(RunId.parse(name), lanecall.encode(message), message.get("at", 0.0))
                    found[name] = call
                    self._wait(call)
            elif "drop" in message and message["drop"] in found:
                call = found[message["drop"]]
                self.unwait(message["drop"])
                exit_ = Exit(None, Fault.NEVER_STARTED)
                call.report = RunReport(call.id, RunState.EXITED, None, message["t"], exit_)
            elif "moved" in message and message["moved"] in found:
                del found[message["moved"]]
                self.unwait(message["moved"])
            elif "stop" in message and message["stop"] in found:
                found[message["stop"]].stopping = True
            elif "retire" in message:
                self.open = False
        for call in found.values():
            call.lane = self
        self.kept = len(found)
        yield from found.values()

    def take(self, call: Call) -> None:
        """The call is in this lane from now on; `send` makes it so."""
        call.lane = self
        self._wait(call)
        self.unsent.append(call)
        self.kept += 1

    def lose(self, call: Call) -> None:
        """The call is not in this lane any more and never began here."""
        call.lane = None
        self.unwait(str(call.id))
        self.kept -= 1

    def send(self) -> None:
        """Send what was taken since the last time. Raises OSError, with nothing sent."""
        self.process.folder.send([call.line for call in self.unsent])
        self.unsent.clear()

    def flush_forgotten(self) -> None:
        if self.forgetting:
            if not (self.process.gone and self.kept == 0):  # else the whole folder goes
                self.process.folder.forget(self.forgetting)
            self.forgetting.clear()

    def begin(self, mark: Mapping[str, Any]) -> None:
        """A start mark of the journal."""
        self.begun += 1
        call = self.unwait(mark["s"])
        if call is not None:
            call.begun = True
            call.begins = mark["at"]
            call.report = RunReport(call.id, RunState.RUNNING, mark["t"], pid=self.process.child or None)
            self.running = call

    def conclude(self, outcome: Mapping[str, Any]) -> Call | None:
        """An outcome of the journal. Returns its call if there is something to report at once."""
        call = self.running
        if call is None or outcome["d"] != str(call.id):
            return None
        call.ends = outcome["to"]
        self.spooled = sum(outcome["to"])
        exit_ = Exit(outcome["code"], Fault(outcome["fault"]), outcome["detail"], outcome["result"])
        report = RunReport(call.id, RunState.EXITED, call.report.started_at, outcome["t"], exit_)
        if exit_.fault is Fault.STOPPED and not self.process.gone:
            call.final = report  # the lane ends itself now, and its shim whatever the function left
            return None
        call.report = report
        self.running = None
        return call

    def write_outcome(self, call: Call, exit_: Exit, ended_at: float) -> None:
        """The outcome of the call a dead lane was in, also for the next agent to read."""
        call.ends = [_size(f"{self.process.folder.path}/{name}") for _, name in _SPOOLS]
        call.report = RunReport(call.id, RunState.EXITED, call.report.started_at, ended_at, exit_)
        outcome = {
            "d": str(call.id), "t": ended_at, "code": exit_.code, "fault": exit_.fault,
            "detail": exit_.detail, "result": None, "to": call.ends,
        }  # fmt: skip
        try:
            self.process.folder.conclude(outcome)
        except OSError:
            pass  # the next agent will come to the same conclusion


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
