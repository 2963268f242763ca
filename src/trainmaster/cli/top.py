"""`trainmaster top`: nodes and tasks, live; printed once where there is no terminal to redraw."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from trainmaster.cli.output import AsJson, add
from trainmaster.cli.target import connect

if TYPE_CHECKING:
    from rich.console import RenderableType

    from trainmaster.client import Client
    from trainmaster.client.types import Overview, Task

_LIVE = (
    "RUNNING",
    "RESIZING",
    "PREPARING",
    "ACCEPTED",
    "INTERRUPTED",
    "LOST",
    "QUEUED",
    "BLOCKED",
    "SUBMITTED",
)
_FIXED_LINES = 6  # heading, table heads, blank lines


def top(
    context: typer.Context,
    interval: Annotated[float, typer.Option(min=0.2, max=60, help="Seconds between looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print once, also on a terminal.")] = False,
    as_json: AsJson = False,
) -> None:
    """Nodes with their occupancy, and tasks with their progress, live. Ctrl-C ends it."""
    from trainmaster.cli.output import console, print_json
    from trainmaster.client.build import to_json

    with connect(context) as client:
        overview, tasks = _look(client, 1000)
        if as_json:
            print_json({**to_json(overview), "tasks": to_json(tasks)})
            return
        out = console()
        if once or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
            out.print(_picture(overview, tasks, len(tasks)))
            return
        from rich.live import Live

        # Ctrl-C is how one leaves.
        with suppress(KeyboardInterrupt), Live(console=out, screen=True, auto_refresh=False) as live:
            while True:
                room = max(out.height - _FIXED_LINES - len(overview.nodes), 3)
                live.update(_picture(overview, tasks, room), refresh=True)
                time.sleep(interval)
                overview, tasks = _look(client, 200)


def _look(client: Client, limit: int) -> tuple[Overview, list[Task]]:
    from trainmaster.cli.tasks import rank

    live = list(client.tasks(states=_LIVE, limit=limit))
    return client.overview(), sorted(live, key=rank)


def _picture(overview: Overview, tasks: list[Task], room: int) -> RenderableType:
    from rich.console import Group

    from trainmaster.cli.nodes import node_table
    from trainmaster.cli.output import cell
    from trainmaster.cli.text import span

    head = cell(f"Trainmaster {overview.version}", "bold")
    head.append_text(cell(f"  up {span(overview.up_s)}  profile {overview.profile}  ", "dim"))
    running = sum(len(node.runs) for node in overview.nodes)
    head.append_text(cell(f"{running} running, {sum(overview.queue.values())} waiting"))
    parts: list[RenderableType] = [head]
    if overview.trouble:
        parts.append(cell(f"trouble: {overview.trouble}", "bold red"))
    parts += [cell(""), node_table(overview.nodes), cell("")]
    if tasks:
        parts.append(_tasks(tasks[:room], overview))
        if len(tasks) > room:
            parts.append(cell(f"and {len(tasks) - room} more", "dim"))
    else:
        parts.append(cell("no live tasks", "dim"))
    return Group(*parts)


def _tasks(tasks: list[Task], overview: Overview) -> RenderableType:
    from trainmaster.cli.output import cell, state, table
    from trainmaster.cli.text import NOTHING, span, standing

    made = table("task", "~name", "state", "priority", "~node", ">waited", ">ran", "~latest")
    why = {waiting.task: waiting.why for waiting in overview.waiting}
    for task in tasks:
        add(
            made,
            cell(task.id, "bold"),
            cell(task.name),
            state(task.state, task.stopping),
            cell(standing(task)),
            cell(",".join(task.nodes) or NOTHING),
            cell(span(task.waited_s)),
            cell(span(task.ran_s) if task.first_started_at else NOTHING),
            cell(_latest(task) or why.get(task.id, "").partition(": ")[2], "dim"),
        )
    return made


def _latest(task: Task) -> str:
    """The newest metrics in a few words."""
    from trainmaster.cli.text import number

    if task.progress is None:
        return ""
    values = list(task.progress.metrics.items())[:3]
    return " ".join(f"{name} {number(value)}" for name, value in values)
