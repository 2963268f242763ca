"""`trainmaster trigger`: the commands that talk to the service."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated, Any

import typer

from trainmaster.cli.output import AsJson
from trainmaster.cli.output import add as add_row
from trainmaster.cli.spread import spread
from trainmaster.cli.submit import COMMAND, AfterDashes, start_here
from trainmaster.cli.target import connect
from trainmaster.cli.trigger_options import TargetGiven, rule_fields, target_given
from trainmaster.cli.trigger_view import SHOWN, firing_table, in_words, local, say, starts, tell

Name = Annotated[str, typer.Argument(metavar="TRIGGER", help="Its name, or its id.")]


class OutcomeName(StrEnum):
    FIRED = "fired"
    WAITING = "waiting"
    SKIPPED = "skipped"
    MISSED = "missed"


@spread(rule=rule_fields, given=target_given)
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A name no other trigger has.")],
    rule: dict[str, Any],
    given: TargetGiven,
    as_json: AsJson = False,
) -> None:
    """Make a trigger: a rule, and a task or a run of a workflow for each time it is due.

    trainmaster trigger add nightly --cron '30 2 * * *' --zone Europe/Berlin -- python train.py
    trainmaster trigger add nightly --cron '30 2 * * *' --workflow etl --param 'day=${{ due.date }}'
    """
    from trainmaster.cli.output import print_json

    fields = given.fields(context.meta.get(COMMAND))
    with connect(context) as client:
        if not given.workflow:
            what = fields.setdefault("task", {})
            what.setdefault("name", name)
            start_here(what, client)
        made = client.triggers.add(name=name, **fields, **rule)
    if as_json:
        print_json(made)
    else:
        tell(made)


@spread(rule=rule_fields, given=target_given)
def edit(
    context: typer.Context,
    trigger: Name,
    rule: dict[str, Any],
    given: TargetGiven,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Change a trigger from now on; what is not named stays."""
    from trainmaster.cli.output import print_json

    with connect(context) as client:
        before = client.triggers.get(trigger, coming=0).definition
        fields = given.fields(context.meta.get(COMMAND), before.get("task"))
        fields |= rule | ({"name": name} if name else {})
        changed = client.triggers.change(trigger, **fields)
    if as_json:
        print_json(changed)
    else:
        tell(changed)


for _command in (add, edit):
    _command.command_class = AfterDashes  # type: ignore[attr-defined]


def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """All triggers: by which rule, and when they are due next."""
    from trainmaster.cli.output import cell, console, print_json, table
    from trainmaster.cli.text import NOTHING, moment

    with connect(context) as client:
        found = client.triggers.list()
    if as_json:
        print_json(found)
        return
    if not found:
        console().print(cell("no triggers yet; make one: trainmaster trigger add NAME --every 6h -- COMMAND"))
        return
    made, now = table("trigger", "~rule", "next", "last", "overlap", ">live", ">missed"), time.time()
    for one in found:
        following = (
            "paused"
            if one.paused
            else "never"
            if one.next is None and not one.live
            else moment(one.next, now)
        )
        add_row(
            made,
            cell(one.name, "bold"),
            cell(in_words(one)),
            cell(following, "yellow" if one.paused else ""),
            cell(moment(one.last, now)),
            cell(one.definition["overlap"]),
            cell(len(one.live) or NOTHING),
            cell(one.missed or NOTHING),
        )
    console().print(made)


def show(
    context: typer.Context,
    trigger: Name,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="Due times shown.")] = SHOWN,
    as_json: AsJson = False,
) -> None:
    """One trigger: its rule, its next due times, what it starts, and its latest firings."""
    from trainmaster.cli.output import console, facts, print_json

    with connect(context) as client:
        found = client.triggers.get(trigger, coming=count)
        latest = client.triggers.firings(found.id, limit=SHOWN)
    if as_json:
        print_json(found)
        return
    definition, out = found.definition, console()
    rows: list[tuple[str, object]] = [
        ("trigger", f"{found.name} ({found.id}), of {found.user}" + (", paused" if found.paused else "")),
        ("rule", in_words(found)),
        ("starts", starts(found)),
        ("late", f"{definition['misfire']}; in time up to {definition['grace']:g} s"),
        ("overlapping", definition["overlap"]),
    ]
    if found.gap:
        rows.append(("clock changes", f"gap {found.gap}, fold {found.fold}"))
    if found.live or found.waiting:
        rows.append(("live", f"{', '.join(found.live[:SHOWN])}; {found.waiting} waiting"))
    rows += [("next" if not n else "", local(at, definition["zone"])) for n, at in enumerate(found.coming)]
    out.print(facts(*rows))
    if latest:
        out.print(firing_table(latest))


def pause(context: typer.Context, trigger: Name) -> None:
    """Let nothing fire; what comes due meanwhile is late when it goes on."""
    with connect(context) as client:
        say(f"{client.triggers.pause(trigger).name} is paused")


def resume(context: typer.Context, trigger: Name) -> None:
    """Let it fire again."""
    with connect(context) as client:
        found = client.triggers.resume(trigger)
    say(
        f"{found.name} goes on"
        + (f", next {local(found.next, found.definition['zone'])}" if found.next else "")
    )


def run(context: typer.Context, trigger: Name, as_json: AsJson = False) -> None:
    """Fire now, also while it is paused."""
    from trainmaster.cli.output import print_json

    with connect(context) as client:
        firing = client.triggers.run(trigger)
    if as_json:
        print_json(firing)
    else:
        say(f"{firing.outcome}: {firing.task or firing.run or firing.reason}")


def backfill(
    context: typer.Context,
    trigger: Name,
    since: Annotated[str, typer.Option(metavar="TIME", help="From here: 2d (ago), or when.")],
    until: Annotated[str, typer.Option(metavar="TIME", help="To before here.")] = "0s",
    start: Annotated[
        bool, typer.Option("--start", help="Start them; without it they are only shown.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make up for due times of the past that have not fired: first look, then --start."""
    from trainmaster.cli.output import counted, print_json
    from trainmaster.cli.text import instant

    now = time.time()
    with connect(context) as client:
        found = client.triggers.get(trigger, coming=0)
        begin, end = instant(since, now, "since"), min(instant(until, now, "until"), now - 1)
        plan = client.triggers.backfill(trigger, begin, end, start=start)
    if as_json:
        print_json(plan)
        return
    for at in plan.dues:
        say(local(at, found.definition["zone"]))
    deed = "started" if plan.started else "to start (add --start)"
    say(f"{counted(len(plan.dues), 'firing')} {deed}; {plan.fired} of the period have fired")


def delete(context: typer.Context, trigger: Name) -> None:
    """Delete a trigger. What it started goes on, and the history of its firings stays."""
    with connect(context) as client:
        client.triggers.delete(trigger)
    say(f"{trigger} is deleted")


def firings(
    context: typer.Context,
    trigger: Annotated[str | None, typer.Argument(metavar="[TRIGGER]", help="Default: of all.")] = None,
    outcome: Annotated[list[OutcomeName] | None, typer.Option(help="Only these; may be repeated.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="2d (ago), or when.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000)] = 20,
    as_json: AsJson = False,
) -> None:
    """What became of due times, the latest first: fired, waiting, skipped or missed, and why."""
    from trainmaster.cli.output import cell, console, print_json
    from trainmaster.cli.text import instant

    begin = None if since is None else instant(since, time.time(), "since")
    with connect(context) as client:
        found = client.triggers.firings(
            trigger, since=begin, outcomes=[name.value for name in outcome or ()], limit=limit
        )
        names = {one.id: one.name for one in client.triggers.list()} if trigger is None else None
    if as_json:
        print_json(found)
    elif found:
        console().print(firing_table(found, names))
    else:
        console().print(cell("nothing was due yet"))
