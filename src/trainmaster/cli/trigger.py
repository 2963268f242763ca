"""`trainmaster trigger`: the group, and its commands that need no service: when a rule is due, and whether
recurring tasks can meet their deadlines."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainmaster.cli import trigger_live
from trainmaster.cli.output import AsJson, add
from trainmaster.domain.trigger import Cron, Fold, Gap, Interval, InvalidTrigger, Rule, Timing
from trainmaster.realtime.model import Order

if TYPE_CHECKING:
    from trainmaster.realtime.analysis import Analysis
    from trainmaster.realtime.model import Recurring

app = typer.Typer(
    help="Tasks and workflows that start by the clock, again and again.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _command in (
    ("add", trigger_live.add),
    ("list", trigger_live.list_),
    ("show", trigger_live.show),
    ("edit", trigger_live.edit),
    ("pause", trigger_live.pause),
    ("resume", trigger_live.resume),
    ("run", trigger_live.run),
    ("backfill", trigger_live.backfill),
    ("firings", trigger_live.firings),
    ("delete", trigger_live.delete),
):
    app.command(_name, cls=getattr(_command, "command_class", None))(_command)
TICK = "0.001"
_FIELDS = {"name", "cron", "zone", "every", "cost", "deadline"}


@app.command("preview")
def preview(
    cron: Annotated[str | None, typer.Option(metavar="LINE", help="Five or six fields, or @daily.")] = None,
    every: Annotated[str | None, typer.Option(metavar="DURATION", help="Such as 90s or 6h.")] = None,
    zone: Annotated[str, typer.Option(help="IANA zone of the cron line and of excluded days.")] = "UTC",
    gap: Annotated[Gap | None, typer.Option(help="A local time that does not exist.")] = None,
    fold: Annotated[Fold | None, typer.Option(help="A local time that comes twice.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar="DAY", help="2026-12-24, A..B, 12-25.")] = None,
    after: Annotated[str | None, typer.Option(metavar="TIME", help="Default: now.")] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=10_000)] = 10,
    as_json: AsJson = False,
) -> None:
    """The next times a rule is due, in UTC and in its zone."""
    from trainmaster.cli.output import cell, console, print_json, table
    from trainmaster.cli.text import instant
    from trainmaster.policies.firing import due

    now = time.time()
    begin = now if after is None else instant(after, now, "after", ahead=True)
    rule = _rule(cron, every, zone, gap, fold)
    start_ms = int(begin * 1000) if isinstance(rule, Interval) else 0
    timing = Timing(rule, start_ms, exclusions=tuple(exclude or ()), zone=zone)
    due.validate(timing)
    found = [_both(moment, zone) for moment in due.preview(timing, int(begin * 1000), count)]
    if as_json:
        print_json(found)
        return
    made = table("UTC", zone, "offset")
    for moment in found:
        add(made, cell(moment["utc"]), cell(moment["local"]), cell(moment["offset"]))
    console().print(made if found else cell("it is never due again"))


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(metavar="TASKS.TOML", help="[[task]] tables; see below.")],
    workers: Annotated[int, typer.Option(min=1, max=10_000)] = 1,
    order: Annotated[Order, typer.Option(help="Who goes first.")] = Order.EARLIEST,
    preemptive: Annotated[
        bool, typer.Option("--preemptive", help="Tasks yield at once; else they run to completion.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Will recurring tasks with known durations meet their deadlines?

    Each [[task]] has a name, `every` or `cron` (with `zone`), `cost` and, if it is not the period,
    `deadline`. The period of a cron line is the shortest time between two of its next 2,000 firings. Exit
    code 0: yes; 1: no, or it cannot be shown.
    """
    from trainmaster.cli.output import cell, console, print_json, table
    from trainmaster.realtime.analysis import analyse

    tasks = _read(file)
    analysis = analyse(tasks, workers, order, preemptive)
    if as_json:
        print_json(_as_json(analysis))
    else:
        out = console()
        made = table("~task", ">cost", ">period", ">deadline", ">worst response")
        for task in tasks:
            response = analysis.responses.get(task.name)
            cells = (task.cost, task.period, task.deadline, response)
            shown = ["–" if ticks is None else f"{ticks / 1000:g} s" for ticks in cells]
            add(made, cell(task.name, "bold"), *(cell(text) for text in shown))
        out.print(made)
        for verdict in analysis.verdicts:
            out.print(cell(f"{_WORDS[verdict.feasible]:8} {verdict.test}: {verdict.reason}"))
        share = f"utilisation {analysis.utilisation:.3f} of {workers}"
        out.print(cell(f"{_ANSWERS[analysis.feasible]} ({share})"))
    if not analysis.feasible:
        raise typer.Exit(1)


_WORDS = {True: "yes", False: "no", None: "unknown"}
_ANSWERS = {
    True: "every deadline is met",
    False: "a deadline can be missed",
    None: "cannot be shown that every deadline is met",
}


def _rule(cron: str | None, every: str | None, zone: str, gap: Gap | None, fold: Fold | None) -> Rule:
    from trainmaster.domain.units import parse_duration

    if (cron is None) == (every is None):
        raise InvalidTrigger("a rule is needed, and one only", remedy="give --cron or --every", field="rule")
    if cron is not None:
        return Cron(cron, zone, gap, fold)
    return Interval(round(parse_duration(every or "", "every") * 1000))


def _both(moment_ms: int, zone: str) -> dict[str, Any]:
    from datetime import UTC, datetime

    from trainmaster.domain.trigger import zone_named

    utc = datetime.fromtimestamp(moment_ms / 1000, UTC)
    local = utc.astimezone(zone_named(zone))
    return {
        "due": moment_ms / 1000,
        "utc": f"{utc:%Y-%m-%d %H:%M:%S}",
        "local": f"{local:%Y-%m-%d %H:%M:%S}",
        "offset": f"{local:%z}",
    }


def _read(file: Path) -> list[Recurring]:
    import tomllib

    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8")).get("task", [])
    except OSError as error:
        raise InvalidTrigger(f"{file}: {error.strerror}", remedy="give a TOML file", field="file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidTrigger(f"{file} is not valid TOML: {error}", remedy="mend it", field="file") from None
    if not isinstance(tables, list) or not tables or not all(isinstance(one, dict) for one in tables):
        remedy = "write [[task]] tables with name, every or cron, and cost"
        raise InvalidTrigger(f"{file} has no tasks", remedy=remedy, field="task")
    return [_recurring(one, number) for number, one in enumerate(tables, 1)]


def _recurring(fields: dict[str, Any], number: int) -> Recurring:
    from trainmaster.domain.units import parse_duration
    from trainmaster.policies.firing import due
    from trainmaster.realtime.model import recurring

    name = str(fields.get("name", f"task {number}"))
    if unknown := sorted(set(fields) - _FIELDS):
        known = "known fields: " + ", ".join(sorted(_FIELDS))
        raise InvalidTrigger(f"{name}: there is no field {unknown[0]}", remedy=known, field=unknown[0])
    if "cost" not in fields:
        raise InvalidTrigger(f"{name}: cost is missing", remedy='write cost = "2s"', field="cost")
    for field in ("cron", "zone"):
        if not isinstance(fields.get(field, ""), str):
            raise InvalidTrigger(f"{name}: {field} is not text", remedy="put it in quotes", field=field)
    rule = _rule(fields.get("cron"), fields.get("every"), fields.get("zone", "UTC"), None, None)
    timing = Timing(rule)
    due.validate(timing)
    period_ms = due.shortest_period(timing, int(time.time() * 1000)) or 0
    deadline = fields.get("deadline")
    deadline_s = None if deadline is None else parse_duration(deadline, "deadline")
    return recurring(name, parse_duration(fields["cost"], "cost"), period_ms / 1000, deadline_s, TICK)


def _as_json(analysis: Analysis) -> dict[str, Any]:
    """Durations in seconds."""
    return {
        "feasible": analysis.feasible,
        "utilisation": analysis.utilisation,
        "workers": analysis.workers,
        "order": analysis.order.value,
        "preemptive": analysis.preemptive,
        "responses": {
            name: None if ticks is None else ticks / 1000 for name, ticks in analysis.responses.items()
        },
        "verdicts": [
            {"test": v.test, "feasible": v.feasible, "exact": v.exact, "reason": v.reason}
            for v in analysis.verdicts
        ],
    }
