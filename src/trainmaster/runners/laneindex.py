"""What a lane's folder says, indexed: the calls it has, which one it makes, how the others went."""

from __future__ import annotations

import os
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

    __slots__ = ("begins", "begun", "ends", "final", "id", "lane", "line", "report", "stopping", "told")

    def __init__(self, run: RunId, line: bytes) -> None:
        self.id = run
        self.line = line
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
    running: Call | None = None
    begun: int = 0  # calls that ever began
    kept: int = 0  # calls not forgotten yet
    spooled: int = 0  # bytes of output so far
    unsent: list[Call] = field(default_factory=list)
    forgetting: list[str] = field(default_factory=list)
    rereading: bool = False

    @property
    def load(self) -> int:
        return len(self.waiting) + (self.running is not None)

    def load_inbox(self) -> Iterator[Call]:
        """Index an adopted lane's inbox; the calls that are not forgotten."""
        forgotten = self.process.folder.forgotten()
        found: dict[str, Call] = {}
        for message in self.process.folder.inbox():
            if "run" in message:
                name = message["run"]
                if name not in forgotten:
                    call = found[name] = Call(RunId.parse(name), lanecall.encode(message))
                    self.waiting[name] = call
            elif "drop" in message and message["drop"] in found:
                call = self.waiting.pop(message["drop"])
                exit_ = Exit(None, Fault.NEVER_STARTED)
                call.report = RunReport(call.id, RunState.EXITED, None, message["t"], exit_)
            elif "moved" in message and message["moved"] in found:
                del found[message["moved"]], self.waiting[message["moved"]]
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
        self.waiting[str(call.id)] = call
        self.unsent.append(call)
        self.kept += 1

    def lose(self, call: Call) -> None:
        """The call is not in this lane any more and never began here."""
        call.lane = None
        del self.waiting[str(call.id)]
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
        call = self.waiting.pop(mark["s"], None)
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
