"""One run of a workflow: what is stored of it, and what its tasks have come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from trainmaster.domain.ids import NodeId, TaskId, TriggerId, UserName, WorkflowRunId
from trainmaster.domain.task import NO_TRIGGER, Part


class WorkflowState(StrEnum):
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class StageState(StrEnum):
    """Where a stage of a run is. `letter` stands for it where thousands are told at once."""

    WAITING = "WAITING"  # for stages before it
    READY = "READY"  # none of its tasks runs yet
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"  # its condition did not hold
    CANCELLED = "CANCELLED"

    @property
    def letter(self) -> str:
        return _LETTERS[self]


_LETTERS = {
    StageState.WAITING: ".",
    StageState.READY: "q",
    StageState.RUNNING: "r",
    StageState.SUCCEEDED: "s",
    StageState.FAILED: "f",
    StageState.SKIPPED: "x",
    StageState.CANCELLED: "c",
}
STAGE_ENDED = frozenset({StageState.SUCCEEDED, StageState.FAILED, StageState.SKIPPED, StageState.CANCELLED})


@dataclass(frozen=True, slots=True)
class PlannedPart:
    """Where a static plan puts a part: its node, its turn there, and seconds from the run's beginning."""

    node: NodeId
    position: int
    start_s: float
    finish_s: float


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """The row of a run. It changes when the run is made, begins, is cancelled, ends or is resumed, and not in
    between: how far it has come follows from its tasks.

    `parameters`, `outputs`: JSON objects. `pins`: the version of every workflow it contains, its own too.
    `round`: how often it was resumed; `since`: of each stage (empty: 0) the first round whose parts count.
    `parent`: the part of another run that it is. `stages`: once it has ended, the letter of every stage in
    the order of the definition. `plan`: by stage, or `stage[key]`, if it was planned; its times count from
    `begun_at`, before which nothing of the run is submitted: it waits for `start_at`, or for its plan.
    `trigger`, `due_ms`: of the firing that it is.
    """

    id: WorkflowRunId
    seq: int
    workflow: str
    version: int
    owner: UserName
    created_at: float
    state: WorkflowState = WorkflowState.RUNNING
    stopping: str = ""  # why its tasks are being ended
    parameters: str = "{}"
    outputs: str = "{}"
    pins: tuple[tuple[str, int], ...] = ()
    round: int = 0
    since: tuple[int, ...] = ()
    parent: Part | None = None
    depth: int = 0
    ended_at: float | None = None
    reason: str = ""
    stages: str = ""
    plan: Mapping[str, PlannedPart] = field(default_factory=dict)
    forecast_s: float | None = None  # how long the plan says it takes
    begun_at: float | None = None
    start_at: float | None = None
    trigger: TriggerId = NO_TRIGGER
    due_ms: int | None = None

    @property
    def ended(self) -> bool:
        return self.ended_at is not None


@dataclass(frozen=True, slots=True)
class PartEnd:
    """What became of one part: a task, or a run of another workflow. `state` of one that lives is RUNNING.

    `result`: JSON that it returned.
    """

    part: Part
    id: TaskId | WorkflowRunId
    state: StageState
    result: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
