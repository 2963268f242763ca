"""Workflows written in Python.

    flow = Workflow("nightly", parameters={"day": "2026-01-01"})
    split = flow.stage("split", function="jobs:split", arguments=[flow.parameter("day")])
    work = flow.stage("work", function="jobs:work", each=split.output)
    flow.stage("merge", function="jobs:merge", arguments=[work.outputs])
    client.run_workflow(flow)

A stage that names a value of another comes after it; `after` names those it only waits for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trainmaster.domain.errors import InvalidWorkflow, UnknownStage

_NAMED = re.compile(r"\$\{\{\s*stages\.([A-Za-z_][\w-]*)")

ITEM = "${{ item }}"
INDEX = "${{ index }}"
TOTAL = "${{ total }}"


@dataclass(frozen=True, slots=True)
class StageRef:
    """A stage of a workflow that is being written, and the expressions for what it hands on."""

    name: str

    @property
    def output(self) -> str:
        """What its task returned; of a stage with several tasks, the list of it."""
        return f"${{{{ stages.{self.name}.output }}}}"

    @property
    def outputs(self) -> str:
        """The list of what its tasks returned, even if there was but one."""
        return f"${{{{ stages.{self.name}.outputs }}}}"

    def value(self, path: str) -> str:
        """A part of what its task returned: names and positions with dots between them."""
        return f"${{{{ stages.{self.name}.output.{path} }}}}"


class Workflow:
    """A definition. `parameters`: default values, or `{"type": …}` for those that must be given."""

    def __init__(
        self,
        name: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        description: str = "",
        timeout: float | str | None = None,
        plan: str = "",
    ) -> None:
        self.name = name
        self._head: dict[str, Any] = {"name": name, "description": description, "plan": plan}
        if timeout is not None:
            self._head["timeout"] = timeout
        self._parameters = dict(parameters or {})
        self._stages: dict[str, dict[str, Any]] = {}
        self._outputs: dict[str, Any] = {}

    def parameter(self, name: str) -> str:
        """The expression for a parameter."""
        return f"${{{{ params.{name} }}}}"

    def stage(self, name: str, *, after: Iterable[StageRef | str] = (), **fields: Any) -> StageRef:
        """Add a stage: the fields of a task, or `workflow`, and those of a stage (see docs/how-to/workflows).

        Raises InvalidWorkflow for a second one of the name, UnknownStage for one that is not there yet.
        """
        if name in self._stages:
            raise InvalidWorkflow(f"there is a stage {name} already", remedy="use another name", field=name)
        needs = [stage.name if isinstance(stage, StageRef) else stage for stage in after]
        needs = list(dict.fromkeys([*needs, *_NAMED.findall(repr(fields))]))
        for need in needs:
            if need not in self._stages:
                raise UnknownStage(
                    f"{name}: there is no stage {need!r}", remedy="add that one first", stage=need
                )
        self._stages[name] = {**fields, "after": needs}
        return StageRef(name)

    def output(self, name: str, value: Any) -> None:
        """What the whole workflow hands on once it has succeeded."""
        self._outputs[name] = value

    def to_dict(self) -> dict[str, Any]:
        """As the HTTP interface, YAML and JSON have it."""
        return {
            **self._head,
            "parameters": dict(self._parameters),
            "stages": {name: dict(fields) for name, fields in self._stages.items()},
            "outputs": dict(self._outputs),
        }
