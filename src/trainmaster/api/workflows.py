"""Workflows: define, run, look, change."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response

from trainmaster.api.deps import Serving, Submitter, Viewer
from trainmaster.api.graph_layout import layout
from trainmaster.api.tasks import Cursor
from trainmaster.api.workflow_answers import (
    GraphOut,
    GridOut,
    GridRunOut,
    LettersOut,
    PartOut,
    PlanReportOut,
    StageDefinitionOut,
    StageDetailOut,
    StageOut,
    StagePage,
    WorkflowDetailOut,
    WorkflowOut,
    WorkflowRunOut,
    WorkflowRunPage,
)
from trainmaster.api.workflow_requests import MOST, RunIn, WorkflowIn
from trainmaster.domain.errors import UnknownStage
from trainmaster.domain.ids import WorkflowRunId
from trainmaster.domain.workflow_run import StageState, WorkflowRun, WorkflowState
from trainmaster.scheduler.explain_stage import letters, stage_state
from trainmaster.service.service import Service

router = APIRouter(prefix="/v1", tags=["workflows"])

Version = Annotated[int | None, Query(ge=1, le=MOST)]


async def run_in_path(run: str, service: Serving) -> WorkflowRunId:
    """Accepts an unambiguous beginning of an id."""
    return await service.workflows.resolve(run)


RunInPath = Annotated[WorkflowRunId, Depends(run_in_path)]


async def own_run(run: RunInPath, service: Serving, person: Submitter) -> WorkflowRunId:
    """The run in the path, which the person may change."""
    person.must_own((await service.workflows.run(run)).owner)
    return run


OwnRun = Annotated[WorkflowRunId, Depends(own_run)]


def run_out(service: Service, run: WorkflowRun) -> WorkflowRunOut:
    live = service.state.unfoldings.get(run.id)
    return WorkflowRunOut.of(service.state, live.run if live else run, service.clock.now(), live)


# --- definitions -------------------------------------------------------------------------------------------


@router.post("/workflows", status_code=201, summary="Define a workflow, or a new version of it")
async def define(body: WorkflowIn, service: Serving, person: Submitter) -> WorkflowDetailOut:
    """The same definition again is no new version. Runs keep the version they began with."""
    spec = await asyncio.to_thread(body.spec)  # thousands of stages take a while
    return WorkflowDetailOut.of(await service.workflows.register(spec, person.name))


@router.get("/workflows", summary="The latest version of every workflow")
async def workflows(service: Serving, person: Viewer) -> list[WorkflowOut]:
    return [WorkflowOut.of(row) for row in await service.store.workflows()]


@router.get("/workflows/{workflow}", summary="One workflow with its stages")
async def workflow(
    workflow: str, service: Serving, person: Viewer, version: Version = None
) -> WorkflowDetailOut:
    return WorkflowDetailOut.of(await service.workflows.definition(workflow, version))


@router.get("/workflows/{workflow}/versions", summary="Its versions, newest first")
async def versions(workflow: str, service: Serving, person: Viewer) -> list[WorkflowOut]:
    await service.workflows.definition(workflow)
    return [WorkflowOut.of(row) for row in await service.store.workflows(workflow)]


@router.get("/workflows/{workflow}/graph", summary="Its stages, laid out to be drawn")
async def graph(workflow: str, service: Serving, person: Viewer, version: Version = None) -> GraphOut:
    row = await service.workflows.definition(workflow, version)
    made = await service.workflows.graph(row.name, row.version)
    layer, place = await asyncio.to_thread(layout, made)
    edges = [end for number, needs in enumerate(made.before) for need in needs for end in (need, number)]
    names = [stage.name for stage in made.spec.stages]
    return GraphOut(
        workflow=row.name, version=row.version, stages=names, layer=layer, place=place, edges=edges
    )


@router.get("/workflows/{workflow}/grid", summary="Its latest runs against its stages")
async def grid(
    workflow: str, service: Serving, person: Viewer, runs: Annotated[int, Query(ge=1, le=100)] = 25
) -> GridOut:
    row = await service.workflows.definition(workflow)
    names = [stage.name for stage in row.spec.stages]
    found, _ = await service.store.workflow_runs(workflow, (), runs)
    columns = []
    for run in reversed(found):
        live = service.state.unfoldings.get(run.id)
        told = letters(service.state, live) if live is not None else run.stages
        if run.version != row.version:
            at = (await service.workflows.graph(run.workflow, run.version)).at
            told = "".join(told[at[name]] if at.get(name, len(told)) < len(told) else " " for name in names)
        out = run_out(service, run)
        columns.append(
            GridRunOut(
                id=run.id,
                version=run.version,
                state=out.state,
                created_at=run.created_at,
                ran_s=out.ran_s,
                letters=told,
            )
        )
    return GridOut(workflow=row.name, version=row.version, stages=names, runs=columns)


# --- runs --------------------------------------------------------------------------------------------------


@router.post("/workflow-runs", status_code=201, summary="Run a workflow")
async def start(
    body: RunIn,
    service: Serving,
    person: Submitter,
    response: Response,
    idempotency_key: Annotated[str | None, Header(max_length=200, min_length=1)] = None,
) -> WorkflowRunOut:
    """Durable once answered. With an `Idempotency-Key`, repeating the request answers with the same run."""
    digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
    run = await service.workflows.start(
        body.workflow, body.parameters, person.name, body.version, idempotency_key, digest
    )
    response.headers["Location"] = f"/v1/workflow-runs/{run.id}"
    return run_out(service, run)


@router.get("/workflow-runs", summary="List runs, newest first, without those inside others")
async def runs(
    service: Serving,
    person: Viewer,
    workflow: Annotated[str | None, Query(max_length=100)] = None,
    state: Annotated[list[WorkflowState] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Cursor = None,
) -> WorkflowRunPage:
    found, more = await service.store.workflow_runs(workflow, tuple(state or ()), limit, before)
    return WorkflowRunPage(runs=[run_out(service, run) for run in found], next=more)


@router.get("/workflow-runs/{run}", summary="One run")
async def run(run: RunInPath, service: Serving, person: Viewer) -> WorkflowRunOut:
    return run_out(service, await service.workflows.run(run))


@router.post("/workflow-runs/{run}/cancel", summary="End every task of a run")
async def cancel(run: OwnRun, service: Serving, person: Submitter) -> WorkflowRunOut:
    """CANCELLED once all of them are verifiably gone."""
    return run_out(service, await service.workflows.cancel(run, person.name))


@router.post("/workflow-runs/{run}/resume", summary="Do again what has not succeeded")
async def resume(run: OwnRun, service: Serving, person: Submitter) -> WorkflowRunOut:
    """And all that follows it. What succeeded, each part of it, stays as it is."""
    return run_out(service, await service.workflows.resume(run, person.name))


@router.get("/workflow-runs/{run}/letters", summary="The state of every stage as a letter")
async def states(run: RunInPath, service: Serving, person: Viewer) -> LettersOut:
    """For views of thousands of stages; the order is that of the definition."""
    told = await service.workflows.progress(run)
    shown = letters(service.state, told.unfolding)
    return LettersOut(id=run, state=told.run.state, round=told.run.round, letters=shown)


@router.get("/workflow-runs/{run}/plan", summary="Its static plan against what became of it")
async def plan(run: RunInPath, service: Serving, person: Viewer) -> PlanReportOut:
    return PlanReportOut.of(await service.workflows.plan_report(run))


@router.get("/workflow-runs/{run}/stages", summary="Its stages, in the order of the definition")
async def stages(
    run: RunInPath,
    service: Serving,
    person: Viewer,
    after: Annotated[int, Query(ge=0, le=MOST)] = 0,
    limit: Annotated[int, Query(ge=1, le=2000)] = 500,
    state: Annotated[list[StageState] | None, Query()] = None,
) -> StagePage:
    unfolding = (await service.workflows.progress(run)).unfolding
    shown: list[StageOut] = []
    for number in range(after, len(unfolding.stages)):
        if state and stage_state(service.state, unfolding, number) not in state:
            continue
        if len(shown) == limit:
            return StagePage(stages=shown, next=number)
        shown.append(StageOut.of(service.state, unfolding, number))
    return StagePage(stages=shown, next=None)


@router.get("/workflow-runs/{run}/stages/{stage}", summary="One stage of a run, with its tasks")
async def stage(
    run: RunInPath,
    stage: str,
    service: Serving,
    person: Viewer,
    after: Annotated[int, Query(ge=0, le=MOST)] = 0,
    limit: Annotated[int, Query(ge=1, le=2000)] = 200,
) -> StageDetailOut:
    unfolding = (await service.workflows.progress(run)).unfolding
    number = unfolding.graph.at.get(stage)
    if number is None:
        remedy = f"see its stages with `trainmaster workflow show {run}`"
        raise UnknownStage(f"{run} has no stage {stage}", remedy=remedy, stage=stage)
    parts = await service.workflows.parts(run, stage)
    return StageDetailOut(
        **StageOut.of(service.state, unfolding, number).model_dump(),
        definition=StageDefinitionOut.of(unfolding.stage(number)),
        tasks=[PartOut.of(end) for end in parts[after : after + limit]],
        next=after + limit if after + limit < len(parts) else None,
    )
