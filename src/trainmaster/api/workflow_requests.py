"""The shapes of workflows in requests."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import ConfigDict, Field

from trainmaster.api.requests import Seconds, Strict, TaskIn, seconds
from trainmaster.domain.errors import InvalidTask, InvalidWorkflow
from trainmaster.domain.task import LOCAL_USER
from trainmaster.domain.workflow import MAX_STAGES, Parameter, Stage, ValueType, When, WorkflowSpec

MOST = 2**31 - 1

WhenName = Literal["all", "any", "failed", "always"]


class StageIn(TaskIn):
    """A stage: the fields of a task, or `workflow`. `${{ … }}` in what the task is told names values."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"function": "jobs:load", "after": ["extract"], "shards": 4}]},
    )

    after: tuple[str, ...] = Field((), max_length=MAX_STAGES, description="names of stages it comes after")
    when: WhenName = Field(
        "all", description="what their ends must be like for it to run; else it is skipped"
    )
    each: Any = Field(None, description="a list, or an expression for one: a task for each item")
    shards: int | str | None = Field(None, description="so many tasks, which know their number")
    broadcast: bool = Field(False, description="one task on every node")
    emits: bool = Field(False, description='what its tasks return under "emit" becomes further tasks of it')
    at_once: int | None = Field(None, ge=1, le=MOST, description="at most so many of its tasks at a time")
    allow_failure: bool = Field(False, description="its failure does not make the workflow fail")
    workflow: str | None = Field(None, max_length=100, description="run this workflow instead of a task")
    version: int | None = Field(None, ge=1, le=MOST, description="of that workflow; default: the latest")
    parameters: dict[str, Any] = Field(default_factory=dict, description="handed to that workflow")

    def stage(self, name: str) -> Stage:
        """Raises InvalidWorkflow for what cannot be read."""
        task = None
        if self.workflow is None or self.command or self.function or self.image:
            try:
                task = self.model_copy(update={"after": (), "name": self.name or name}).spec(LOCAL_USER)
            except InvalidTask as error:
                where = f"stages.{name}"
                raise InvalidWorkflow(f"{where}: {error.message}", remedy=error.remedy, field=where) from None
            if not (self.command or self.function or self.image):
                task = None
        return Stage(
            name=name,
            task=task,
            after=self.after,
            when=When(self.when),
            each=None if self.each is None else json.dumps(self.each),
            shards=None if self.shards is None else json.dumps(self.shards),
            broadcast=self.broadcast,
            emits=self.emits,
            at_once=self.at_once,
            allow_failure=self.allow_failure,
            workflow=self.workflow or "",
            version=self.version,
            parameters=json.dumps(self.parameters),
        )


class WorkflowIn(Strict):
    """A graph of stages. A parameter is a default value, or `{"type": …, "default": …}`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "nightly",
                    "parameters": {"day": {"type": "string"}, "parts": 4},
                    "stages": {
                        "split": {"function": "jobs:split", "arguments": {"day": "${{ params.day }}"}},
                        "work": {
                            "function": "jobs:work",
                            "each": "${{ stages.split.output }}",
                            "after": ["split"],
                        },
                        "merge": {
                            "function": "jobs:merge",
                            "arguments": ["${{ stages.work.outputs }}"],
                            "after": ["work"],
                        },
                    },
                    "outputs": {"rows": "${{ stages.merge.output }}"},
                }
            ]
        },
    )

    name: str = Field(min_length=1, max_length=100)
    description: str = Field("", max_length=2000)
    parameters: dict[str, Any] = Field(default_factory=dict, max_length=200)
    stages: dict[str, StageIn] = Field(min_length=1, max_length=MAX_STAGES)
    outputs: dict[str, Any] = Field(default_factory=dict, max_length=200)
    timeout: Seconds | None = None
    plan: str = Field(
        "", max_length=40, description="place runs by this static scheduling algorithm", examples=["auto"]
    )

    def spec(self) -> WorkflowSpec:
        """Raises InvalidWorkflow, InvalidTask for what cannot be read."""
        return WorkflowSpec(
            name=self.name,
            description=self.description,
            stages=tuple(stage.stage(name) for name, stage in self.stages.items()),
            parameters=tuple(_parameter(name, value) for name, value in self.parameters.items()),
            outputs=tuple((name, json.dumps(value)) for name, value in self.outputs.items()),
            timeout_s=seconds(self.timeout, "timeout"),
            plan=self.plan,
        )


def _parameter(name: str, value: Any) -> Parameter:
    if isinstance(value, dict) and "type" in value and set(value) <= {"type", "default"}:
        try:
            kind = ValueType(value["type"])
        except ValueError:
            raise InvalidWorkflow(
                f"parameters.{name}: {str(value['type'])[:60]!r} is not a type",
                remedy=f"use one of {', '.join(ValueType)}",
                field=f"parameters.{name}",
            ) from None
        return Parameter(name, kind, json.dumps(value["default"]) if "default" in value else None)
    return Parameter(name, ValueType.of(value), json.dumps(value))


class RunIn(Strict):
    """Run a workflow, by default its latest version. Parameters left out have their defaults."""

    workflow: str = Field(min_length=1, max_length=100, examples=["nightly"])
    version: int | None = Field(None, ge=1, le=MOST)
    parameters: dict[str, Any] = Field(default_factory=dict, max_length=200, examples=[{"day": "2026-01-01"}])
