"""One worker of one attempt: what an agent is told, and what it reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from trainmaster.domain.ids import NodeId, RunId
from trainmaster.domain.replacing import quick, replacer
from trainmaster.domain.units import NOTHING, Resources


class RunState(StrEnum):
    LAUNCHING = "LAUNCHING"  # recorded by us, not yet confirmed by the agent
    PREPARING = "PREPARING"  # the agent pulls the image or waits for a lane
    RUNNING = "RUNNING"
    EXITED = "EXITED"  # the outcome is known and nothing of it is alive
    LOST = "LOST"  # it is gone and nobody saw how


_OVER = (RunState.EXITED, RunState.LOST)


class Fault(StrEnum):
    """Why a run ended other than by its own exit code."""

    NONE = ""
    COMMAND_NOT_FOUND = "command-not-found"
    DIRECTORY_MISSING = "directory-missing"
    IMAGE_NOT_FOUND = "image-not-found"
    VOLUME_REFUSED = "volume-refused"
    NO_ENGINE = "no-container-engine"
    START_FAILED = "start-failed"
    OUT_OF_MEMORY = "out-of-memory"
    LEASE_EXPIRED = "lease-expired"
    STOPPED = "stopped"  # we asked for it
    NEVER_STARTED = "never-started"  # stopped before it began
    FUNCTION_RAISED = "function-raised"
    LANE_DIED = "lane-died"
    BAD_OUTPUT = "bad-output"  # it ended well, but what it hands on cannot be read
    VANISHED = "vanished"


@quick
@dataclass(frozen=True, slots=True)
class Exit:
    """How a run ended. `code` is the exit status, or 128 + signal as shells have it; None if unknown."""

    code: int | None
    fault: Fault = Fault.NONE
    detail: str = ""
    result: str | None = None  # JSON, functions only

    @property
    def ok(self) -> bool:
        return self.code == 0 and self.fault is Fault.NONE


@quick
@dataclass(frozen=True, slots=True)
class Run:
    """A worker as the scheduler knows it."""

    id: RunId
    node: NodeId
    resources: Resources
    state: RunState = RunState.LAUNCHING
    devices: tuple[int, ...] = ()
    launched_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    exit: Exit | None = None
    stopping: bool = False

    @property
    def live(self) -> bool:
        return self.state not in _OVER


@quick
@dataclass(frozen=True, slots=True)
class RunSpec:
    """All an agent needs to start one worker. JSON-ready through `to_dict`."""

    id: RunId
    kind: str
    command: tuple[str, ...] = ()
    function: str = ""
    arguments: str = "null"
    image: str = ""
    directory: str = ""
    volumes: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    network: str = "none"
    resources: Resources = NOTHING
    devices: tuple[int, ...] = ()
    grace_s: float = 10.0
    priority: tuple[int, float] = (0, 0.0)  # agents start higher ones first, as DTES's executors do
    world_size: int = 1
    warm: bool = False  # siblings are likely to follow: its interpreter is worth keeping loaded
    lease_s: float | None = None  # None: a silent service kills nothing
    not_before: float = 0.0  # a lane holds the call until then, seconds since the epoch

    def to_dict(self) -> dict[str, Any]:
        # Written for every launch; `asdict` copies deeply and takes ten times as long.
        data = {name: getattr(self, name) for name in self.__slots__}
        data["id"] = str(self.id)
        data["resources"] = asdict(self.resources)
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RunSpec:
        values = dict(data)
        values["id"] = RunId.parse(values["id"])
        values["resources"] = Resources(**values["resources"])
        for name in ("command", "volumes", "devices"):
            values[name] = tuple(values[name])
        values["environment"] = tuple((k, v) for k, v in values["environment"])
        values["priority"] = tuple(values["priority"])
        return cls(**values)


@quick
@dataclass(frozen=True, slots=True)
class RunReport:
    """What an agent says of one run. Level-triggered: it says how things are, not what changed."""

    id: RunId
    state: RunState
    started_at: float | None = None
    ended_at: float | None = None
    exit: Exit | None = None
    pid: int | None = None


class Stream(StrEnum):
    """The kinds of log content, as in DTES's log table; PROGRESS is what training code reports."""

    STDOUT = "STDOUT"
    STDERR = "STDERR"
    RAW = "RAW"
    PROGRESS = "PROGRESS"


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Bytes of one stream of one run, at `offset` from its beginning; `time` is when the agent read them.

    `last`: the run has ended and nothing follows. Every process or container run that began ends STDOUT and
    STDERR (or RAW alone, where it writes to a terminal) so, even if nothing was written: a log is complete
    once all are ended.
    """

    run: RunId
    stream: Stream
    offset: int
    data: bytes
    time: float
    last: bool = False


@dataclass(frozen=True, slots=True)
class RunGauge:
    """CPU (cores in use) and resident memory of one run at one moment."""

    run: RunId
    cpu: float
    memory: int


_replaced = replacer(Run)


def settled(run: Run, report: RunReport) -> Run:
    """The run after a report of its own attempt."""
    return _replaced(
        run,
        state=report.state,
        started_at=report.started_at if report.started_at is not None else run.started_at,
        ended_at=report.ended_at if report.ended_at is not None else run.ended_at,
        exit=report.exit if report.exit is not None else run.exit,
    )
