"""The warm interpreters of a node: fork-servers with torch loaded, for commands `python SCRIPT …`.

There is one for every Python and start environment that runs here use. The first run that could use it begins
its start and itself starts cold. While such a run is alive we stay connected, then it ends after ten minutes.
"""

from __future__ import annotations

import asyncio
import glob
import hashlib
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from trainmaster.domain.ids import RunId
from trainmaster.runners.forkclient import ForkServer, ForkServerFailed
from trainmaster.runners.refusal import candidates

_PYTHON = re.compile(r"python(3(\.\d+)?)?")
# Read when Python, the C library or a numeric library starts: later changes of them would have no effect.
_AT_START = (
    "ATEN_", "DNNL_", "GLIBC_", "GOMP_", "KMP_", "LC_", "LD_", "MALLOC_", "MKL_", "NUMEXPR_", "OMP_",
    "ONEDNN_", "OPENBLAS_", "PYTHON", "PYTORCH_", "TORCH",
)  # fmt: skip
# What differs from task to task and is read only when a group begins; else every task had one of its own.
_LATER = ("TORCHELASTIC_MAX_RESTARTS", "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_RUN_ID")
_ALSO = ("HOME", "LANG", "PATH", "TZ")
_MOST = 4  # at once on a node; each takes about 0.3 GB
_AGAIN_S = 600.0  # until one that could not be started is tried again


def warmable(command: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """The interpreter of a command that can start warm, None for all others.

    Only `python SCRIPT …` and `python -m MODULE …` can: flags change how an interpreter starts. So does a
    folder that is relative to the run's, and a `python` that is a script may choose by anything.
    """
    if len(command) < 2 or not _PYTHON.fullmatch(os.path.basename(command[0])):
        return None
    if command[1] == "-m" and len(command) > 2:
        named = command[2]
    else:
        named = command[1]
    if not named or named.startswith("-"):
        return None
    folders = environment.get("PYTHONPATH", "")
    if folders and not all(os.path.isabs(folder) for folder in folders.split(":")):
        return None
    for path in candidates(command[0], environment.get("PATH", os.defpath)):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path if os.path.isabs(path) and _is_program(path) else None
    return None


class Interpreters:
    """Knows which warm fork-server a run could use, and keeps those that could be needed alive."""

    def __init__(self, data: str) -> None:
        self._data = data
        self._servers: dict[str, ForkServer] = {}
        self._starts: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, float] = {}  # monotonic time
        self._held: dict[RunId, str] = {}
        self.on_failed: list[Callable[[str, int], None]] = []  # as of ForkServer
        self.on_lost: list[Callable[[], None]] = []  # one died: what it was asked for may be lost

    def hold(self, run: RunId, interpreter: str, environment: Mapping[str, str]) -> ForkServer | None:
        """Keep the fork-server that fits `run` until `release`. None: it is not warm (yet)."""
        start = start_environment(environment)
        said = "\0".join([interpreter, *(f"{name}={start[name]}" for name in sorted(start))])
        key = hashlib.sha256(said.encode(errors="surrogateescape")).hexdigest()[:8]
        server = self._servers.get(key)
        if server is None:
            if len(self._servers) >= _MOST or time.monotonic() < self._failed.get(key, 0.0):
                return None
            server = ForkServer(self._data, f"python-{key}", interpreter, start)
            server.on_failed.append(self._fork_failed)
            server.on_reconnect.append(self._lost)
            self._servers[key] = server
        self._held[run] = key
        if server.attach():
            return server
        if key not in self._starts:
            self._starts[key] = asyncio.get_running_loop().create_task(self._start(key, server))
        return None

    def release(self, run: RunId) -> None:
        """The run is over; one that is not held does not matter."""
        key = self._held.pop(run, None)
        if key is not None and key not in self._starts:
            self._let_go(key)

    async def close(self, quit_when_idle: bool) -> None:
        """Disconnect. With `quit_when_idle` all warm fork-servers of the data folder end, whoever
        began them."""
        for key, start in list(self._starts.items()):
            self._servers[key].abandon()
            await start
        for server in self._servers.values():
            server.detach()
        if quit_when_idle:
            for path in glob.glob(f"{glob.escape(self._data)}/forkserver-python-*.sock"):
                server = ForkServer(self._data, name=os.path.basename(path).removesuffix(".sock"))
                if server.attach():
                    await server.close(quit_when_idle=True)

    # --- inside --------------------------------------------------------------------------------------------

    async def _start(self, key: str, server: ForkServer) -> None:
        try:
            await server.connect()
        except (ForkServerFailed, OSError, subprocess.TimeoutExpired):
            self._failed[key] = time.monotonic() + _AGAIN_S
            del self._servers[key]
        finally:
            del self._starts[key]
        self._let_go(key)

    def _let_go(self, key: str) -> None:
        if key not in self._held.values() and key in self._servers:
            self._servers.pop(key).detach()

    def _fork_failed(self, folder: str, number: int) -> None:
        for listener in self.on_failed:
            listener(folder, number)

    def _lost(self) -> None:
        for listener in self.on_lost:
            listener()


def start_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that must be as in `environment` when the interpreter starts."""
    return {
        name: value
        for name, value in environment.items()
        if name in _ALSO or (name.startswith(_AT_START) and name not in _LATER)
    }


def _is_program(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False
