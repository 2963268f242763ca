"""`trainmaster down`: stop the service that owns the data folder."""

from __future__ import annotations

import os
import signal
import time
from typing import Annotated

import typer

from trainmaster.cli.target import target
from trainmaster.domain.errors import TrainmasterError

_PATIENCE_S = 30.0


class NotStopping(TrainmasterError):
    code = "not-stopping"
    remedy = "look at service.log in its data folder; `kill -9` is safe: tasks are found again"


def down(
    context: typer.Context,
    kill_tasks: Annotated[
        bool, typer.Option("--kill-tasks", help="End running tasks too; by default they go on.")
    ] = False,
) -> None:
    """Stop the service of this machine. Running tasks go on and are found again by the next `up`."""
    from trainmaster.bootstrap.lock import AlreadyRunning, FolderLock
    from trainmaster.client.locate import data_folder

    folder = data_folder(target(context).data)
    lock = FolderLock(folder)

    def owner() -> int | None:
        """Who holds the folder's lock: unlike a pid in a file, that cannot be out of date."""
        if not folder.is_dir():
            return None
        try:
            lock.take("now")
        except AlreadyRunning as running:
            return int(running.fields["pid"])
        lock.release()
        return None

    pid = owner()
    if pid is None:
        typer.echo(f"no service runs with {folder}")
        return
    os.kill(pid, signal.SIGUSR1 if kill_tasks else signal.SIGTERM)
    until = time.monotonic() + _PATIENCE_S
    while owner() == pid:
        if time.monotonic() > until:
            raise NotStopping(f"the service (pid {pid}) has not stopped within {_PATIENCE_S:.0f} s", pid=pid)
        time.sleep(0.05)
    ended = "running tasks ended with it" if kill_tasks else "running tasks go on; the next `up` finds them"
    typer.echo(f"stopped (pid {pid}); {ended}")
