"""`trainmaster tasks`: what waits, runs, and has just ended."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from trainmaster.cli.output import AsJson, add
from trainmaster.cli.target import connect
from trainmaster.domain.lifecycle import ENDED, TaskState

if TYPE_CHECKING:
    from rich.table import Table

    from trainmaster.client.types import Task

_RECENT = 10
_MOST = 1000
_ORDER = {
    TaskState.RUNNING: 0,
    TaskState.RESIZING: 0,
    TaskState.PREPARING: 1,
    TaskState.ACCEPTED: 1,
    TaskState.INTERRUPTED: 2,
    TaskState.LOST: 2,
}

StateName = StrEnum("StateName", {state.name: state.name.lower() for state in TaskState})  # type: ignore[misc]


def tasks(
    context: typer.Context,
    text: Annotated[str | None, typer.Argument(help="Only names and ids that contain this.")] = None,
    state: Annotated[
        list[StateName] | None,
        typer.Option(help="Only in this state; may be repeated.", case_sensitive=False),
    ] = None,
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Also all that ended, newest first.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most this many.")] = _MOST,
    as_json: AsJson = False,
) -> None:
    """List tasks: the live ones and the latest that ended; with --all or --state, whatever matches."""
    from trainmaster.cli.output import cell, console, counted, print_json

    with connect(context) as client:
        if everything or state:
            states = [name.name for name in state or ()]
            found = list(client.tasks(states=states, user=user, text=text, limit=limit))
        else:
            live = [name for name in TaskState if name not in ENDED]
            found = list(client.tasks(states=live, user=user, text=text, limit=limit))
            ended = client.tasks(states=sorted(ENDED), user=user, text=text, limit=min(_RECENT, limit))
            found = sorted(found, key=rank) + [task for task in ended if task not in found]
        counts = client.task_page(limit=1).counts
    if as_json:
        print_json(found)
        return
    out = console()
    if not found:
        if counts:
            out.print(cell("no task matches; see all of them with `trainmaster tasks --all`"))
        else:
            out.print(cell("no tasks yet; submit one: trainmaster submit -- python train.py"))
        return
    out.print(task_table(found))
    told = ", ".join(f"{count} {name.lower()}" for name, count in counts.items() if count)
    shown = f"; {counted(len(found), 'task')} shown" if len(found) < sum(counts.values()) else ""
    out.print(cell(f"{told}{shown}", "dim"))


def rank(task: Task) -> tuple[int, float]:
    """Running first, then interrupted, then waiting in the order of submission."""
    return _ORDER.get(TaskState(task.state), 3), task.submitted_at


def task_table(found: list[Task]) -> Table:
    from trainmaster.cli.output import cell, state, table
    from trainmaster.cli.text import NOTHING, span, standing

    made = table("task", "~name", "state", "priority", "~node", ">waited", ">ran")
    for task in found:
        add(
            made,
            cell(task.id, "bold"),
            cell(task.name),
            state(task.state),
            cell(standing(task)),
            cell(",".join(task.nodes) or NOTHING),
            cell(span(task.waited_s)),
            cell(span(task.ran_s) if task.first_started_at else NOTHING),
        )
    return made
