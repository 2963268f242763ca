"""A graph of tasks: its stages, what each waits for and under which condition, and what they hand on.

A stage runs as one task, as many (shards, one for each item of a list, one on every node, or what its own
tasks emit), or as a workflow of its own. Each of its tasks is a *part*.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from trainmaster.domain.errors import (
    CyclicWorkflow,
    InvalidTask,
    InvalidWorkflow,
    TooManyParts,
    UnknownStage,
    WrongParameter,
)
from trainmaster.domain.task import TaskSpec
from trainmaster.domain.task import validate as validate_task
from trainmaster.domain.template import MARK, Path, paths

MAX_STAGES = 20_000
MAX_EDGES = 200_000
MAX_PARTS = 100_000  # tasks of one stage
MAX_PARAMETERS = 200
MAX_VALUE_BYTES = 1024 * 1024  # of JSON: parameters, what a task returns, what a stage is given
MAX_DEPTH = 8  # workflows inside workflows
_STAGE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
WORKFLOW_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PARAMETER = re.compile(r"[A-Za-z_]\w{0,63}")


class When(StrEnum):
    """What the ends of the stages it comes after must be like for a stage to run; else it is skipped."""

    ALL = "all"  # every one succeeded
    ANY = "any"  # one succeeded: it does not wait for the others
    FAILED = "failed"  # all have ended, and one failed or was skipped because of a failure
    ALWAYS = "always"  # all have ended, however


class ValueType(StrEnum):
    """What a parameter may be, as JSON calls it."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"
    OBJECT = "object"
    ANY = "any"

    def holds(self, value: Any) -> bool:
        if self is ValueType.ANY:
            return True
        if isinstance(value, bool):  # which Python takes for a number
            return self is ValueType.BOOLEAN
        return isinstance(value, _PYTHON[self])

    @classmethod
    def of(cls, value: Any) -> ValueType:
        return next((kind for kind in _PYTHON if kind.holds(value)), cls.ANY)


_PYTHON: dict[ValueType, type | tuple[type, ...]] = {
    ValueType.STRING: str,
    ValueType.BOOLEAN: bool,
    ValueType.INTEGER: int,
    ValueType.NUMBER: (int, float),
    ValueType.LIST: list,
    ValueType.OBJECT: dict,
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """`default` is JSON; without one the parameter must be given."""

    name: str
    type: ValueType = ValueType.ANY
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """One node of the graph. Either `task` or `workflow`; at most one of `each`, `shards` and `broadcast`.

    `each`: JSON of a list, or of a text that is an expression for one; a part for each item. `shards`: JSON
    of a count or of an expression for one. `emits`: what a part returns under the name "emit" becomes further
    parts. `at_once`: at most so many parts at a time. `allow_failure`: its failure does not make the
    workflow fail. `parameters`: JSON of the object handed to `workflow`.
    """

    name: str
    task: TaskSpec | None = None
    after: tuple[str, ...] = ()
    when: When = When.ALL
    each: str | None = None
    shards: str | None = None
    broadcast: bool = False
    emits: bool = False
    at_once: int | None = None
    allow_failure: bool = False
    workflow: str = ""
    version: int | None = None
    parameters: str = "{}"

    @property
    def divided(self) -> bool:
        """Does it have parts, so that what it hands on is the list of what they returned?"""
        return self.each is not None or self.shards is not None or self.broadcast or self.emits

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; fields at their default are left out."""
        out: dict[str, Any] = {}
        for name, default in _STAGE_DEFAULTS:
            value = getattr(self, name)
            if value == default:
                continue
            if isinstance(value, TaskSpec):
                value = value.to_dict()
            out[name] = list(value) if isinstance(value, tuple) else value
        return out

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Stage:
        values = dict(data)
        if "task" in values:
            values["task"] = TaskSpec.from_dict(values["task"])
        if "after" in values:
            values["after"] = tuple(values["after"])
        if "when" in values:
            values["when"] = When(values["when"])
        return cls(**values)


_STAGE_DEFAULTS = tuple((f.name, f.default) for f in fields(Stage))


@dataclass(frozen=True, slots=True)
class WorkflowSpec:
    """A workflow as somebody wrote it. `outputs`: names and JSON, filled in when a run has ended.

    `plan`: the static scheduling algorithm that places runs of it, or empty. `timeout_s`: of a whole run.
    """

    name: str
    stages: tuple[Stage, ...]
    parameters: tuple[Parameter, ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()
    timeout_s: float | None = None
    plan: str = ""
    description: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "stages": [stage.to_dict() for stage in self.stages],
            "parameters": [[p.name, p.type.value, p.default] for p in self.parameters],
            "outputs": [list(pair) for pair in self.outputs],
            "timeout_s": self.timeout_s,
            "plan": self.plan,
            "description": self.description,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> WorkflowSpec:
        """Inverse of `to_dict`."""
        return cls(
            name=data["name"],
            stages=tuple(map(Stage.from_dict, data["stages"])),
            parameters=tuple(Parameter(n, ValueType(t), default) for n, t, default in data["parameters"]),
            outputs=tuple((name, text) for name, text in data["outputs"]),
            timeout_s=data["timeout_s"],
            plan=data["plan"],
            description=data["description"],
        )


@dataclass(frozen=True, slots=True)
class Graph:
    """The stages by number, in the order they were written. `order`: one in which all come after those they
    wait for (of those that could be next, the first written)."""

    spec: WorkflowSpec
    at: dict[str, int]
    before: tuple[tuple[int, ...], ...]
    behind: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]
    given: tuple[bool, ...] = ()  # has expressions in its task, which must be filled in
    named: tuple[bool, ...] = ()  # some expression names what it hands on, which must be kept


@dataclass(frozen=True, slots=True)
class Definition:
    """A version of a workflow, and whether no later one is known."""

    graph: Graph
    version: int
    latest: bool = True


def graph(spec: WorkflowSpec) -> Graph:
    """Raises UnknownStage, CyclicWorkflow (the cycle named), InvalidWorkflow. O(stages + dependencies)."""
    at: dict[str, int] = {}
    for number, stage in enumerate(spec.stages):
        if stage.name in at:
            raise _invalid(f"stages.{stage.name}", "is there twice", "give each stage a name of its own")
        at[stage.name] = number
    before = []
    for stage in spec.stages:
        for name in stage.after:
            if name not in at:
                raise _unknown(stage.name, name, at)
        before.append(tuple(at[name] for name in dict.fromkeys(stage.after)))
    behind: list[list[int]] = [[] for _ in spec.stages]
    for number, needs in enumerate(before):
        for need in needs:
            behind[need].append(number)
    order = _topological(before, behind)
    if len(order) < len(before):
        cycle = [spec.stages[number].name for number in _cycle(before, set(order))]
        names = " → ".join([*cycle, cycle[0]])
        raise CyclicWorkflow(f"stages wait for each other: {names}", cycle=cycle, field="after")
    given = tuple(stage.task is not None and _has_expressions(stage.task) for stage in spec.stages)
    named = [False] * len(before)
    for path in _named(spec):
        if path[0] == "stages" and len(path) > 1 and path[1] in at:
            named[at[path[1]]] = True
    return Graph(spec, at, tuple(before), tuple(map(tuple, behind)), tuple(order), given, tuple(named))


def _named(spec: WorkflowSpec) -> Iterable[Path]:
    for stage in spec.stages:
        yield from expressions(stage)
    for _, text in spec.outputs:
        yield from paths(json.loads(text))


def _topological(before: list[tuple[int, ...]], behind: list[list[int]]) -> list[int]:
    import heapq

    missing = [len(needs) for needs in before]
    ready = [number for number, count in enumerate(missing) if not count]
    order = []
    while ready:
        number = heapq.heappop(ready)
        order.append(number)
        for later in behind[number]:
            missing[later] -= 1
            if not missing[later]:
                heapq.heappush(ready, later)
    return order


def _cycle(before: list[tuple[int, ...]], done: set[int]) -> list[int]:
    """A cycle among the stages not `done` (each waits for another such), in the order of the arrows, the
    first written first."""
    here = next(number for number in range(len(before)) if number not in done)
    walked: dict[int, int] = {}
    path: list[int] = []
    while here not in walked:
        walked[here] = len(path)
        path.append(here)
        here = next(need for need in before[here] if need not in done)
    cycle = path[walked[here] :][::-1]
    first = cycle.index(min(cycle))
    return cycle[first:] + cycle[:first]


def validate(spec: WorkflowSpec) -> Graph:
    """The graph of a workflow that can be right. Raises InvalidWorkflow and those below it, InvalidTask."""
    if not WORKFLOW_NAME.fullmatch(spec.name):
        raise _invalid(
            "name", f"{spec.name!r} is no name", "use letters, digits, dot, dash, underscore; at most 100"
        )
    if not spec.stages:
        raise _invalid("stages", "there are none", "give the workflow at least one stage")
    if len(spec.stages) > MAX_STAGES:
        raise _invalid("stages", f"{len(spec.stages)}, more than {MAX_STAGES}", "use a stage with `each`")
    if sum(len(stage.after) for stage in spec.stages) > MAX_EDGES:
        raise _invalid("after", f"more than {MAX_EDGES} dependencies", "put a stage in between")
    if spec.timeout_s is not None and not 0 < spec.timeout_s < 1e12:
        raise _invalid("timeout", f"must be positive, got {spec.timeout_s}", "leave it out for no limit")
    _check_parameters(spec)
    for stage in spec.stages:
        _check_stage(stage)
    made = graph(spec)
    _check_expressions(made)
    return made


def _check_parameters(spec: WorkflowSpec) -> None:
    if len(spec.parameters) > MAX_PARAMETERS:
        raise _invalid("parameters", f"more than {MAX_PARAMETERS}", "put them into one object")
    seen = set()
    for parameter in spec.parameters:
        where = f"parameters.{parameter.name}"
        if not _PARAMETER.fullmatch(parameter.name) or parameter.name in seen:
            raise _invalid(where, "is no name, or there twice", "use letters, digits and underscore")
        seen.add(parameter.name)
        if parameter.default is not None and not parameter.type.holds(json.loads(parameter.default)):
            raise _invalid(
                where, f"the default {parameter.default[:60]} is no {parameter.type}", "make them agree"
            )


def _check_stage(stage: Stage) -> None:
    where = f"stages.{stage.name}"
    if not _STAGE.fullmatch(stage.name):
        raise _invalid(where, "is no name", "use letters, digits, dash and underscore; at most 100")
    if (stage.task is None) == (not stage.workflow):
        raise _invalid(where, "needs a command, an image, a function or a workflow", "give one, and one only")
    if stage.workflow and not WORKFLOW_NAME.fullmatch(stage.workflow):
        raise _invalid(where, f"{stage.workflow!r} names no workflow", "give the name of a workflow")
    ways = [stage.each is not None, stage.shards is not None, stage.broadcast]
    if sum(ways) > 1:
        raise _invalid(where, "has more than one of each, shards and broadcast", "choose one")
    if stage.emits and (stage.workflow or stage.broadcast or stage.shards is not None):
        raise _invalid(where, "only tasks emit, alone or for each item", "leave shards and broadcast out")
    if stage.broadcast and stage.workflow:
        raise _invalid(where, "a workflow cannot be broadcast", "put the broadcast into that workflow")
    if stage.at_once is not None and stage.at_once < 1:
        raise _invalid(where, f"at_once must be 1 or more, got {stage.at_once}", "leave it out for no limit")
    for name in ("each", "shards"):
        text = getattr(stage, name)
        value = None if text is None else json.loads(text)
        if value is not None and not (isinstance(value, str) and MARK in value):
            count_parts(name, value, stage.name)
    if not isinstance(json.loads(stage.parameters), dict):
        raise _invalid(where, "parameters must be an object", "write NAME: value")
    if stage.task is not None:
        if stage.task.after or stage.task.planned is not None or stage.task.part is not None:
            raise _invalid(where, "cannot be tied to tasks outside the workflow", "name stages in `after`")
        if MARK not in stage.task.function:
            try:
                validate_task(stage.task)
            except InvalidTask as error:
                raise InvalidWorkflow(
                    f"{where}: {error.message}", remedy=error.remedy, field=f"{where}.{error.fields['field']}"
                ) from None


def count_parts(way: str, value: Any, stage: str) -> int:
    """How many parts `each` or `shards` makes of a value. Raises InvalidWorkflow, TooManyParts."""
    if way == "each":
        if not isinstance(value, list):
            raise _invalid(f"stages.{stage}.each", "is not a list", "give a list, or an expression for one")
        count = len(value)
    else:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise _invalid(f"stages.{stage}.shards", f"{value!r} is not a count", "give a whole number")
        count = value
    if count > MAX_PARTS:
        raise TooManyParts(
            f"stage {stage} would have {count} parts, more than {MAX_PARTS}", stage=stage, parts=count
        )
    return count


# --- expressions -------------------------------------------------------------------------------------------


def _has_expressions(task: TaskSpec) -> bool:
    texts = (*task.command, task.function, task.arguments, task.image, task.directory)
    return any(MARK in text for text in texts) or any(
        MARK in name or MARK in value for name, value in task.environment
    )


def expressions(stage: Stage) -> Iterable[Path]:
    """The paths in all expressions of a stage."""
    task = stage.task
    if task is not None and (_has_expressions(task) or task.volumes):
        yield from paths([*task.command, task.function, task.image, task.directory, list(task.volumes)])
        yield from paths(dict(task.environment))
        yield from paths(json.loads(task.arguments) if MARK in task.arguments else None)
    for text in (stage.each, stage.shards, stage.parameters):
        if text is not None and MARK in text:
            yield from paths(json.loads(text))


_STAGE_VALUES = ("output", "outputs", "state")


def _check_expressions(made: Graph) -> None:
    spec = made.spec
    parameters = {parameter.name for parameter in spec.parameters}
    above: list[int] = []
    for number, stage in enumerate(spec.stages):
        for path in expressions(stage):
            _check_path(path, f"stages.{stage.name}", parameters, made)
            if path[0] != "stages":
                continue
            named = made.at[path[1]]
            if named in made.before[number]:
                continue
            above = above or _ancestors(made)
            if not above[number] >> named & 1:
                raise _invalid(
                    f"stages.{stage.name}",
                    f"${{{{ {'.'.join(path)} }}}} names a stage that need not have ended by then",
                    f"add {path[1]} to its `after`",
                )
    for name, text in spec.outputs:
        for path in paths(json.loads(text)):
            _check_path(path, f"outputs.{name}", parameters, made)


def _check_path(path: Path, where: str, parameters: set[str], made: Graph) -> None:
    whole = ".".join(path)
    root, inner = path[0], path[1] if len(path) > 1 else ""
    if root == "params":
        if inner not in parameters:
            near = difflib.get_close_matches(inner, parameters, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise _invalid(where, f"${{{{ {whole} }}}}: there is no parameter {inner!r}{hint}", "declare it")
    elif root == "stages":
        if inner not in made.at:
            raise _unknown(where.removeprefix("stages."), inner, made.at)
        if len(path) < 3 or path[2] not in _STAGE_VALUES:
            raise _invalid(where, f"${{{{ {whole} }}}}: a stage has output, outputs and state", "name one")
    elif root not in ("item", "index", "total", "run"):
        raise _invalid(
            where,
            f"${{{{ {whole} }}}} names nothing",
            "expressions begin with params, stages, item, index, total or run",
        )


def _ancestors(made: Graph) -> list[int]:
    """Of each stage a bit for every stage that has ended once it runs."""
    above = [0] * len(made.before)
    for number in made.order:
        for need in made.before[number]:
            above[number] |= above[need] | 1 << need
    return above


# --- parameters of a run -----------------------------------------------------------------------------------


def with_defaults(spec: WorkflowSpec, given: dict[str, Any]) -> dict[str, Any]:
    """The values of all parameters. Raises WrongParameter: unknown, missing or of the wrong type."""
    known = {parameter.name: parameter for parameter in spec.parameters}
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            remedy = f"{spec.name} takes {', '.join(known) or 'none'}"
            raise WrongParameter(
                f"{spec.name} has no parameter {name!r}{hint}", remedy=remedy, parameter=name
            )
    values = {}
    for name, parameter in known.items():
        if name in given:
            value = given[name]
            if not parameter.type.holds(value):
                raise WrongParameter(
                    f"parameter {name} must be of type {parameter.type}, got {json.dumps(value)[:60]}",
                    remedy=f"give a value of type {parameter.type}",
                    parameter=name,
                )
        elif parameter.default is not None:
            value = json.loads(parameter.default)
        else:
            raise WrongParameter(
                f"parameter {name} is missing", remedy="it has no default: give it a value", parameter=name
            )
        values[name] = value
    return values


def _invalid(where: str, problem: str, remedy: str) -> InvalidWorkflow:
    return InvalidWorkflow(f"{where}: {problem}", remedy=remedy, field=where)


def _unknown(where: str, name: str, known: Iterable[str]) -> UnknownStage:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return UnknownStage(
        f"stages.{where}: there is no stage {name!r}{hint}",
        remedy="name stages of the same workflow",
        field=f"stages.{where}",
        stage=name,
    )
