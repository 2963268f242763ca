"""`trainmaster down`: stop the service that owns the data folder."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from trainmaster.cli.target import target
from trainmaster.domain.errors import TrainmasterError

if TYPE_CHECKING:
    from trainmaster.bootstrap.lock import FolderLock

_PATIENCE_S = 30.0


class NotStopping(TrainmasterError):
    code = "not-stopping"
    remedy = "look at service.log in its data folder; `kill -9` is safe: tasks are found again"


class OutOfReach(TrainmasterError):
    code = "out-of-reach"
    remedy = "stop it from inside the container it runs in"


def down(
    context: typer.Context,
    kill_tasks: Annotated[
        bool, typer.Option("--kill-tasks", help="End running tasks too; by default they go on.")
    ] = False,
) -> None:
    """Stop the service of this machine. Running tasks go on and are found again by the next `up`."""
    from trainmaster.bootstrap.lock import FolderLock
    from trainmaster.client.locate import data_folder

    folder = data_folder(target(context).data)
    lock = FolderLock(folder)
    pid = lock.owner()
    if pid == 0:
        raise OutOfReach(f"the service of {folder} runs in another PID namespace")
    if pid is None or not _stop(lock, pid, signal.SIGUSR1 if kill_tasks else signal.SIGTERM):
        typer.echo(f"no service runs with {folder}")
        return
    ended = "running tasks ended with it" if kill_tasks else "running tasks go on; the next `up` finds them"
    typer.echo(f"stopped (pid {pid}); {ended}")


def _stop(lock: FolderLock, pid: int, number: signal.Signals) -> bool:
    """Signal the service and wait for its end; False if it had ended before. Raises NotStopping."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        # From here on the number cannot come to mean another process; it may have before.
        if lock.owner() != pid:
            return False
        signal.pidfd_send_signal(process, number)
        ended, _, _ = select.select([process], [], [], _PATIENCE_S)
    except ProcessLookupError:
        return False
    finally:
        os.close(process)
    if not ended:
        raise NotStopping(f"the service (pid {pid}) has not stopped within {_PATIENCE_S:.0f} s", pid=pid)
    return True
