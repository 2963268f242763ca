"""`trainmaster priority TASK CHANGE`"""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from trainmaster.cli.output import AsJson
from trainmaster.cli.target import connect
from trainmaster.domain.errors import InvalidTask

_URGENCIES = ("normal", "urgent", "highest")


def priority(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="Id, or an unambiguous beginning of it.")],
    change: Annotated[
        list[str],
        typer.Argument(help="+1 or -1 (a request, 0.1 each), a value such as 3 or =-2, or an urgency."),
    ],
    as_json: AsJson = False,
) -> None:
    """Raise, lower or set a task's priority; `highest` also lets it preempt others."""
    from trainmaster.cli.output import cell, console, print_json
    from trainmaster.cli.text import standing

    asked: dict[str, Any] = {}
    for word in change:
        asked |= read_change(word)
    with connect(context) as client:
        found = client.priority(task, **asked)
    if as_json:
        print_json(found)
        return
    console().print(cell(f"{found.id}  {standing(found)}  {found.state}"))


# `-1` is a change here, not an option.
priority.settings = {"ignore_unknown_options": True}  # type: ignore[attr-defined]


def read_change(word: str) -> dict[str, Any]:
    """`+2` → bumps, `3` or `=-1.5` → priority, `urgent` → urgency. Raises InvalidTask."""
    if word.lower() in _URGENCIES:
        return {"urgency": word.lower()}
    if re.fullmatch(r"[+-]\d+", word):
        return {"bumps": int(word)}
    try:
        return {"priority": float(word.removeprefix("="))}
    except ValueError:
        raise InvalidTask(
            f"{word!r} is not a change of priority",
            remedy=f"write +1, -1, a number such as 3 or =-2, or one of {', '.join(_URGENCIES)}",
            field="priority",
        ) from None
