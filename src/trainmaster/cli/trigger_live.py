"""`trainmaster trigger`: the commands that talk to the service."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainmaster.cli.output import AsJson
from trainmaster.cli.output import add as add_row
from trainmaster.cli.submit import COMMAND, AfterDashes, from_file, pairs, parse_json, start_here
from trainmaster.cli.target import connect
from trainmaster.domain.trigger import Fold, Gap, Misfire, Overlap

if TYPE_CHECKING:
    from trainmaster.client.types import Firing, Trigger

_RULE, _LATE, _TASK = "When it is due", "Late and overlapping firings", "What it starts"
_COMING = 5

Name = Annotated[str, typer.Argument(metavar="TRIGGER", help="Its name, or its id.")]
CronLine = Annotated[
    str | None,
    typer.Option("--cron", metavar="LINE", help="Five or six fields, or @daily.", rich_help_panel=_RULE),
]
Every = Annotated[
    str | None, typer.Option(metavar="DURATION", help="Such as 90s or 6h.", rich_help_panel=_RULE)
]
At = Annotated[
    str | None, typer.Option(metavar="TIME", help="Once: in how long (2h), or when.", rich_help_panel=_RULE)
]
AfterEnd = Annotated[
    bool | None,
    typer.Option("--after-end", help="Count --every from the end of the task before.", rich_help_panel=_RULE),
]
Zone = Annotated[
    str | None, typer.Option(help="IANA zone of the line and of excluded days.", rich_help_panel=_RULE)
]
GapName = Annotated[Gap | None, typer.Option(help="A local time that does not exist.", rich_help_panel=_RULE)]
FoldName = Annotated[Fold | None, typer.Option(help="A local time that comes twice.", rich_help_panel=_RULE)]
Exclude = Annotated[
    list[str] | None, typer.Option(metavar="DAY", help="2026-12-24, A..B, 12-25.", rich_help_panel=_RULE)
]
Start = Annotated[str | None, typer.Option(metavar="TIME", help="Not before.", rich_help_panel=_RULE)]
End = Annotated[str | None, typer.Option(metavar="TIME", help="Not after.", rich_help_panel=_RULE)]
Jitter = Annotated[
    str | None, typer.Option(metavar="DURATION", help="Start up to this much later.", rich_help_panel=_RULE)
]
MisfireName = Annotated[
    Misfire | None, typer.Option(help="What nobody could start in time.", rich_help_panel=_LATE)
]
OverlapName = Annotated[
    Overlap | None, typer.Option(help="While an earlier one is live.", rich_help_panel=_LATE)
]
Grace = Annotated[
    str | None, typer.Option(help="So late is still in time; default 10s.", rich_help_panel=_LATE)
]
Window = Annotated[
    str | None, typer.Option(help="How far catch-up reaches; default 1d.", rich_help_panel=_LATE)
]
Deadline = Annotated[
    str | None, typer.Option(help="Of each task, after its due time.", rich_help_panel=_LATE)
]


class OutcomeName(StrEnum):
    FIRED = "fired"
    WAITING = "waiting"
    SKIPPED = "skipped"
    MISSED = "missed"


def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A name no other trigger has.")],
    cron: CronLine = None,
    every: Every = None,
    at: At = None,
    after_end: AfterEnd = None,
    zone: Zone = None,
    gap: GapName = None,
    fold: FoldName = None,
    exclude: Exclude = None,
    start: Start = None,
    end: End = None,
    jitter: Jitter = None,
    misfire: MisfireName = None,
    overlap: OverlapName = None,
    grace: Grace = None,
    window: Window = None,
    deadline: Deadline = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="TASK.TOML", help="A file as for `submit`.", rich_help_panel=_TASK),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any field of the task.", rich_help_panel=_TASK),
    ] = None,
    function: Annotated[
        str | None, typer.Option(metavar="MODULE:NAME", help="Call a Python function.", rich_help_panel=_TASK)
    ] = None,
    arguments: Annotated[
        str | None, typer.Option(metavar="JSON", help="The function's arguments.", rich_help_panel=_TASK)
    ] = None,
    image: Annotated[str | None, typer.Option(help="Run in a container.", rich_help_panel=_TASK)] = None,
    directory: Annotated[
        str | None, typer.Option("--directory", "-C", help="Where it starts.", rich_help_panel=_TASK)
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option("--env", "-e", metavar="NAME[=VALUE]", help="A variable.", rich_help_panel=_TASK),
    ] = None,
    cpus: Annotated[float | None, typer.Option(help="Cores for each worker.", rich_help_panel=_TASK)] = None,
    memory: Annotated[str | None, typer.Option(help="Such as 8GB.", rich_help_panel=_TASK)] = None,
    gpus: Annotated[int | None, typer.Option(help="For each worker.", rich_help_panel=_TASK)] = None,
    workers: Annotated[
        str | None, typer.Option(metavar="N|MIN..MAX", help="How many.", rich_help_panel=_TASK)
    ] = None,
    timeout: Annotated[str | None, typer.Option(help="End it after this.", rich_help_panel=_TASK)] = None,
    estimate: Annotated[
        str | None, typer.Option(help="Expected duration, such as 20m.", rich_help_panel=_TASK)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a trigger: a rule, and a task for each time it is due.

    trainmaster trigger add nightly --cron '30 2 * * *' --zone Europe/Berlin -- python train.py
    """
    from trainmaster.cli.output import print_json
    from trainmaster.cli.taskfile import set_field

    what = from_file(task)
    for assignment in set_ or ():
        set_field(what, assignment)
    given = {
        "function": function,
        "arguments": None if arguments is None else parse_json(arguments),
        "image": image,
        "directory": None if directory is None else str(Path(directory).expanduser().absolute()),
        "cpus": cpus,
        "memory": memory,
        "gpus": gpus,
        "workers": workers,
        "timeout": timeout,
        "estimate": estimate,
        "command": context.meta.get(COMMAND),
    }
    what |= {field: value for field, value in given.items() if value not in (None, [])}
    if env:
        what["environment"] = {**what.get("environment", {}), **pairs(env, "environment", True)}
    what.setdefault("name", name)
    fields = _rule(
        cron, every, at, after_end, zone, gap, fold, exclude, start, end, jitter, misfire, overlap, grace,
        window, deadline,
    )  # fmt: skip
    with connect(context) as client:
        start_here(what, client)
        made = client.triggers.add(name=name, task=what, **fields)  # type: ignore[arg-type]
    if as_json:
        print_json(made)
    else:
        _tell(made)


add.command_class = AfterDashes  # type: ignore[attr-defined]


def edit(
    context: typer.Context,
    trigger: Name,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    cron: CronLine = None,
    every: Every = None,
    at: At = None,
    after_end: AfterEnd = None,
    zone: Zone = None,
    gap: GapName = None,
    fold: FoldName = None,
    exclude: Exclude = None,
    start: Start = None,
    end: End = None,
    jitter: Jitter = None,
    misfire: MisfireName = None,
    overlap: OverlapName = None,
    grace: Grace = None,
    window: Window = None,
    deadline: Deadline = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="TASK.TOML", help="Another task, as for `submit`.", rich_help_panel=_TASK),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change a trigger from now on; what is not named stays."""
    from trainmaster.cli.output import print_json

    fields = _rule(
        cron, every, at, after_end, zone, gap, fold, exclude, start, end, jitter, misfire, overlap, grace,
        window, deadline,
    )  # fmt: skip
    fields |= {"name": name} if name else {}
    fields |= {"task": from_file(task)} if task else {}
    with connect(context) as client:
        changed = client.triggers.change(trigger, **fields)
    if as_json:
        print_json(changed)
    else:
        _tell(changed)


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
            cell(_in_words(one)),
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
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="Due times shown.")] = _COMING,
    as_json: AsJson = False,
) -> None:
    """One trigger: its rule, its next due times, what it starts, and its latest firings."""
    from trainmaster.cli.output import console, facts, print_json

    with connect(context) as client:
        found = client.triggers.get(trigger, coming=count)
        latest = client.triggers.firings(found.id, limit=_COMING)
    if as_json:
        print_json(found)
        return
    definition, out = found.definition, console()
    task = definition["task"]
    what = task.get("function") or " ".join(task.get("command", [])) or task.get("image", "")
    rows: list[tuple[str, object]] = [
        ("trigger", f"{found.name} ({found.id}), of {found.user}" + (", paused" if found.paused else "")),
        ("rule", _in_words(found)),
        ("starts", what),
        ("late", f"{definition['misfire']}; in time up to {definition['grace']:g} s"),
        ("overlapping", definition["overlap"]),
    ]
    if found.gap:
        rows.append(("clock changes", f"gap {found.gap}, fold {found.fold}"))
    if found.live or found.waiting:
        rows.append(("live", f"{', '.join(found.live[:_COMING])}; {found.waiting} waiting"))
    rows += [("next" if not n else "", _local(at, definition["zone"])) for n, at in enumerate(found.coming)]
    out.print(facts(*rows))
    if latest:
        out.print(_firing_table(latest))


def pause(context: typer.Context, trigger: Name) -> None:
    """Let nothing fire; what comes due meanwhile is late when it goes on."""
    with connect(context) as client:
        _say(f"{client.triggers.pause(trigger).name} is paused")


def resume(context: typer.Context, trigger: Name) -> None:
    """Let it fire again."""
    with connect(context) as client:
        found = client.triggers.resume(trigger)
    _say(
        f"{found.name} goes on"
        + (f", next {_local(found.next, found.definition['zone'])}" if found.next else "")
    )


def run(context: typer.Context, trigger: Name, as_json: AsJson = False) -> None:
    """Fire now, also while it is paused."""
    from trainmaster.cli.output import print_json

    with connect(context) as client:
        firing = client.triggers.run(trigger)
    if as_json:
        print_json(firing)
    else:
        _say(f"{firing.outcome}: {firing.task or firing.reason}")


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
        _say(_local(at, found.definition["zone"]))
    deed = "started" if plan.started else "to start (add --start)"
    _say(f"{counted(len(plan.dues), 'firing')} {deed}; {plan.fired} of the period have fired")


def delete(context: typer.Context, trigger: Name) -> None:
    """Delete a trigger. What it started goes on, and the history of its firings stays."""
    with connect(context) as client:
        client.triggers.delete(trigger)
    _say(f"{trigger} is deleted")


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
        console().print(_firing_table(found, names))
    else:
        console().print(cell("nothing was due yet"))


# --- inside ------------------------------------------------------------------------------------------------


def _rule(
    cron: str | None,
    every: str | None,
    at: str | None,
    after_end: bool | None,
    zone: str | None,
    gap: Gap | None,
    fold: Fold | None,
    exclude: list[str] | None,
    start: str | None,
    end: str | None,
    jitter: str | None,
    misfire: Misfire | None,
    overlap: Overlap | None,
    grace: str | None,
    window: str | None,
    deadline: str | None,
) -> dict[str, Any]:
    """The fields that were given."""
    from trainmaster.cli.text import instant

    now = time.time()

    def when(text: str | None, field: str) -> float | None:
        return None if text is None else instant(text, now, field, ahead=True)

    fields = {
        "cron": cron,
        "every": every,
        "at": when(at, "at"),
        "after_end": after_end or None,
        "zone": zone,
        "gap": gap and gap.value,
        "fold": fold and fold.value,
        "exclude": exclude or None,
        "start": when(start, "start"),
        "end": when(end, "end"),
        "jitter": jitter,
        "misfire": misfire and misfire.value,
        "overlap": overlap and overlap.value,
        "grace": grace,
        "window": window,
        "deadline": deadline,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _in_words(trigger: Trigger) -> str:
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


def _local(at: float, zone: str) -> str:
    """In the trigger's own zone, and in UTC if that is another."""
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    utc = datetime.fromtimestamp(at, UTC)
    local = utc.astimezone(ZoneInfo(zone))
    aside = "" if not local.utcoffset() else f" ({utc:%H:%M:%S} UTC)"
    return f"{local:%Y-%m-%d %H:%M:%S} {zone}{aside}"


def _firing_table(found: list[Firing], names: dict[str, str] | None = None) -> Any:
    from trainmaster.cli.output import cell, state, table
    from trainmaster.cli.text import NOTHING, moment

    now = time.time()
    made = table(
        *(["~trigger"] if names is not None else []), "due", "outcome", "task", "state", ">delay", "~reason"
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
            cell(row.task or NOTHING),
            state(row.state or NOTHING),
            cell(delay),
            cell(why),
        ]
        add_row(made, *cells)
    return made


def _tell(made: Trigger) -> None:
    _say(f"{made.id}  {made.name}  {_in_words(made)}")
    for number, at in enumerate(made.coming[:_COMING]):
        _say(f"{'next' if not number else '    '}  {_local(at, made.definition['zone'])}")
    if not made.coming:
        _say("it is never due")
    for warning in made.warnings:
        typer.secho(f"warning: {warning}", err=True, fg="yellow")


def _say(text: str) -> None:
    from trainmaster.cli.text import clean

    print(clean(text), flush=True)
