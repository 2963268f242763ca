"""A few words to write workflows in for tests of the scheduler."""

from __future__ import annotations

import json
from typing import Any

from tests.scenario import World, spec
from trainmaster.domain.events import WorkflowOpened
from trainmaster.domain.ids import TaskId, UserName, WorkflowRunId, workflow_run_id
from trainmaster.domain.run import Exit, RunState
from trainmaster.domain.task import TaskKind, TaskSpec
from trainmaster.domain.units import Resources
from trainmaster.domain.workflow import (
    Parameter,
    Stage,
    ValueType,
    When,
    WorkflowSpec,
    validate,
    with_defaults,
)
from trainmaster.domain.workflow_run import PartEnd, StageState, WorkflowRun
from trainmaster.scheduler.unfolding import Unfolding

ME = UserName("me")


def function(name: str = "f", **fields: Any) -> TaskSpec:
    fields.setdefault("resources", Resources(lanes=1))
    if not isinstance(arguments := fields.pop("arguments", None), str):
        arguments = json.dumps(arguments)
    return spec(name, kind=TaskKind.FUNCTION, function="m:f", command=(), arguments=arguments, **fields)


def stage(name: str, *after: str, **fields: Any) -> Stage:
    """`each`, `shards` and `parameters` as they would stand in a file; what is left describes the task."""
    own = {key: fields.pop(key) for key in list(fields) if key in Stage.__dataclass_fields__}
    for key in ("each", "shards", "parameters"):
        if key in own:
            own[key] = json.dumps(own[key])
    if "when" in own:
        own["when"] = When(own["when"])
    if "workflow" not in own:
        own["task"] = function(name, **fields)
    return Stage(name, after=after, **own)


def workflow(*stages: Stage, name: str = "flow", **fields: Any) -> WorkflowSpec:
    parameters = tuple(
        Parameter(key, ValueType.of(value), json.dumps(value))
        for key, value in fields.pop("parameters", {}).items()
    )
    outputs = tuple((key, json.dumps(value)) for key, value in fields.pop("outputs", {}).items())
    return WorkflowSpec(name, stages, parameters, outputs, **fields)


class Flows:
    """A `World` with workflows in it. Results are handed to parts by name when they end."""

    def __init__(self, world: World | None = None, *others: WorkflowSpec) -> None:
        self.world = world or World({"n1": Resources(lanes=64, cpu_m=8000)})
        self.library = {other.name: validate(other) for other in others}
        self.rows: dict[WorkflowRunId, WorkflowRun] = {}
        self._count = 0

    def open(self, flow: WorkflowSpec, plan: Any = None, **parameters: Any) -> WorkflowRunId:
        library = {**self.library, flow.name: validate(flow)}
        self._count += 1
        run = WorkflowRun(
            id=workflow_run_id(self._count),
            seq=0,
            workflow=flow.name,
            version=1,
            owner=ME,
            created_at=self.world.now,
            parameters=json.dumps(with_defaults(flow, parameters)),
            pins=tuple((name, 1) for name in library),
            plan=plan or {},
        )
        self.do(WorkflowOpened(run, library, fresh=True, by=ME))
        return run.id

    def do(self, *events: Any, after: float = 0.0) -> None:
        outcome = self.world.do(*events, after=after)
        self._keep(outcome.workflow_runs)
        for error in outcome.refused.values():
            raise error

    def _keep(self, rows: dict[WorkflowRunId, WorkflowRun]) -> None:
        for run in rows.values():
            known = self.rows.get(run.id)
            assert known is None or not known.ended or run.round > known.round, "a run ended twice"
            self.rows[run.id] = run

    def unfolding(self, run: WorkflowRunId) -> Unfolding:
        return self.world.state.unfoldings[run]

    def live(self, run: WorkflowRunId | None = None) -> dict[str, TaskId]:
        """The live tasks of a run (or of all) by name."""
        return {
            task.spec.name: task.id
            for task in self.world.state.tasks.values()
            if task.spec.part is not None and run in (None, task.spec.part.run)
        }

    def end(self, name: str, result: Any = None, code: int = 0, run: WorkflowRunId | None = None) -> None:
        """The task of this name ends."""
        self.end_task(self.live(run)[name], result, code)

    def end_task(self, task: TaskId, result: Any = None, code: int = 0) -> None:
        text = None if result is None else json.dumps(result)
        for at in list(self.world.state.runs[task].values()):
            outcome = self.world.report(at.id, RunState.EXITED, Exit(code, result=text))
            self._keep(outcome.workflow_runs)

    def finish(self, **results: Any) -> None:
        """Everything live ends well, again and again."""
        for _ in range(1000):
            live = self.live()
            if not live:
                return
            for name, task in live.items():
                if task in self.world.state.runs:
                    self.end_task(task, results.get(name))
        raise AssertionError("it never ends")

    def argument(self, name: str) -> Any:
        return json.loads(self.world.state.tasks[self.live()[name]].spec.arguments)

    def recorded(self, run: WorkflowRunId) -> tuple[PartEnd, ...]:
        """What a store would know of the parts of a run."""
        states = {
            "SUCCEEDED": StageState.SUCCEEDED,
            "FAILED": StageState.FAILED,
            "CANCELLED": StageState.CANCELLED,
        }
        found = []
        for task in (*self.world.final.values(), *self.world.state.tasks.values()):
            part = task.spec.part
            if part is not None and part.run == run:
                state = states.get(task.state, StageState.RUNNING)
                found.append(PartEnd(part, task.id, state, task.result, task.first_started_at, task.ended_at))
        for row in self.rows.values():
            if row.parent is not None and row.parent.run == run:
                state = states.get(row.state, StageState.RUNNING)
                found.append(PartEnd(row.parent, row.id, state, row.outputs if row.outputs != "{}" else None))
        return tuple(found)
