"""`trainmaster alarm`: what is wrong, and who is told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainmaster.cli import alarm_channel
from trainmaster.cli.output import AsJson, add
from trainmaster.cli.target import connect

if TYPE_CHECKING:
    from trainmaster.client.types import AlarmRule

app = typer.Typer(
    help="What is wrong, the rules that say so, and the channels that carry it.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(alarm_channel.app, name="channel")

_STYLES = {"OPEN": "bold red", "ACKNOWLEDGED": "yellow", "RESOLVED": "dim"}
_WHAT, _WHEN, _WHOM = "What it covers", "When it opens and ends", "Whom it tells"


@app.command("list")
def list_(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", "-a", help="Those that are over, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List open alarms, the latest first."""
    from trainmaster.cli.output import cell, console, print_json, table
    from trainmaster.cli.text import moment

    with connect(context) as client:
        found = client.alarms(all=all_, limit=limit).alarms
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo("no alarm is open" if not all_ else "there was no alarm")
        return
    made = table("alarm", "state", "severity", "rule", ">times", "opened", "~what")
    now = time.time()
    for alarm in found:
        taken = f" by {alarm.acknowledged_by}" if alarm.state == "ACKNOWLEDGED" else ""
        add(
            made,
            cell(alarm.id, "bold"),
            cell(alarm.state + taken, _STYLES.get(alarm.state, "")),
            cell(alarm.severity),
            cell(f"{alarm.rule} {alarm.group}".strip()),
            cell(alarm.count),
            cell(moment(alarm.opened_at, now)),
            cell(alarm.text),
        )
    console().print(made)


@app.command()
def ack(
    context: typer.Context,
    alarms: Annotated[list[str], typer.Argument(help="Their ids, as listed.")],
    as_json: AsJson = False,
) -> None:
    """Take care of alarms: each is told again only when it is over."""
    from trainmaster.cli.output import print_json

    with connect(context) as client:
        found = [client.acknowledge(alarm) for alarm in alarms]
    if as_json:
        print_json(found)
        return
    for alarm in found:
        over = alarm.state == "RESOLVED"
        typer.echo(f"{alarm.id} is over already" if over else f"{alarm.id} is {alarm.acknowledged_by}'s")


@app.command()
def rules(context: typer.Context, as_json: AsJson = False) -> None:
    """List the rules."""
    from trainmaster.cli.output import cell, console, print_json, table

    with connect(context) as client:
        found = client.alarm_rules()
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo("there is no rule; for example:\n  trainmaster alarm add failures task-failed --after 3")
        return
    made = table("rule", "severity", "~opens", "by", "channels")
    for rule in found:
        name = cell(rule.name, "bold" if rule.enabled else "dim")
        opens = opens_when(rule) if rule.enabled else f"switched off; {opens_when(rule)}"
        channels = cell(", ".join(rule.channels) or "the page alone")
        add(made, name, cell(rule.severity), cell(opens), cell(rule.group), channels)
    console().print(made)


@app.command("add")
def add_(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Of the rule; one of this name is replaced.")],
    condition: Annotated[
        str,
        typer.Argument(
            help="task-failed, retries-used-up, timeout, firing-delay, firing-missed, node-lost, no-success, "
            "queue-wait, no-progress, node-pressure or over-capacity."
        ),
    ],
    tasks: Annotated[
        str | None, typer.Option(help="Pattern of task or trigger names.", rich_help_panel=_WHAT)
    ] = None,
    user: Annotated[str | None, typer.Option(help="Only their tasks.", rich_help_panel=_WHAT)] = None,
    nodes: Annotated[str | None, typer.Option(help="Pattern of node names.", rich_help_panel=_WHAT)] = None,
    resource: Annotated[
        str | None,
        typer.Option(help="Of node-pressure: cpu, memory, gpu, gpu_memory, disk.", rich_help_panel=_WHAT),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="What shares one alarm: rule, name, task, user, node, trigger.", rich_help_panel=_WHAT
        ),
    ] = None,
    limit: Annotated[
        str | None, typer.Option(help="10m; or a share, 0.9, of nodes.", rich_help_panel=_WHEN)
    ] = None,
    hold: Annotated[
        str | None, typer.Option("--for", help="It must hold so long.", rich_help_panel=_WHEN)
    ] = None,
    after: Annotated[int | None, typer.Option(min=1, help="So many times…", rich_help_panel=_WHEN)] = None,
    within: Annotated[str | None, typer.Option(help="…within this time.", rich_help_panel=_WHEN)] = None,
    resolve: Annotated[
        str | None, typer.Option(help="Over once it has not happened for so long.", rich_help_panel=_WHEN)
    ] = None,
    severity: Annotated[
        str | None, typer.Option(help="info, warning or critical.", rich_help_panel=_WHOM)
    ] = None,
    channel: Annotated[
        list[str] | None, typer.Option("--channel", "-c", help="May be repeated.", rich_help_panel=_WHOM)
    ] = None,
    quiet: Annotated[
        str | None, typer.Option(help="Nothing is told twice within this time.", rich_help_panel=_WHOM)
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Make it, switched off.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a rule, or replace it.

    trainmaster alarm add failures task-failed --tasks 'train-*' --after 3 --within 10m -c ops
    """
    from trainmaster.cli.output import print_json

    given: dict[str, Any] = {
        "condition": condition, "tasks": tasks, "user": user, "nodes": nodes, "resource": resource,
        "group": group, "limit": _number(limit), "hold": hold, "after": after, "within": within,
        "resolve": resolve, "severity": severity, "channels": channel, "quiet": quiet,
        "enabled": False if off else None,
    }  # fmt: skip
    fields: Any = {field: value for field, value in given.items() if value not in (None, [])}
    with connect(context) as client:
        rule = client.set_alarm_rule(name, **fields)
    if as_json:
        print_json(rule)
        return
    told = ", ".join(rule.channels) or "the page alone; channels: trainmaster alarm channel set"
    typer.echo(f"{rule.name}: {opens_when(rule)}; told: {told}")


@app.command()
def remove(context: typer.Context, rule: Annotated[str, typer.Argument(help="Its name.")]) -> None:
    """Remove a rule; its open alarms are over."""
    with connect(context) as client:
        client.drop_alarm_rule(rule)
    typer.echo(f"{rule} is removed")


@app.command()
def test(
    context: typer.Context,
    rule: Annotated[str, typer.Argument(help="Whose channels to try.")],
    as_json: AsJson = False,
) -> None:
    """Send a test over a rule's channels. Exits with 1 if one of them fails."""
    from trainmaster.cli.output import print_json

    with connect(context) as client:
        found = client.try_alarm_rule(rule)
    if as_json:
        print_json(found)
    else:
        for send in found:
            typer.echo(alarm_channel.outcome(send))
        if not found:
            typer.echo(f"{rule} has no channel")
    if any(send.state != "SENT" for send in found):
        raise typer.Exit(1)


def opens_when(rule: AlarmRule) -> str:
    """A rule in words."""
    from trainmaster.cli.text import span

    words = [rule.condition]
    if rule.condition == "node-pressure":
        words.append(f"{rule.resource} above {0.9 if rule.limit is None else rule.limit:.0%}")
    elif rule.condition == "over-capacity":
        words.append(f"above {1.0 if rule.limit is None else rule.limit:.0%}")
    elif rule.limit is not None:
        words.append(f"over {span(rule.limit)}")
    if rule.for_s:
        words.append(f"for {span(rule.for_s)}")
    if rule.after > 1:
        words.append(f"{rule.after} times within {span(rule.within_s)}")
    words += [f"of {pattern}" for pattern in (rule.tasks, rule.nodes) if pattern != "*"]
    if rule.user is not None:
        words.append(f"of {rule.user}'s tasks")
    return " ".join(words)


def _number(text: str | None) -> float | str | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
