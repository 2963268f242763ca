"""What the service answers about workflows. See `types` for units."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


@dataclass(frozen=True, slots=True)
class WorkflowParameter:
    name: str
    type: str
    default: Any
    required: bool


@dataclass(frozen=True, slots=True)
class StageDefinition:
    """A stage as it was written; `what` is its command, function, image or workflow."""

    name: str
    after: list[str]
    when: str
    kind: str
    what: str
    each: Any = None
    shards: Any = None
    broadcast: bool = False
    emits: bool = False
    at_once: int | None = None
    allow_failure: bool = False


@dataclass(frozen=True, slots=True)
class Workflow:
    """A version of a workflow. `stages` and `outputs` are empty in lists."""

    name: str
    version: int
    versions: int
    owner: str
    created_at: float
    description: str
    plan: str
    timeout_s: float | None
    stage_count: int
    parameters: list[WorkflowParameter]
    stages: list[StageDefinition] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Where in another run a run belongs."""

    run: str
    stage: str
    key: str


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """A run as it was when the service answered. `counts`: stages by state; `parts`: tasks known so far."""

    id: str
    workflow: str
    version: int
    owner: str
    state: str
    stopping: str
    reason: str
    round: int
    parameters: dict[str, Any]
    outputs: dict[str, Any]
    parent: RunPlace | None
    created_at: float
    ended_at: float | None
    ran_s: float
    stage_count: int
    counts: dict[str, int]
    parts: int | None = None
    parts_ended: int | None = None
    planned: bool = False
    forecast_s: float | None = None
    begun_at: float | None = None
    trigger: str | None = None
    due: float | None = None

    @property
    def ended(self) -> bool:
        return self.state in _ENDED

    @property
    def ok(self) -> bool:
        """It has ended, and well."""
        return self.state == "SUCCEEDED"


@dataclass(frozen=True, slots=True)
class WorkflowRunPage:
    """`next`: pass as `before` for the next page; None at the end."""

    runs: list[WorkflowRun]
    next: int | None


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a run; `why` it is where it is."""

    name: str
    state: str
    after: list[str]
    when: str
    why: str
    parts: int
    ended: int
    failed: int
    open: int
    task: str | None
    started_at: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class StagePage:
    """`next`: pass as `after` for the next page; None at the end."""

    stages: list[Stage]
    next: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """A task of a stage, or a run of a workflow in it."""

    id: str
    key: str
    index: int
    round: int
    state: str
    result: Any
    started_at: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A part as planned, and as it was. Seconds from the run's beginning."""

    part: str
    planned_node: str
    planned_start_s: float
    planned_finish_s: float
    node: str | None
    start_s: float | None
    finish_s: float | None


@dataclass(frozen=True, slots=True)
class PlanReport:
    """A run against its plan. `stray_s`: mean distance of the real from the planned starts."""

    run: str
    forecast_s: float | None
    took_s: float | None
    stray_s: float | None
    on_planned_node: float | None
    parts: list[PlanRow]


@dataclass(frozen=True, slots=True)
class StageDetail:
    """A stage with its tasks. `next`: pass as `after` for more of them; None at the end."""

    name: str
    state: str
    after: list[str]
    when: str
    why: str
    parts: int
    ended: int
    failed: int
    open: int
    task: str | None
    started_at: float | None
    ended_at: float | None
    definition: StageDefinition
    tasks: list[Part]
    next: int | None


# Fields that hold values of ours, as in `build`.
NESTED: dict[type, dict[str, type]] = {
    Workflow: {"parameters": WorkflowParameter, "stages": StageDefinition},
    WorkflowRun: {"parent": RunPlace},
    WorkflowRunPage: {"runs": WorkflowRun},
    PlanReport: {"parts": PlanRow},
    StagePage: {"stages": Stage},
    StageDetail: {"definition": StageDefinition, "tasks": Part},
}
