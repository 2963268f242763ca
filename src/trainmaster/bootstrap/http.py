"""The HTTP side of a process: its folder, its port, its server, and the credentials of its owner."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from trainmaster.bootstrap.config import Config
from trainmaster.domain.errors import TrainmasterError
from trainmaster.service.access import Role
from trainmaster.service.service import Service
from trainmaster.telemetry.memory import settle_collector


class PortTaken(TrainmasterError):
    code = "port-taken"
    remedy = "choose another with --port, or 0 for any free one"


class FolderUnusable(TrainmasterError):
    code = "folder-unusable"
    remedy = "choose another with --data"


@dataclass(frozen=True, slots=True)
class Ready:
    """A service that answers. `token` is the operator's of this machine, also in the credentials file."""

    url: str
    login_url: str
    token: str
    data: Path
    nodes: int
    service: Service


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handling: ours stops the service in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def make_folder(folder: Path) -> None:
    """Raises FolderUnusable."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise FolderUnusable(f"the data folder {folder} cannot be made: {error.strerror}") from None


@contextlib.contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            where = f"port {port} on {host or 'all addresses'}"
            raise PortTaken(f"{where}: {error.strerror}", port=port) from None
        listener.listen(512)
        listener.setblocking(False)
        yield listener
    finally:
        listener.close()


def address(host: str, listener: socket.socket) -> str:
    """Where this machine reaches it."""
    shown = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host
    return f"http://{shown}:{listener.getsockname()[1]}"


@contextlib.asynccontextmanager
async def serving(
    app: Any, listener: socket.socket, end_streams: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    """`end_streams`: ends the event streams, which would hold the server up."""
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            loop="none",
            server_header=False,
            timeout_graceful_shutdown=2,
        )
    )
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        if running.done():
            running.result()
        await asyncio.sleep(0.005)
    settle_collector()
    try:
        yield
    finally:
        server.should_exit = True
        await end_streams()
        await running


def credentials(config: Config) -> Path:
    return config.data / "credentials.json"


async def own_token(service: Service, file: Path) -> str:
    """The token of whoever owns the data folder: the one in the file if it still works, else a new one."""
    with contextlib.suppress(OSError, ValueError, KeyError, TrainmasterError):
        token = str(json.loads(file.read_text())["token"])
        service.access.person(token).must_be(Role.ADMIN)
        return token
    user = os.environ.get("USER") or "local"
    _, secret = await service.access.issue(user, Role.ADMIN, label="owner of the data folder")
    return secret


def write_credentials(path: Path, url: str, token: str) -> None:
    temporary = path.with_suffix(".new")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w") as out:
        json.dump({"url": url, "token": token, "pid": os.getpid()}, out)
    temporary.replace(path)
