"""From a configuration to a running service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvicorn

from trainmaster.api.app import make_app
from trainmaster.bootstrap.agents import make_agents
from trainmaster.bootstrap.alarms import make_alarms
from trainmaster.bootstrap.config import Config
from trainmaster.bootstrap.lock import FolderLock
from trainmaster.bootstrap.machine import LANE_BACKLOG
from trainmaster.bus.memory import MemoryBus
from trainmaster.domain.errors import TrainmasterError
from trainmaster.domain.units import parse_duration
from trainmaster.engines.local import LocalEngine
from trainmaster.service.access import Role
from trainmaster.service.service import Service, ServiceOptions
from trainmaster.store.store import SqlStore
from trainmaster.telemetry.clock import SystemClock
from trainmaster.telemetry.memory import settle_collector
from trainmaster.web import mount as mount_page

log = structlog.get_logger(__name__)


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


async def serve(
    config: Config,
    on_ready: Callable[[Ready], None],
    *,
    stop: asyncio.Event | None = None,
    leave_running: Callable[[], bool] = lambda: True,
) -> None:
    """Run until SIGINT, SIGTERM or `stop`. Running tasks go on and are adopted at the next start, unless
    `leave_running` answers False at the end.

    Raises AlreadyRunning, PortTaken, FolderUnusable, BadConfig, StoreUnavailable.
    """
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        async with running(config, leave_running) as ready:
            on_ready(ready)
            failed = asyncio.create_task(_watch(ready.service, stop))
            await stop.wait()
            failed.cancel()
            if (error := ready.service.failed) is not None:
                raise error
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _watch(service: Service, stop: asyncio.Event) -> None:
    """A service whose loop has ended must not pretend to serve."""
    await service.ended()
    log.critical("the scheduler loop has ended", exc_info=service.failed)
    stop.set()


@contextlib.asynccontextmanager
async def running(config: Config, leave_running: Callable[[], bool] = lambda: True) -> AsyncIterator[Ready]:
    """A service, from its lock to its port, and everything closed again in order."""
    folder = config.data
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise FolderUnusable(f"the data folder {folder} cannot be made: {error.strerror}") from None
    lock = FolderLock(folder)
    lock.take(time.strftime("%H:%M"))
    credentials = folder / "credentials.json"
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(lock.release)
        listener = stack.enter_context(_listen(config.host, config.port))
        store = SqlStore(config.database_url)
        await store.open()
        stack.push_async_callback(store.close)
        agents = await make_agents(config)
        service = Service(store, LocalEngine(agents), MemoryBus(), SystemClock(), _options(config))
        await service.start()
        stack.push_async_callback(_stop, service, leave_running)
        alarms = make_alarms(config, store, service)
        alarms.start()
        stack.push_async_callback(alarms.stop)
        app = make_app(service, alarms.desk, auth=config.auth)
        mount_page(app, service)
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
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            if serving.done():
                serving.result()
            await asyncio.sleep(0.005)
        settle_collector()
        token = await _own_token(service, credentials)
        port = listener.getsockname()[1]
        host = "127.0.0.1" if config.host in ("", "0.0.0.0", "::") else config.host
        url = f"http://{host}:{port}"
        _write_credentials(credentials, url, token)
        try:
            yield Ready(url, f"{url}/?t={token}", token, folder, len(agents), service)
        finally:
            server.should_exit = True
            await service.bus.close()  # ends the event streams, which would hold the server up
            await serving


async def _stop(service: Service, leave_running: Callable[[], bool]) -> None:
    await service.stop(leave_running())


def _options(config: Config) -> ServiceOptions:
    return ServiceOptions(
        profile=config.profile,
        profiles=config.all_profiles(),
        volume_roots=tuple(config.volume_roots),
        grid=config.forecast.grid(LANE_BACKLOG),
        sizing=config.forecast.knobs(),
        keep_tasks_s=parse_duration(config.keep_tasks),
        keep_events_s=parse_duration(config.keep_events),
        keep_logs_s=parse_duration(config.keep_logs),
    )


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
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


async def _own_token(service: Service, credentials: Path) -> str:
    """The token of whoever owns the data folder: the one in the file if it still works, else a new one."""
    with contextlib.suppress(OSError, ValueError, KeyError, TrainmasterError):
        token = str(json.loads(credentials.read_text())["token"])
        service.access.person(token).must_be(Role.ADMIN)
        return token
    user = os.environ.get("USER") or "local"
    _, secret = await service.access.issue(user, Role.ADMIN, label="owner of the data folder")
    return secret


def _write_credentials(path: Path, url: str, token: str) -> None:
    temporary = path.with_suffix(".new")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w") as out:
        json.dump({"url": url, "token": token, "pid": os.getpid()}, out)
    temporary.replace(path)
