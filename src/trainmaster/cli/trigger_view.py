"""Triggers and firings as the command line shows them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from trainmaster.client.types import Firing, Trigger

SHOWN = 5  # due times, firings, live tasks


def starts(trigger: Trigger) -> str:
    """What it starts, in one line."""
    given = trigger.definition
    if "workflow" in given:
        version = f" version {given['version']}" if given.get("version") else ""
        values = ", ".join(f"{name}={value}" for name, value in given.get("parameters", {}).items())
        return f"workflow {given['workflow']}{version}" + (f" with {values}" if values else "")
    task = given["task"]
    return task.get("function") or " ".join(task.get("command", [])) or str(task.get("image", ""))


def in_words(trigger: Trigger) -> str:
    from datetime import UTC, datetime

    from trainmaster.cli.text import span

    given = trigger.definition
    if "cron" in given:
        text = f"{given['cron']} ({given['zone']})"
    elif "every" in given:
        text = f"every {span(given['every'])}" + (" after the end" if given.get("after_end") else "")
    else:
        text = f"once, {datetime.fromtimestamp(given['at'], UTC):%Y-%m-%d %H:%M:%S} UTC"
    if given.get("exclude"):
        text += f", less {len(given['exclude'])} excluded"
    return text


def local(at: float, zone: str) -> str:
    """In the trigger's own zone, and in UTC if that is another."""
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    utc = datetime.fromtimestamp(at, UTC)
    local = utc.astimezone(ZoneInfo(zone))
    aside = "" if not local.utcoffset() else f" ({utc:%H:%M:%S} UTC)"
    return f"{local:%Y-%m-%d %H:%M:%S} {zone}{aside}"


def firing_table(found: list[Firing], names: dict[str, str] | None = None) -> Any:
    from trainmaster.cli.output import add, cell, state, table
    from trainmaster.cli.text import NOTHING, moment

    now = time.time()
    made = table(
        *(["~trigger"] if names is not None else []),
        "due",
        "outcome",
        "started",
        "state",
        ">delay",
        "~reason",
    )
    for row in found:
        delay = NOTHING if row.started_at is None else f"{max(row.started_at - row.due, 0):.3f} s"
        if row.cause == "backfill":
            delay = NOTHING
        why = row.reason or ("" if row.cause == "schedule" else row.cause)
        cells = [cell(names.get(row.trigger, row.trigger))] if names is not None else []
        cells += [
            cell(moment(row.due, now)),
            cell(row.outcome, {"missed": "red", "skipped": "yellow", "waiting": "cyan"}.get(row.outcome, "")),
            cell(row.task or row.run or NOTHING),
            state(row.state or NOTHING),
            cell(delay),
            cell(why),
        ]
        add(made, *cells)
    return made


def tell(made: Trigger) -> None:
    say(f"{made.id}  {made.name}  {in_words(made)}")
    for number, at in enumerate(made.coming[:SHOWN]):
        say(f"{'next' if not number else '    '}  {local(at, made.definition['zone'])}")
    if not made.coming:
        say("it is never due")
    for warning in made.warnings:
        typer.secho(f"warning: {warning}", err=True, fg="yellow")


def say(text: str) -> None:
    from trainmaster.cli.text import clean

    print(clean(text), flush=True)
