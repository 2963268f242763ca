"""`trainmaster forecast --live`: what the service expects of itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import typer

from trainmaster.cli.target import connect

if TYPE_CHECKING:
    from trainmaster.client.types import Forecast


def show(context: typer.Context, horizon: int, apply: bool | None, as_json: bool) -> None:
    """Print the forecast of the running service, after `apply` was set if it is given."""
    from trainmaster.cli.output import print_json

    with connect(context) as client:
        found = client.forecast() if apply is None else client.set_forecast(apply=apply)
    if as_json:
        print_json(found)
    else:
        _print(found, horizon)


def _print(found: Forecast, horizon: int) -> None:
    from trainmaster.cli.output import add, cell, console, facts, table

    out, outlook = console(), found.outlook
    deed = "applied" if found.knobs.apply else "advice only: trainmaster forecast --live --apply acts on it"
    asleep = f", {found.asleep} asleep" if found.asleep else ""
    rows: list[tuple[str, object]] = [
        ("sizing", f"{found.knobs.policy}, {deed}"),
        ("nodes", f"{found.on} on{asleep}"),
    ]
    if found.why_not:
        rows.append(("trouble" if outlook else "no forecast", found.why_not))
    if outlook is not None:
        wanted = "nothing" if outlook.wanted is None else f"{outlook.wanted} on"
        rows.append(("recommended", f"{wanted}: {outlook.reason}"))
        rows.append(("model", f"{outlook.fit.model}: {outlook.fit.why}"))
        if outlook.fit.error is not None and outlook.fit.floor is not None:
            error, floor = f"{outlook.fit.error:.3g} %", f"{outlook.fit.floor:.3g} %"
            over = f"of the volume one interval ahead, over {outlook.fit.rows}"
            rows.append(("error", f"{error} {over}; repeating the last value {floor}"))
    out.print(facts(*rows))
    if outlook is None:
        return
    made = table("interval", ">tasks", ">lower", ">upper", ">nodes")
    zone = ZoneInfo(found.zone)
    for row in outlook.coming[:horizon]:
        at = datetime.fromtimestamp(row.time, UTC).astimezone(zone)
        numbers = (row.tasks, row.lower, row.upper)
        texts = ["–" if number is None else f"{number:.4g}" for number in numbers]
        nodes = "–" if row.nodes is None else row.nodes
        add(made, cell(f"{at:%a %d %b %H:%M}"), *map(cell, texts), cell(nodes))
    out.print(made)
