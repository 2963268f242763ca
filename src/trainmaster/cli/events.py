"""`trainmaster events`: what happened, and why."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from trainmaster.cli.output import AsJson
from trainmaster.cli.target import connect

if TYPE_CHECKING:
    from rich.text import Text

    from trainmaster.client.types import Event

_STYLES = {"succeeded": "green", "failed": "red", "lost": "red", "interrupted": "yellow", "refused": "red"}


def events(
    context: typer.Context,
    task: Annotated[str | None, typer.Argument(help="Only of this task.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="The latest so many.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as things happen.")] = False,
    as_json: AsJson = False,
) -> None:
    """The history: every change with its reason, oldest first. With --json, one object per line."""
    from trainmaster.cli.output import console, print_json_line

    out = console()

    def tell(event: Event) -> None:
        if as_json:
            print_json_line(event)
        else:
            out.print(event_line(event))

    with connect(context) as client:
        if task is not None:
            task = client.task(task).id
            found = client.events(task, limit=10_000)[-limit:]
        else:
            found = client.events(limit=limit)
        for event in found:
            tell(event)
        if not found and not follow and not as_json:
            out.print("nothing has happened yet")
        if follow:
            # From the last one shown, so that nothing between the two requests is missed.
            for event in client.watch(after=found[-1].seq if found else 0):
                if task is None or event.task == task:
                    tell(event)


def event_line(event: Event) -> Text:
    from trainmaster.cli.output import cell
    from trainmaster.cli.text import moment

    line = cell(moment(event.time, time.time()), "dim")
    style = _STYLES.get(event.kind.rpartition("-")[2], "")
    line.append_text(cell(f"  {event.kind:<17}", style))
    what = event.task or event.node or ""
    if event.task and event.attempt and event.attempt > 1:
        what += f" (attempt {event.attempt})"
    if event.task and event.node:
        what += f" on {event.node}"
    line.append_text(cell(f" {what}"))
    if event.reason:
        line.append_text(cell(f"  {event.reason}", "dim"))
    return line
