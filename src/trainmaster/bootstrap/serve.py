"""From a configuration to a running service."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import structlog

from trainmaster.api.app import make_app
from trainmaster.bootstrap import http
from trainmaster.bootstrap.agents import make_agents
from trainmaster.bootstrap.alarms import Here, make_alarms
from trainmaster.bootstrap.config import Config
from trainmaster.bootstrap.http import FolderUnusable, PortTaken, Ready
from trainmaster.bootstrap.lock import FolderLock
from trainmaster.bootstrap.options import service_options
from trainmaster.bus.memory import MemoryBus
from trainmaster.domain.replica import Lease, Replica
from trainmaster.domain.replica import Role as ReplicaRole
from trainmaster.engines.local import LocalEngine
from trainmaster.ports import Clock
from trainmaster.service.service import Service
from trainmaster.store.store import SqlStore
from trainmaster.telemetry.clock import SystemClock
from trainmaster.web import mount as mount_page

__all__ = ["FolderUnusable", "PortTaken", "Ready", "running", "serve"]

log = structlog.get_logger(__name__)


async def serve(
    config: Config,
    on_ready: Callable[[Ready], None],
    *,
    stop: asyncio.Event | None = None,
    leave_running: Callable[[], bool] = lambda: True,
) -> None:
    """Run until SIGINT, SIGTERM or `stop`. Running tasks go on and are adopted at the next start, unless
    `leave_running` answers False at the end.

    Raises AlreadyRunning, PortTaken, FolderUnusable, BadConfig, WrongWeights, StoreUnavailable.
    """
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        if config.replicated:
            from trainmaster.bootstrap.replicas import replicated  # brings an HTTP client with it

            async with replicated(config, leave_running) as ready:
                on_ready(ready)
                await stop.wait()
            return
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
    http.make_folder(config.data)
    lock = FolderLock(config.data)
    lock.take(time.strftime("%H:%M"))
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(lock.release)
        listener = stack.enter_context(http.listen(config.host, config.port))
        store, clock = SqlStore(config.database_url), SystemClock()
        await store.open()
        stack.push_async_callback(store.close)
        agents = await make_agents(config)
        service = Service(store, LocalEngine(agents), MemoryBus(), clock, service_options(config))
        await service.start()
        stack.push_async_callback(_stop, service, leave_running)
        alarms = make_alarms(config, store.alarms, Here(service), clock)
        alarms.start()
        stack.push_async_callback(alarms.stop)
        url = http.address(config.host, listener)
        app = make_app(service, alarms.desk, _Alone(url, clock), auth=config.auth)
        mount_page(app)
        async with http.serving(app, listener, service.bus.close):
            token = await http.own_token(service, http.credentials(config))
            http.write_credentials(http.credentials(config), url, token)
            yield Ready(url, f"{url}/?t={token}", token, config.data, len(agents), service)


async def _stop(service: Service, leave_running: Callable[[], bool]) -> None:
    await service.stop(leave_running())


class _Alone:
    """The registry of a service that is one process: that has every role."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._clock = clock
        everything = tuple(ReplicaRole)
        self._me = Replica("here", socket.gethostname(), os.getpid(), everything, url, clock.now(), 0.0)

    async def look(self) -> tuple[list[Replica], list[Lease], float]:
        now = self._clock.now()
        leases = [Lease(name, self._me.id, 1, now + 1.0) for name in ("alarm", "scheduler")]
        return [replace(self._me, beat_at=now)], leases, now
