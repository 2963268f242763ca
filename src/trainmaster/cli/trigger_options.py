"""The options of `trigger add` and `trigger edit`: when it is due, and what it starts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from trainmaster.cli.submit import from_file, pairs, parse_json
from trainmaster.domain.trigger import Fold, Gap, InvalidTrigger, Misfire, Overlap

_RULE, _LATE = "When it is due", "Late and overlapping firings"
_TASK, _WORKFLOW = "What it starts: a task", "What it starts: a workflow"


def _option(panel: str, *names: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=panel)


def rule_fields(
    cron: Annotated[str | None, _option(_RULE, help="Five or six fields, or @daily.", metavar="LINE")] = None,
    every: Annotated[str | None, _option(_RULE, help="Such as 90s or 6h.", metavar="DURATION")] = None,
    at: Annotated[str | None, _option(_RULE, help="Once: in how long (2h), or when.", metavar="TIME")] = None,
    after_end: Annotated[
        bool | None,
        _option(_RULE, "--after-end", help="Count --every from the end of what it started before."),
    ] = None,
    zone: Annotated[str | None, _option(_RULE, help="IANA zone of the line and of excluded days.")] = None,
    gap: Annotated[Gap | None, _option(_RULE, help="A local time that does not exist.")] = None,
    fold: Annotated[Fold | None, _option(_RULE, help="A local time that comes twice.")] = None,
    exclude: Annotated[
        list[str] | None, _option(_RULE, help="2026-12-24, A..B, 12-25.", metavar="DAY")
    ] = None,
    start: Annotated[str | None, _option(_RULE, help="Not before.", metavar="TIME")] = None,
    end: Annotated[str | None, _option(_RULE, help="Not after.", metavar="TIME")] = None,
    jitter: Annotated[
        str | None, _option(_RULE, help="Start up to this much later.", metavar="DURATION")
    ] = None,
    misfire: Annotated[Misfire | None, _option(_LATE, help="What nobody could start in time.")] = None,
    overlap: Annotated[Overlap | None, _option(_LATE, help="While an earlier one is live.")] = None,
    grace: Annotated[str | None, _option(_LATE, help="So late is still in time; default 10s.")] = None,
    window: Annotated[str | None, _option(_LATE, help="How far catch-up reaches; default 1d.")] = None,
    deadline: Annotated[str | None, _option(_LATE, help="Of each task, after its due time.")] = None,
) -> dict[str, Any]:
    """The fields of a trigger's rule that were given."""
    from trainmaster.cli.text import instant

    now = time.time()

    def when(text: str | None, field: str) -> float | None:
        return None if text is None else instant(text, now, field, ahead=True)

    fields = {
        "cron": cron,
        "every": every,
        "at": when(at, "at"),
        "after_end": after_end or None,
        "zone": zone,
        "gap": gap and gap.value,
        "fold": fold and fold.value,
        "exclude": exclude or None,
        "start": when(start, "start"),
        "end": when(end, "end"),
        "jitter": jitter,
        "misfire": misfire and misfire.value,
        "overlap": overlap and overlap.value,
        "grace": grace,
        "window": window,
        "deadline": deadline,
    }
    return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class TargetGiven:
    """What was said of the target: `task` are fields of a task (`whole`: from a file, so all of them),
    `workflow` those of a run."""

    task: dict[str, Any]
    whole: bool
    workflow: dict[str, Any]

    def fields(self, command: list[str] | None, before: dict[str, Any] | None = None) -> dict[str, Any]:
        """The trigger's fields; none if nothing was said. `command`: the words after `--`; `before`: the
        fields of the task there is. Raises InvalidTrigger for a task and a workflow."""
        task = self.task | ({"command": command} if command else {})
        if task and self.workflow:
            raise InvalidTrigger(
                "a trigger starts a task or a workflow, and this names both",
                remedy="leave out --workflow, --version and --param, or what describes a task",
                field="workflow",
            )
        if not task:
            return dict(self.workflow)
        kept = {} if self.whole else dict(before or {})
        if {"command", "function", "image"} & set(task):  # another kind of task: what was of the old one goes
            for name in ("command", "function", "arguments", "image"):
                kept.pop(name, None)
        return {"task": kept | task}


def target_given(
    workflow: Annotated[
        str | None, _option(_WORKFLOW, help="A run of this workflow.", metavar="NAME")
    ] = None,
    version: Annotated[
        int | None, typer.Option(min=1, help="Default: the latest there is then.", rich_help_panel=_WORKFLOW)
    ] = None,
    parameter: Annotated[
        list[str] | None,
        _option(
            _WORKFLOW,
            "--param",
            "-p",
            metavar="NAME=VALUE",
            help="JSON, or text, in which ${{ due }}, ${{ due.date }} and so on stand for the due time.",
        ),
    ] = None,
    task: Annotated[str | None, _option(_TASK, help="A file as for `submit`.", metavar="TASK.TOML")] = None,
    set_: Annotated[
        list[str] | None, _option(_TASK, "--set", help="Any field of the task.", metavar="NAME=VALUE")
    ] = None,
    function: Annotated[
        str | None, _option(_TASK, help="Call a Python function.", metavar="MODULE:NAME")
    ] = None,
    arguments: Annotated[str | None, _option(_TASK, help="The function's arguments.", metavar="JSON")] = None,
    image: Annotated[str | None, _option(_TASK, help="Run in a container.")] = None,
    directory: Annotated[str | None, _option(_TASK, "--directory", "-C", help="Where it starts.")] = None,
    env: Annotated[
        list[str] | None, _option(_TASK, "--env", "-e", help="A variable.", metavar="NAME[=VALUE]")
    ] = None,
    cpus: Annotated[float | None, _option(_TASK, help="Cores for each worker.")] = None,
    memory: Annotated[str | None, _option(_TASK, help="Such as 8GB.")] = None,
    gpus: Annotated[int | None, _option(_TASK, help="For each worker.")] = None,
    workers: Annotated[str | None, _option(_TASK, help="How many.", metavar="N|MIN..MAX")] = None,
    timeout: Annotated[str | None, _option(_TASK, help="End it after this.")] = None,
    estimate: Annotated[str | None, _option(_TASK, help="Expected duration, such as 20m.")] = None,
) -> TargetGiven:
    """What was said of the target."""
    from trainmaster.cli.taskfile import set_field
    from trainmaster.cli.workflowfile import parameters

    what = from_file(task)
    for assignment in set_ or ():
        set_field(what, assignment)
    given = {
        "function": function,
        "arguments": None if arguments is None else parse_json(arguments),
        "image": image,
        "directory": None if directory is None else str(Path(directory).expanduser().absolute()),
        "cpus": cpus,
        "memory": memory,
        "gpus": gpus,
        "workers": workers,
        "timeout": timeout,
        "estimate": estimate,
    }
    what |= {field: value for field, value in given.items() if value not in (None, [])}
    if env:
        what["environment"] = {**what.get("environment", {}), **pairs(env, "environment", True)}
    run = {"workflow": workflow, "version": version, "parameters": parameters(parameter or ()) or None}
    return TargetGiven(what, task is not None, {name: v for name, v in run.items() if v is not None})
