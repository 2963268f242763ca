"""The shapes of workflows and their runs in answers."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from pydantic import BaseModel, Field

from trainmaster.domain.workflow import Stage, WorkflowSpec
from trainmaster.domain.workflow_run import PartEnd, StageState, WorkflowRun
from trainmaster.ports import WorkflowRow
from trainmaster.scheduler.explain_stage import explain_stage, letters, stage_state
from trainmaster.scheduler.state import State
from trainmaster.scheduler.unfolding import Unfolding
from trainmaster.service.workflows import PlanReport

_NAMES = {state.letter: state.value for state in StageState}


class ParameterOut(BaseModel):
    name: str
    type: str
    default: Any
    required: bool


class StageDefinitionOut(BaseModel):
    name: str
    after: list[str]
    when: str
    kind: str = Field(description="process, container, function or workflow")
    what: str = Field(description="the command, function, image or workflow")
    each: Any
    shards: Any
    broadcast: bool
    emits: bool
    at_once: int | None
    allow_failure: bool

    @classmethod
    def of(cls, stage: Stage) -> StageDefinitionOut:
        task = stage.task
        what = stage.workflow if task is None else " ".join(task.command) or task.function or task.image
        return cls(
            name=stage.name,
            after=list(stage.after),
            when=stage.when,
            kind="workflow" if task is None else task.kind,
            what=what[:500],
            each=None if stage.each is None else json.loads(stage.each),
            shards=None if stage.shards is None else json.loads(stage.shards),
            broadcast=stage.broadcast,
            emits=stage.emits,
            at_once=stage.at_once,
            allow_failure=stage.allow_failure,
        )


class WorkflowOut(BaseModel):
    """A version of a workflow, without its stages."""

    name: str
    version: int
    versions: int = Field(description="how many there are; in a list of them 1")
    owner: str
    created_at: float
    description: str
    plan: str
    timeout_s: float | None
    stage_count: int
    parameters: list[ParameterOut]

    @classmethod
    def of(cls, row: WorkflowRow) -> WorkflowOut:
        return cls(**_definition(row))


class WorkflowDetailOut(WorkflowOut):
    stages: list[StageDefinitionOut]
    outputs: dict[str, Any]

    @classmethod
    def of(cls, row: WorkflowRow) -> WorkflowDetailOut:
        outputs = {name: json.loads(text) for name, text in row.spec.outputs}
        stages = [StageDefinitionOut.of(stage) for stage in row.spec.stages]
        return cls(**_definition(row), stages=stages, outputs=outputs)


def _definition(row: WorkflowRow) -> dict[str, Any]:
    spec: WorkflowSpec = row.spec
    return {
        "name": row.name,
        "version": row.version,
        "versions": row.versions,
        "owner": row.owner,
        "created_at": row.created_at,
        "description": spec.description,
        "plan": spec.plan,
        "timeout_s": spec.timeout_s,
        "stage_count": len(spec.stages),
        "parameters": [
            ParameterOut(
                name=p.name,
                type=p.type,
                default=None if p.default is None else json.loads(p.default),
                required=p.default is None,
            )
            for p in spec.parameters
        ],
    }


class PlaceOut(BaseModel):
    """Where in another run a run belongs."""

    run: str
    stage: str
    key: str


class WorkflowRunOut(BaseModel):
    """A run as it is now. `counts`: stages by state. `parts`: its tasks so far; more may be found later."""

    id: str
    workflow: str
    version: int
    owner: str
    state: str
    stopping: str
    reason: str
    round: int = Field(description="how often it was resumed")
    parameters: dict[str, Any]
    outputs: dict[str, Any]
    parent: PlaceOut | None
    created_at: float
    ended_at: float | None
    ran_s: float
    stage_count: int
    counts: dict[str, int]
    parts: int | None = Field(description="tasks known so far; null once the run has ended")
    parts_ended: int | None
    planned: bool
    forecast_s: float | None = Field(description="how long its plan says it takes")
    begun_at: float | None = Field(description="null while it waits for its time, or for a plan: see reason")
    trigger: str | None = Field(description="whose firing it is")
    due: float | None = Field(description="the due time of that firing")

    @classmethod
    def of(
        cls, state: State, run: WorkflowRun, now: float, unfolding: Unfolding | None = None
    ) -> WorkflowRunOut:
        told = letters(state, unfolding) if unfolding is not None else run.stages
        parent = run.parent
        return cls(
            id=run.id,
            workflow=run.workflow,
            version=run.version,
            owner=run.owner,
            state=run.state,
            stopping=run.stopping,
            reason=run.reason,
            round=run.round,
            parameters=json.loads(run.parameters),
            outputs=json.loads(run.outputs),
            parent=None if parent is None else PlaceOut(run=parent.run, stage=parent.stage, key=parent.key),
            created_at=run.created_at,
            ended_at=run.ended_at,
            ran_s=0.0 if run.begun_at is None else max((run.ended_at or now) - run.begun_at, 0.0),
            stage_count=len(told),
            counts={_NAMES[letter]: count for letter, count in Counter(told).items()},
            parts=None if unfolding is None else unfolding.parts_made,
            parts_ended=None if unfolding is None else unfolding.parts_ended,
            planned=bool(run.plan),
            forecast_s=run.forecast_s,
            begun_at=run.begun_at,
            trigger=run.trigger or None,
            due=None if run.due_ms is None else run.due_ms / 1000,
        )


class WorkflowRunPage(BaseModel):
    runs: list[WorkflowRunOut]
    next: int | None = Field(description="pass as `before` for the next page; null at the end")


class StageOut(BaseModel):
    """A stage of a run. `parts`: its tasks so far."""

    name: str
    state: str
    after: list[str]
    when: str
    why: str
    parts: int
    ended: int
    failed: int
    open: int
    task: str | None = Field(description="the id of its task, if it has one only and that is open")
    started_at: float | None
    ended_at: float | None

    @classmethod
    def of(cls, state: State, unfolding: Unfolding, number: int) -> StageOut:
        at, stage = unfolding.stages[number], unfolding.stage(number)
        return cls(
            name=stage.name,
            state=stage_state(state, unfolding, number),
            after=list(stage.after),
            when=stage.when,
            why=explain_stage(state, unfolding, number),
            parts=at.made,
            ended=at.ended,
            failed=at.failed,
            open=len(at.open),
            task=at.open.get("") if len(at.open) == 1 else None,
            started_at=at.began,
            ended_at=at.over if at.state not in (StageState.RUNNING, StageState.READY) else None,
        )


class StagePage(BaseModel):
    stages: list[StageOut]
    next: int | None = Field(description="pass as `after` for the next page; null at the end")


class PartOut(BaseModel):
    """A task of a stage, or a run of a workflow in it. `key` names it within the stage."""

    id: str
    key: str
    index: int
    round: int
    state: str
    result: Any
    started_at: float | None
    ended_at: float | None

    @classmethod
    def of(cls, end: PartEnd) -> PartOut:
        return cls(
            id=end.id,
            key=end.part.key,
            index=end.part.index,
            round=end.part.round,
            state=end.state,
            result=None if end.result is None else json.loads(end.result),
            started_at=end.started_at,
            ended_at=end.ended_at,
        )


class GraphOut(BaseModel):
    """A version drawn in layers. Lists by stage, in the order of the definition."""

    workflow: str
    version: int
    stages: list[str]
    layer: list[int] = Field(description="from 0 at the left")
    place: list[float] = Field(description="from 0 at the top, in rows")
    edges: list[int] = Field(description="pairs of stage numbers, one after the other: from, to, from, to")


class LettersOut(BaseModel):
    """The state of every stage as a letter: . waiting, q ready, r running, s succeeded, f failed, x skipped,
    c cancelled."""

    id: str
    state: str
    round: int
    letters: str


class GridRunOut(BaseModel):
    """A run as a column of the grid. `letters` are by the stages of the grid; a space where it has none."""

    id: str
    version: int
    state: str
    created_at: float
    ran_s: float
    letters: str


class GridOut(BaseModel):
    """The latest runs of a workflow against the stages of its latest version."""

    workflow: str
    version: int
    stages: list[str]
    runs: list[GridRunOut] = Field(description="oldest first")


class PlanRowOut(BaseModel):
    """A part as planned, and as it was. Seconds from the run's beginning."""

    part: str
    planned_node: str
    planned_start_s: float
    planned_finish_s: float
    node: str | None
    start_s: float | None
    finish_s: float | None


class PlanReportOut(BaseModel):
    """A run against its plan. `stray_s`: mean distance of the real from the planned starts."""

    run: str
    forecast_s: float | None = Field(description="how long the plan says it takes; null without a plan")
    took_s: float | None = Field(description="null until it has ended")
    stray_s: float | None
    on_planned_node: float | None = Field(description="share of the parts, 0..1")
    parts: list[PlanRowOut]

    @classmethod
    def of(cls, report: PlanReport) -> PlanReportOut:
        run = report.run
        return cls(
            run=run.id,
            forecast_s=run.forecast_s,
            took_s=None if run.ended_at is None else run.ended_at - run.created_at,
            stray_s=report.stray_s,
            on_planned_node=report.on_planned_node,
            parts=[
                PlanRowOut(
                    part=row.name,
                    planned_node=row.planned.node,
                    planned_start_s=row.planned.start_s,
                    planned_finish_s=row.planned.finish_s,
                    node=row.node,
                    start_s=row.start_s,
                    finish_s=row.finish_s,
                )
                for row in report.rows
            ],
        )


class StageDetailOut(StageOut):
    definition: StageDefinitionOut
    tasks: list[PartOut]
    next: int | None = Field(description="pass as `after` for more of its tasks; null at the end")
