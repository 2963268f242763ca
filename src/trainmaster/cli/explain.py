"""`trainmaster explain TASK`: why is it where it is?"""

from __future__ import annotations

from typing import Annotated

import typer

from trainmaster.cli.output import AsJson
from trainmaster.cli.target import connect


def explain(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="Id, or an unambiguous beginning of it.")],
    as_json: AsJson = False,
) -> None:
    """Why a task waits, or runs as it does: a sentence, and the facts behind it."""
    from trainmaster.cli.output import cell, console, facts, print_json
    from trainmaster.domain.errors import TrainmasterError
    from trainmaster.domain.lifecycle import ENDED

    expected = None
    with connect(context) as client:
        told = client.explain(task)
        if not as_json and told.state not in ENDED:
            try:
                expected = client.expected(told.task)
            except TrainmasterError:
                pass  # there is too much to simulate: the facts are there all the same
    if as_json:
        print_json(told)
        return
    out = console()
    out.print(cell(told.headline, "bold"))
    rows = [(f"  {fact.topic}", fact.text) for fact in told.facts]
    if expected is not None:
        rows.append(("  expected", f"{expected.told} (simulated)"))
    out.print(facts(*rows))
