"""`trainmaster drain NODE`"""

from __future__ import annotations

from typing import Annotated

import typer

from trainmaster.cli.output import AsJson
from trainmaster.cli.target import connect


def drain(
    context: typer.Context,
    node: Annotated[str, typer.Argument(help="Its name, as `trainmaster nodes` shows it.")],
    undo: Annotated[bool, typer.Option("--undo", help="Let it work again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a node nothing new; what runs there finishes. With --undo, let it work again."""
    from trainmaster.cli.output import cell, console, counted, print_json

    with connect(context) as client:
        found = client.drain(node, not undo)
    if as_json:
        print_json(found)
        return
    left = f"; {counted(len(found.runs), 'run')} to finish" if found.runs and not undo else ""
    console().print(cell(f"{found.id}  {found.state}{left}"))
