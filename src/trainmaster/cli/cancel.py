"""`trainmaster cancel TASK...`"""

from __future__ import annotations

from typing import Annotated

import typer

from trainmaster.cli.output import AsJson
from trainmaster.cli.target import connect


def cancel(
    context: typer.Context,
    task: Annotated[list[str], typer.Argument(help="Ids, or unambiguous beginnings of them.")],
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Return once they are gone.")] = False,
    as_json: AsJson = False,
) -> None:
    """End tasks: TERM to every worker, KILL after the task's grace period."""
    from trainmaster.cli.errors import USAGE, complain
    from trainmaster.cli.output import cell, console, print_json
    from trainmaster.domain.errors import TrainmasterError

    out, done, refused = console(), [], False
    with connect(context) as client:
        for name in task:
            try:
                done.append(client.cancel(name))
            except TrainmasterError as error:
                if len(task) == 1 or error.status >= 500:
                    raise
                complain(error.message, error.remedy)
                refused = True
        if wait:
            done = [client.wait(found.id) for found in done]
    if as_json:
        print_json(done)
    else:
        for found in done:
            how = "" if found.ended else ": its workers are being stopped"
            out.print(cell(f"{found.id}  {found.state}{how}"))
    if refused:
        raise typer.Exit(USAGE)
