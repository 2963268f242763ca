"""`trainmaster up`: the service of this machine, in the foreground."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainmaster.cli.target import target

if TYPE_CHECKING:
    from trainmaster.bootstrap.config import Config
    from trainmaster.bootstrap.serve import Ready

_WHERE, _NODES = "Where", "What it offers"


def up(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="Settings; default: ./trainmaster.toml, or the data folder's.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder for everything it keeps.", rich_help_panel=_WHERE)
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; default 127.0.0.1.", rich_help_panel=_WHERE)
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Default 7070; 0 for any free one.", rich_help_panel=_WHERE)
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="URL; default: SQLite in the data folder.", rich_help_panel=_WHERE)
    ] = None,
    roles: Annotated[
        str | None,
        typer.Option(
            metavar="api,scheduler,processor,alarm",
            help="What this process does; default: all of it. Others need a database server.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    nodes: Annotated[
        int | None, typer.Option(help="Logical nodes to divide this machine into.", rich_help_panel=_NODES)
    ] = None,
    shares: Annotated[
        str | None,
        typer.Option(metavar="4,2,1,1", help="Their relative sizes; default: equal.", rich_help_panel=_NODES),
    ] = None,
    cores: Annotated[
        float | None, typer.Option(help="Cores to offer; default: all.", rich_help_panel=_NODES)
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Policies of a new data folder.", rich_help_panel=_NODES)
    ] = None,
    kill_tasks: Annotated[
        bool, typer.Option("--kill-tasks", help="At the end, end running tasks too.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Go on in the background.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object when ready.")] = False,
    stop_on_eof: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Start the service on this machine. Ctrl-C stops it; running tasks go on and are found again.

    With --kill-tasks, running tasks end with it.
    """
    flags: dict[str, Any] = {
        "data": data or target(context).data,
        "host": host,
        "port": port,
        "database": database,
        "roles": None if roles is None else [role.strip() for role in roles.split(",")],
        "nodes": nodes,
        "shares": None if shares is None else _shares(shares),
        "cores": cores,
        "profile": profile,
    }
    from trainmaster.bootstrap.config import load_config

    settings = load_config(config, **flags)
    if detach:
        _detach(settings, as_json)
    else:
        _serve(settings, kill_tasks, as_json, stop_on_eof)


def _shares(text: str) -> list[float]:
    from trainmaster.bootstrap.config import BadConfig

    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise BadConfig(
            f"shares: {text!r} is not a list of numbers", remedy="write it like 4,2,1,1", field="shares"
        ) from None


def _serve(config: Config, kill_tasks: bool, as_json: bool, stop_on_eof: bool) -> None:
    from trainmaster.bootstrap.serve import FolderUnusable, serve
    from trainmaster.domain.lifecycle import OCCUPYING
    from trainmaster.telemetry.logs import configure

    try:
        config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        configure(config.data / "service.log", config.log_level)
    except OSError as error:
        raise FolderUnusable(f"the data folder {config.data} cannot be used: {error.strerror}") from None
    kill = kill_tasks
    started: list[Ready] = []

    def told_to_kill(number: int, frame: object) -> None:
        nonlocal kill
        kill = True
        os.kill(os.getpid(), signal.SIGTERM)

    def ready(now: Ready) -> None:
        started.append(now)
        print(_json(now) if as_json else _greeting(now, kill_tasks), flush=True)

    async def run() -> None:
        stop = asyncio.Event()
        if stop_on_eof:
            asyncio.get_running_loop().add_reader(0, lambda: None if os.read(0, 4096) else stop.set())
        await serve(config, ready, stop=stop, leave_running=lambda: not kill)

    # What `down --kill-tasks` sends.
    signal.signal(signal.SIGUSR1, told_to_kill)
    asyncio.run(run())
    if not as_json and started:
        left = sum(task.state in OCCUPYING for task in started[0].service.state.tasks.values())
        print(_farewell(left, kill))


def _greeting(ready: Ready, kill_tasks: bool) -> str:
    from trainmaster import __version__
    from trainmaster.cli.output import counted

    if not ready.url:
        return f"Trainmaster {__version__} is up; it answers nobody itself (trainmaster services shows it)"
    nodes = ready.service.nodes()
    offered = ", ".join(
        f"{node.id} ({node.capacity.describe().partition(', a place')[0]})" for node in nodes[:4]
    )
    if not nodes:
        offered = "join as soon as their host is up"
    elif len({node.capacity for node in nodes}) == 1 and len(nodes) > 1:
        each = nodes[0].capacity.describe().partition(", a place")[0]
        offered = f"{len(nodes)} logical nodes with {each} each"
    elif len(nodes) > 4:
        offered += f" and {counted(len(nodes) - 4, 'more')}"
    end = "running tasks end with it" if kill_tasks else "running tasks go on and are found again"
    return "\n".join(
        [
            f"Trainmaster {__version__} is up",
            f"  page  {ready.login_url}",
            f"  node  {offered}" if len(nodes) == 1 else f"  nodes {offered}",
            f"  data  {ready.data}",
            f"  log   {ready.data / 'service.log'}",
            f"  stop  Ctrl-C, or `trainmaster down`; {end}",
        ]
    )


def _json(ready: Ready) -> str:
    return json.dumps(
        {
            "url": ready.url,
            "login_url": ready.login_url,
            "data": str(ready.data),
            "nodes": ready.nodes,
            "pid": os.getpid(),
        }
    )


def _farewell(left: int, killed: bool) -> str:
    from trainmaster.cli.output import counted

    if not left:
        return "\nstopped; nothing was running"
    if killed:
        return f"\nstopped; {counted(left, 'running task')} ended with it"
    goes = "goes on and is" if left == 1 else "go on and are"
    return f"\nstopped; {counted(left, 'task')} {goes} found again by the next `trainmaster up`"


def _detach(config: Config, as_json: bool) -> None:
    """The same command again in a session of its own; returns once it is ready, or has failed."""
    import subprocess
    import tempfile

    arguments = [a for a in sys.argv[1:] if a not in ("--detach", "-d", "--json")]
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "trainmaster.cli.main", *arguments, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            errors.seek(0)
            sys.stderr.write(errors.read())
            raise typer.Exit(child.wait())
    told = json.loads(line)
    if as_json:
        print(line.strip())
        return
    print(f"Trainmaster is up in the background (pid {told['pid']})")
    print(f"  page  {told['login_url']}")
    print("  stop  trainmaster down")
