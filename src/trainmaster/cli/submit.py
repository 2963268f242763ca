"""`trainmaster submit`: flags, a task file, or both; then the command."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from trainmaster.cli.output import AsJson
from trainmaster.cli.submit_parts import submit_parts
from trainmaster.cli.target import connect
from trainmaster.domain.errors import InvalidTask

if TYPE_CHECKING:
    from trainmaster.client import Client
    from trainmaster.client.types import Task

COMMAND = "trainmaster.command"
_WHAT, _NEEDS, _ORDER, _RETRY, _THEN = "What to run", "What it needs", "When it runs", "If it fails", "Then"


class UrgencyName(StrEnum):
    NORMAL = "normal"
    URGENT = "urgent"
    HIGHEST = "highest"


class ElasticityName(StrEnum):
    AUTO = "auto"
    RESTART = "restart"
    NONE = "none"


class NetworkName(StrEnum):
    NONE = "none"
    BRIDGE = "bridge"
    HOST = "host"


class AfterDashes(TyperCommand):
    """Everything after `--` is the command, and nothing in it is an option of ours."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[COMMAND] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND ARGS...]"]


def submit(
    context: typer.Context,
    file: Annotated[
        str | None, typer.Argument(metavar="[TASK.TOML]", help="A file with the same fields.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any field, over the file's."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Default: the command's.", rich_help_panel=_WHAT)] = None,
    image: Annotated[
        str | None, typer.Option(help="Run it in a container of this image.", rich_help_panel=_WHAT)
    ] = None,
    directory: Annotated[
        str | None,
        typer.Option("--directory", "-C", help="Where it starts; default: here.", rich_help_panel=_WHAT),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            "-e",
            metavar="NAME[=VALUE]",
            help="A variable; without a value, yours.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    volume: Annotated[
        list[str] | None,
        typer.Option(
            "--volume",
            "-v",
            metavar="HOST:INSIDE[:ro]",
            help="A folder for the container.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    network: Annotated[
        NetworkName | None, typer.Option(help="The container's network.", rich_help_panel=_WHAT)
    ] = None,
    function: Annotated[
        str | None,
        typer.Option(metavar="MODULE:NAME", help="Call a Python function instead.", rich_help_panel=_WHAT),
    ] = None,
    arguments: Annotated[
        str | None, typer.Option(metavar="JSON", help="The function's arguments.", rich_help_panel=_WHAT)
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="To find it by.", rich_help_panel=_WHAT)
    ] = None,
    cpus: Annotated[
        float | None, typer.Option(help="Cores for each worker; default 1.", rich_help_panel=_NEEDS)
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help="For each worker, such as 8GB.", rich_help_panel=_NEEDS)
    ] = None,
    gpus: Annotated[int | None, typer.Option(help="For each worker.", rich_help_panel=_NEEDS)] = None,
    workers: Annotated[
        str | None,
        typer.Option(metavar="N|MIN..MAX", help="How many; a range lets it grow.", rich_help_panel=_NEEDS),
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option(min=1, help="So many tasks, each of which knows its number.", rich_help_panel=_NEEDS),
    ] = None,
    broadcast: Annotated[
        bool, typer.Option("--broadcast", help="One task on every node.", rich_help_panel=_NEEDS)
    ] = False,
    elastic: Annotated[
        ElasticityName | None,
        typer.Option(help="How it is resized while it runs; default auto.", rich_help_panel=_NEEDS),
    ] = None,
    node_label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Only nodes with this label.", rich_help_panel=_NEEDS),
    ] = None,
    urgency: Annotated[
        UrgencyName | None, typer.Option(help="`highest` may preempt others.", rich_help_panel=_ORDER)
    ] = None,
    priority: Annotated[
        float | None, typer.Option(help="Higher first, within its urgency.", rich_help_panel=_ORDER)
    ] = None,
    after: Annotated[
        list[str] | None,
        typer.Option(metavar="TASK", help="Only once this one succeeded.", rich_help_panel=_ORDER),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Not before: in how long (2h), or when.", rich_help_panel=_ORDER),
    ] = None,
    estimate: Annotated[
        str | None, typer.Option(help="Expected duration, such as 20m.", rich_help_panel=_ORDER)
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(help="In how long (2h), or when (18:00).", rich_help_panel=_ORDER)
    ] = None,
    no_preempt: Annotated[
        bool, typer.Option("--no-preempt", help="Never interrupt it for others.", rich_help_panel=_ORDER)
    ] = False,
    timeout: Annotated[
        str | None, typer.Option(help="End an attempt after this, such as 90s.", rich_help_panel=_RETRY)
    ] = None,
    queue_timeout: Annotated[
        str | None, typer.Option(help="Give up after waiting this long.", rich_help_panel=_RETRY)
    ] = None,
    grace: Annotated[
        str | None, typer.Option(help="Between TERM and KILL; default 10s.", rich_help_panel=_RETRY)
    ] = None,
    attempts: Annotated[
        int | None, typer.Option(help="Attempts in all; default 1.", rich_help_panel=_RETRY)
    ] = None,
    backoff: Annotated[
        str | None, typer.Option(help="Wait before the second, doubling.", rich_help_panel=_RETRY)
    ] = None,
    retry_on: Annotated[
        list[int] | None,
        typer.Option(metavar="EXIT", help="Only after this exit code.", rich_help_panel=_RETRY),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Submitting again with the same key changes nothing.", rich_help_panel=_THEN),
    ] = None,
    wait: Annotated[
        bool,
        typer.Option("--wait", "-w", help="Return when it ends: 0 if well, else 1.", rich_help_panel=_THEN),
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print its log until it ends.", rich_help_panel=_THEN)
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the id alone.", rich_help_panel=_THEN)
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Submit a task: a command, a container or a function.

    trainmaster submit --gpus 1 --memory 8GB -- python train.py --epochs 30
    """
    fields = from_file(file)
    flags: dict[str, Any] = {
        "name": name,
        "image": image,
        "directory": None if directory is None else str(Path(directory).expanduser().absolute()),
        "volumes": volume,
        "network": network and network.value,
        "function": function,
        "arguments": None if arguments is None else parse_json(arguments),
        "cpus": cpus,
        "memory": memory,
        "gpus": gpus,
        "workers": workers,
        "elasticity": elastic and elastic.value,
        "urgency": urgency and urgency.value,
        "priority": priority,
        "after": after,
        "timeout": timeout,
        "queue_timeout": queue_timeout,
        "estimate": estimate,
        "deadline": None if deadline is None else _moment(deadline, "deadline"),
        "start_at": None if at is None else _moment(at, "at"),
        "grace": grace,
        "preemptible": False if no_preempt else None,
        "command": context.meta.get(COMMAND),
    }
    from trainmaster.cli.taskfile import set_field

    for assignment in set_ or ():
        set_field(fields, assignment)
    fields |= {name: value for name, value in flags.items() if value not in (None, [])}
    retry = {"attempts": attempts, "backoff": backoff, "on_exits": retry_on or None}
    given = {name: value for name, value in retry.items() if value is not None}
    if given:
        fields["retry"] = {**fields.get("retry", {}), **given}
    for field, words, borrow in (
        ("environment", env, True),
        ("labels", label, False),
        ("node_labels", node_label, False),
    ):
        if words:
            fields[field] = {**fields.get(field, {}), **pairs(words, field, borrow)}
    with connect(context) as client:
        start_here(fields, client)
        if shards is not None or broadcast:
            if follow or (shards is not None and broadcast):
                raise typer.BadParameter("--shards, --broadcast and --follow exclude each other")
            submit_parts(client, fields, shards, broadcast, key, wait, quiet, as_json)
            return
        task = client.submit(idempotency_key=key, **fields)
        _answer(client, task, wait, follow, quiet, as_json)


submit.command_class = AfterDashes  # type: ignore[attr-defined]


def from_file(file: str | None) -> dict[str, Any]:
    if file is None:
        return {}
    from trainmaster.cli.taskfile import read_task

    if not file.endswith(".toml"):
        raise InvalidTask(
            f"{file} is not a task file (its name does not end in .toml)",
            remedy=f"to run a command, put it after `--`: trainmaster submit -- {file} …",
        )
    return read_task(Path(file))


def parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidTask(
            f"arguments: not JSON: {error}", remedy="""write it like '{"days": 7}'""", field="arguments"
        ) from None


def _moment(text: str, field: str) -> float:
    from trainmaster.cli.text import instant

    return instant(text, time.time(), field, ahead=True)


def pairs(given: Sequence[str], field: str, borrow: bool) -> dict[str, str]:
    """`NAME=value`; with `borrow`, `NAME` alone is taken from our own environment."""
    found = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals:
            if not borrow or name not in os.environ:
                why = "is not set here" if borrow else "has no value"
                raise InvalidTask(f"{field}: {name} {why}", remedy=f"write {name}=value", field=field)
            value = os.environ[name]
        found[name] = value
    return found


def start_here(fields: dict[str, Any], client: Client) -> None:
    """A process on this machine starts where we are, as a person expects."""
    from urllib.parse import urlsplit

    host = urlsplit(client.endpoint.url).hostname or ""
    local = host == "localhost" or host == "::1" or host.startswith("127.")
    if local and "directory" not in fields and not fields.get("image") and not fields.get("function"):
        fields["directory"] = str(Path.cwd())


def _answer(client: Client, task: Task, wait: bool, follow: bool, quiet: bool, as_json: bool) -> None:
    from trainmaster.cli.errors import INTERRUPTED, TASK_FAILED
    from trainmaster.cli.output import print_json

    # While the log or the final state is what standard output is for, the rest goes to standard error.
    aside = wait or follow
    if quiet:
        print(task.id, flush=True)
    elif not as_json:
        print(_receipt(client, task), file=sys.stderr if aside else sys.stdout, flush=True)
    if aside:
        try:
            if follow:
                from trainmaster.cli.logs import follow_log

                follow_log(client, task.id)
            task = client.wait(task.id)
        except KeyboardInterrupt:
            print(f"\n{task.id} goes on; end it with: trainmaster cancel {task.id}", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print_json(task)
    elif aside and not quiet:
        print(_outcome(task), file=sys.stderr)
    if aside and not task.ok:
        raise typer.Exit(TASK_FAILED)


def _receipt(client: Client, task: Task) -> str:
    """The id first; if it has to wait, for what."""
    from trainmaster.cli.text import clean

    line = f"{task.id}  {task.name}  {task.state}"
    if task.state in ("QUEUED", "BLOCKED", "INTERRUPTED"):
        told = client.explain(task.id)
        if told.state in ("QUEUED", "BLOCKED", "INTERRUPTED"):
            place = f" (position {told.position}{_start(client, task)})" if told.position else ""
            why = told.headline.rpartition(": ")[2].rstrip(".")
            line = f"{task.id}  {task.name}  {told.state}{place}: {why}"
        else:
            line = f"{task.id}  {task.name}  {told.state}"
    return clean(line)


def _start(client: Client, task: Task) -> str:
    """The estimate of its start, for a person who looks: a simulation takes longer than the submission."""
    from trainmaster.domain.errors import TrainmasterError
    from trainmaster.domain.units import format_roughly

    if not sys.stdout.isatty():
        return ""
    try:
        told = client.expected(task.id)
    except TrainmasterError:
        return ""  # too many wait for a simulation
    if told.starts_at is None:
        return ""
    return f", starts in {format_roughly(max(told.starts_at - told.now, 0.0))}"


def _outcome(task: Task) -> str:
    from trainmaster.cli.text import clean
    from trainmaster.domain.units import format_duration

    ran = f" after {format_duration(task.ran_s)}" if task.first_started_at is not None else ""
    why = "" if task.ok else f": {task.reason}"
    return clean(f"{task.id}  {task.name}  {task.state}{ran}{why}")
