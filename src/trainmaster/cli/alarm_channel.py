"""`trainmaster alarm channel`: the ways to people."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from trainmaster.cli.output import AsJson, add
from trainmaster.cli.target import connect

if TYPE_CHECKING:
    from trainmaster.client.types import Send

app = typer.Typer(
    help="The ways to people: webhooks, mail, and what Apprise knows.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("list")
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """List the channels. Their secrets are never shown."""
    from trainmaster.cli.output import cell, console, print_json, table

    with connect(context) as client:
        found = client.channels()
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo("there is no channel; for example:")
        typer.echo("  trainmaster alarm channel set ops webhook url=https://example.org/hook --secret")
        return
    made = table("channel", "kind", "~settings", "by")
    for channel in found:
        settings = " ".join(f"{name}={value}" for name, value in sorted(channel.settings.items()))
        kind = channel.kind if channel.enabled else f"{channel.kind} (off)"
        add(made, cell(channel.name, "bold"), cell(kind), cell(settings), cell(channel.changed_by))
    console().print(made)


@app.command("set")
def set_(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Of the channel; one of this name is replaced.")],
    kind: Annotated[str, typer.Argument(help="webhook, smtp or apprise.")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=VALUE…",
            help="webhook: url. smtp: host, sender, to, and port, security (none, starttls, tls), user.",
        ),
    ] = None,
    secret: Annotated[
        bool,
        typer.Option(
            "--secret",
            help="Ask for the secret: webhook's signing secret, smtp's password, apprise's url. "
            "Read from standard input if that is no terminal.",
        ),
    ] = False,
    off: Annotated[bool, typer.Option("--off", help="Switched off.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a channel, or replace it. A secret that is not given again stays as it is."""
    from trainmaster.cli.output import print_json

    given = dict(_pair(text) for text in settings or [])
    if secret:
        field = {"webhook": "secret", "smtp": "password"}.get(kind, "url")
        # Not as an argument: those are seen by everybody on the machine, and kept in histories.
        ask = sys.stdin.isatty()
        given[field] = typer.prompt(field, hide_input=True) if ask else sys.stdin.readline().strip()
    with connect(context) as client:
        channel = client.set_channel(name, kind, given, enabled=not off)
    if as_json:
        print_json(channel)
        return
    typer.echo(f"{channel.name} is set; try it: trainmaster alarm channel test {channel.name}")


@app.command()
def test(
    context: typer.Context, channel: Annotated[str, typer.Argument(help="Its name.")], as_json: AsJson = False
) -> None:
    """Send a test, now and once. Exits with 1 if it fails."""
    from trainmaster.cli.output import print_json

    with connect(context) as client:
        send = client.try_channel(channel)
    if as_json:
        print_json(send)
    else:
        typer.echo(outcome(send))
    if send.state != "SENT":
        raise typer.Exit(1)


@app.command()
def sends(
    context: typer.Context,
    channel: Annotated[str, typer.Argument(help="Its name.")],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """What was sent over a channel, the latest first."""
    from trainmaster.cli.output import cell, console, print_json, table
    from trainmaster.cli.text import moment

    with connect(context) as client:
        found = client.sends(channel, limit=limit)
    if as_json:
        print_json(found)
        return
    made = table("message", "state", ">attempts", "made", ">notices", "~first", "~error")
    now = time.time()
    for send in found:
        first = send.notices[0]
        add(
            made,
            cell(send.id, "bold"),
            cell(send.state, {"SENT": "green", "FAILED": "bold red"}.get(send.state, "yellow")),
            cell(send.attempts),
            cell(moment(send.created_at, now)),
            cell(len(send.notices) + send.more),
            cell(f"{first.kind}: {first.rule}: {first.text}"),
            cell(send.error),
        )
    console().print(made)


@app.command()
def remove(context: typer.Context, channel: Annotated[str, typer.Argument(help="Its name.")]) -> None:
    """Remove a channel that no rule uses."""
    with connect(context) as client:
        client.drop_channel(channel)
    typer.echo(f"{channel} is removed")


def outcome(send: Send) -> str:
    """What became of a message, in a line."""
    from trainmaster.cli.text import clean

    return clean(
        f"{send.channel}: sent" if send.state == "SENT" else f"{send.channel}: {send.error} ({send.code})"
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE")
    return name, value
