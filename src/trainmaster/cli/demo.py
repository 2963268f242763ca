"""`trainmaster demo`: a private service, real training, a preemption, a result, and nothing left behind."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from trainmaster.cli.output import AsJson
from trainmaster.domain.errors import TrainmasterError

if TYPE_CHECKING:
    from rich.console import Console

    from trainmaster.cli.showcase.service import PrivateService
    from trainmaster.cli.showcase.watch import Row, Watch
    from trainmaster.cli.showcase.work import Settings, Vehicle
    from trainmaster.runners.image import HostImage

_LOOK_S = 0.4
_TOLD_EVERY_S = 10.0
_URGENT_AFTER_EPOCHS = 3  # of every running task: then the interrupted one has something to lose
_URGENT_AT_LATEST_S = 45.0


class MissingExtra(TrainmasterError):
    code = "missing-extra"


def demo(
    containers: Annotated[
        bool, typer.Option("--containers", help="In containers, where an engine is reachable.")
    ] = False,
    each: Annotated[int, typer.Option("--tasks", min=1, max=100, help="Tasks of each of three kinds.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, max=1000, help="Length of a task.")] = 30,
    pace: Annotated[
        float, typer.Option(min=0, max=1, help="Seconds to wait before each batch, so as to watch.")
    ] = 0.01,
    stay: Annotated[
        bool, typer.Option("--stay", help="Keep the service for a look at the page, until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Watch small networks train on four logical nodes: queued, placed, preempted, finished.

    Runs a private service in a temporary folder and removes it at the end.
    """
    _need_extra()
    from trainmaster.cli.errors import INTERRUPTED, TASK_FAILED
    from trainmaster.cli.output import console
    from trainmaster.cli.showcase.service import PrivateService
    from trainmaster.cli.showcase.work import Settings, in_containers, processes

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    out = console()
    settings = Settings(each, epochs, pace)
    try:
        if out.is_terminal and not as_json:
            print("starting a private service …", end="\r", flush=True)
        image = _host_image() if containers else None
        with PrivateService(image.roots if image else ()) as service:
            vehicle = in_containers(image) if image else processes
            well = _play(service, settings, vehicle, out, stay, as_json)
    except KeyboardInterrupt:
        print("\ninterrupted; everything is stopped and removed", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    if not well:
        raise typer.Exit(TASK_FAILED)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _need_extra() -> None:
    """Containers use this machine's installation too."""
    missing = [name for name in ("torch", "sklearn") if importlib.util.find_spec(name) is None]
    if missing:
        names = " and ".join(missing).replace("sklearn", "scikit-learn")
        raise MissingExtra(
            f"the demo trains networks, and {names} is not installed",
            remedy="pip install 'trainmaster[demo]', or in a clone: make demo",
        )


def _host_image() -> HostImage:
    """The engine's image for this machine's Python. Raises DemoFailed if no engine answers."""
    import asyncio

    from trainmaster.cli.showcase.service import DemoFailed
    from trainmaster.runners.container_engine import EngineGone
    from trainmaster.runners.image import ensure_host_image

    try:
        return asyncio.run(ensure_host_image())
    except EngineGone as error:
        what, _, remedy = str(error).partition("; ")
        raise DemoFailed(what, remedy=remedy or "leave out --containers") from None


def _play(
    service: PrivateService, settings: Settings, vehicle: Vehicle, out: Console, stay: bool, as_json: bool
) -> bool:
    """The whole show. True if every task succeeded."""
    from trainmaster.cli.output import cell, print_json
    from trainmaster.cli.showcase import view
    from trainmaster.cli.showcase.watch import Watch
    from trainmaster.cli.showcase.work import ordinary
    from trainmaster.client import Client

    with Client(service.url, service.token) as client:
        if not as_json:
            _introduce(service, out)
        began = time.monotonic()
        watch = Watch(client)
        watch.submit(ordinary(settings, service.folder / "work", vehicle))
        if as_json:
            _follow(service, watch, settings, vehicle, lambda news: None)
        elif out.is_terminal and os.environ.get("TERM") != "dumb":
            _live(service, watch, settings, vehicle, out)
        else:
            _tell(service, watch, settings, vehicle, out)
        took_s = time.monotonic() - began
        if as_json:
            print_json([_record(row) for row in watch.rows])
        else:
            if not out.is_terminal:
                out.print()  # the live table has left its line free
            out.print(view.result(watch.rows))
            out.print()
            out.print(cell(view.summary(watch.rows, took_s)), soft_wrap=not out.is_terminal)
        if stay:
            out.print(cell(f"The page stays at {service.login_url} until Ctrl-C."))
            signal.pause()
    return all(row.task.ok for row in watch.rows)


def _introduce(service: PrivateService, out: Console) -> None:
    from trainmaster import __version__
    from trainmaster.cli.output import cell
    from trainmaster.cli.showcase.service import CORES, NODES

    head = cell(f"Trainmaster {__version__}", "bold")
    out.print(head.append_text(cell(f"  {NODES} logical nodes with {CORES / NODES:g} cores each", "dim")))
    out.print(cell(f"  page  {service.login_url}"), soft_wrap=True)
    out.print(cell(f"  data  {service.folder}, removed at the end", "dim"), soft_wrap=True)
    out.print()


def _live(service: PrivateService, watch: Watch, settings: Settings, vehicle: Vehicle, out: Console) -> None:
    from rich.live import Live

    from trainmaster.cli.showcase import view

    with Live(view.progress(watch.rows), console=out, auto_refresh=False, transient=True) as live:
        _follow(
            service,
            watch,
            settings,
            vehicle,
            lambda news: live.update(view.progress(watch.rows), refresh=True),
        )


def _tell(service: PrivateService, watch: Watch, settings: Settings, vehicle: Vehicle, out: Console) -> None:
    """Without a terminal: a line for each change, and now and then one that says how far it is."""
    from trainmaster.cli.output import cell
    from trainmaster.cli.showcase import view

    began = told = time.monotonic()

    def tell(news: list[str]) -> None:
        nonlocal told
        now = time.monotonic()
        lines = list(news)
        if now - told > _TOLD_EVERY_S:
            told = now
            lines.append(view.in_one_line(watch.rows))
        for line in lines:
            out.print(cell(f"{now - began:5.0f} s  {line}"), soft_wrap=True)
        out.file.flush()

    _follow(service, watch, settings, vehicle, tell)


def _follow(service: PrivateService, watch: Watch, settings: Settings, vehicle: Vehicle, show: Any) -> None:
    """Look until all is over; in the middle, submit the urgent task."""
    from trainmaster.cli.showcase.work import urgent

    began = time.monotonic()
    called = False
    while True:
        service.check()
        news = watch.look()
        if not called and (
            _busy(watch.rows) or time.monotonic() - began > _URGENT_AT_LATEST_S or watch.ended
        ):
            called = True
            watch.submit([urgent(settings, service.folder / "work", vehicle)])
            news.append(f"{watch.rows[-1].job.name} is submitted with urgency highest")
        show(news)
        if called and watch.ended:
            return
        time.sleep(_LOOK_S)


def _busy(rows: list[Row]) -> bool:
    """Every node has a task that has come some way."""
    from trainmaster.cli.showcase.service import NODES

    training = [row for row in rows if row.task.state == "RUNNING"]
    far = min(_URGENT_AFTER_EPOCHS, *(row.job.epochs // 2 for row in rows))
    return len(training) >= min(NODES, len(rows)) and all(row.epoch >= far for row in training)


def _record(row: Row) -> dict[str, Any]:
    task = row.task
    return {
        "id": task.id,
        "task": row.job.name,
        "hidden": row.job.hidden,
        "urgency": task.urgency,
        "priority": task.priority,
        "waited_s": task.waited_s,
        "nodes": row.nodes,
        "ran_s": task.ran_s,
        "epochs": row.epoch,
        "accuracy": row.accuracy,
        "state": task.state,
        "attempts": task.attempt,
        "interruptions": task.interruptions,
        "interrupted_at_epoch": row.interrupted_at,
        "resumed_at_epoch": row.resumed_at,
    }
