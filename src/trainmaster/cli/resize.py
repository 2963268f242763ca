"""`trainmaster resize TASK WORKERS`"""

from __future__ import annotations

from typing import Annotated

import typer

from trainmaster.cli.output import AsJson
from trainmaster.cli.target import connect
from trainmaster.domain.errors import InvalidTask


def resize(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="Id, or an unambiguous beginning of it.")],
    workers: Annotated[str, typer.Argument(help="A number, or `auto` to let the policy decide.")],
    as_json: AsJson = False,
) -> None:
    """Change how many workers an elastic task has, while it runs or before it starts."""
    from trainmaster.cli.output import cell, console, print_json

    if workers != "auto" and not workers.isdecimal():
        raise InvalidTask(
            f"{workers!r} is not a number of workers", remedy="write a number, or auto", field="workers"
        )
    with connect(context) as client:
        found = client.resize(task, None if workers == "auto" else int(workers))
    if as_json:
        print_json(found)
        return
    wish = "as many workers as the policy gives" if found.pinned is None else f"{found.pinned} workers"
    now = f"{found.workers} now" if found.workers else "none yet"
    console().print(cell(f"{found.id}  {wish} ({now})  {found.state}"))
