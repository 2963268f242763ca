"""`trainmaster submit --shards 8` and `--broadcast`: a task in parts, which is a workflow of one stage."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import typer

from trainmaster.domain.errors import InvalidTask

if TYPE_CHECKING:
    from trainmaster.client import Client

_NOT_OF_PARTS = ("after", "start_at", "deadline")
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")


def submit_parts(
    client: Client,
    fields: dict[str, Any],
    shards: int | None,
    broadcast: bool,
    key: str | None,
    wait: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run it. The workflow is named after the task; submitted again with other fields it has another version.

    Raises InvalidTask for what tasks of a workflow cannot have. Exit code 1 if it was waited for and failed.
    """
    from trainmaster.cli.output import cell, console, print_json
    from trainmaster.cli.workflow_view import headline
    from trainmaster.client import Workflow

    for field in _NOT_OF_PARTS:
        if field in fields:
            raise InvalidTask(
                f"{field}: a task in parts cannot have it",
                remedy="write a workflow, or start it by a trigger",
                field=field,
            )
    what = dict(fields)
    told = str(what.pop("name", "") or what.get("function") or (what.get("command") or ["task"])[0])
    name = _NO_NAME.sub("-", told.rpartition("/")[2]).strip("-_")[:100] or "task"
    flow = Workflow(name)
    parts: dict[str, Any] = {"broadcast": True} if broadcast else {"shards": shards}
    flow.stage(name if name[0].isalpha() else f"t-{name}"[:100], **parts, **what)
    run = client.run_workflow(flow, idempotency_key=key)
    if quiet:
        print(run.id, flush=True)
    elif not as_json:
        each = "one on every node" if broadcast else f"{shards} shards"
        console().print(cell(f"{run.id}  {run.workflow} version {run.version}, {each}"))
        console().print(cell(f"follow it: trainmaster workflow show {run.id}", "dim"))
    if wait:
        run = client.wait_workflow_run(run.id)
    if as_json:
        print_json(run)
    elif wait and not quiet:
        console().print(headline(run))
    if wait and not run.ok:
        raise typer.Exit(1)
