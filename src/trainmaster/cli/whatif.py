"""`trainmaster whatif`: the service's own history under another profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trainmaster.cli.output import AsJson
from trainmaster.cli.target import connect

if TYPE_CHECKING:
    from trainmaster.client.types import WhatIf, WhatIfColumn


def whatif(
    context: typer.Context,
    profile: Annotated[str, typer.Option(help="The profile to try; `trainmaster profile` lists them.")],
    last: Annotated[str, typer.Option(help="How much of the history to replay.", metavar="TIME")] = "7d",
    nodes: Annotated[
        int | None, typer.Option(min=1, help="On so many nodes; default: as many as now.")
    ] = None,
    tasks: Annotated[int, typer.Option(min=0, help="Show so many of the tasks that differ most.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Replay what the service did under another profile: waits, ends and node-hours side by side."""
    from trainmaster.cli.output import console, print_json
    from trainmaster.domain.units import parse_duration

    seconds = parse_duration(last, "last")
    with connect(context, timeout=150.0) as client:
        found = client.whatif(profile, last_s=seconds, nodes=nodes)
    if as_json:
        print_json(found)
        return
    out = console()
    _print(found, tasks)
    left = ", ".join(f"{count} {why}" for why, count in found.left_out.items())
    if left:
        out.print(f"left out: {left}", style="dim")


def _print(found: WhatIf, shown: int) -> None:
    from trainmaster.cli.output import add, cell, console, table
    from trainmaster.domain.units import format_duration

    out = console()
    made = table("", *(f">{column.name}" for column in found.columns))
    for label, tell in _LINES:
        add(made, cell(label), *(cell(tell(column)) for column in found.columns))
    out.print(made)
    if not shown:
        return
    made = table("task", "name", *(f">{column.name}" for column in found.columns))
    for row in found.rows[:shown]:
        ends = ("–" if seconds is None else format_duration(seconds) for seconds in row.jct_s)
        add(made, cell(row.task), cell(row.name), *map(cell, ends))
    out.print(made)
    out.print("from submission to the end, the tasks that differ most", style="dim")


def _time(seconds: float) -> str:
    from trainmaster.domain.units import format_duration

    return format_duration(seconds)


def _ended(column: WhatIfColumn) -> str:
    return f"{column.ended} of {column.ended + column.unended}"


_LINES = (
    ("profile", lambda c: c.profile),
    ("nodes", lambda c: str(c.nodes)),
    ("tasks ended", _ended),
    ("wait, mean", lambda c: _time(c.wait_s.mean)),
    ("wait, p99", lambda c: _time(c.wait_s.p99)),
    ("to the end, mean", lambda c: _time(c.jct_s.mean)),
    ("to the end, p99", lambda c: _time(c.jct_s.p99)),
    ("all done after", lambda c: _time(c.makespan_s)),
    ("worker-hours", lambda c: f"{c.worker_hours:.4g}"),
    ("busy node-hours", lambda c: f"{c.busy_node_hours:.4g}"),
    ("restarts, resizes", lambda c: f"{c.restarts}, {c.resizes}"),
)
