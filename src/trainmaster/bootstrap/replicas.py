"""One of any number of processes over one PostgreSQL, MySQL or MariaDB, in one or several roles.

See docs/adr/0010-replicas.md. Roles: `api` answers; `scheduler` stands for the lead; `processor` hosts this
machine's nodes, one process at a time; `alarm` stands for evaluating the rules.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import structlog

from trainmaster.api.app import make_app
from trainmaster.bootstrap import http
from trainmaster.bootstrap.agents import make_agents
from trainmaster.bootstrap.alarms import Elsewhere, Here, make_alarms, make_desk, tell
from trainmaster.bootstrap.config import Config
from trainmaster.bootstrap.election import stand
from trainmaster.bootstrap.gate import Gate
from trainmaster.bootstrap.lock import AlreadyRunning, FolderLock
from trainmaster.bootstrap.options import service_options
from trainmaster.bus.memory import MemoryBus
from trainmaster.domain.errors import StoreFull, StoreUnavailable
from trainmaster.domain.replica import Lease, Replica, Role
from trainmaster.engines.host import AgentHost
from trainmaster.engines.hosted import HostedEngine
from trainmaster.service.follower import Follower, Replicated
from trainmaster.service.postman import Postman
from trainmaster.service.service import Service
from trainmaster.store.leases import ALARM, SCHEDULER, SqlLeases
from trainmaster.store.store import SqlStore
from trainmaster.telemetry.clock import SystemClock
from trainmaster.web import mount as mount_page

log = structlog.get_logger(__name__)

BEAT_S = 1.0
FRESH_S = 1.0  # what a follower answers is at most so old
FORGET_S = 60.0  # a replica that has not beaten for so long is forgotten
_LOOK_S = 0.2
_TOKENS_S = 1.0
_LONGEST_SOCKET = 107


class ReplicaProcess:
    """`url` is set once it listens. `service`: what answers here now: the leader, or a follower."""

    def __init__(self, config: Config, leave_running: Callable[[], bool]) -> None:
        self.config = config
        self.roles = tuple(Role(role) for role in config.roles)
        self.clock = SystemClock()
        self.store = SqlStore(config.database_url)
        self.leases = SqlLeases(config.database_url)
        self.service: Service = self._follower()
        self.url = ""
        self._leave_running = leave_running
        self._id = secrets.token_hex(6)
        self._started_at = self.clock.now()
        self._leading: Service | None = None
        self._leader_url: str | None = None
        self._loaded_at = 0.0
        self._refreshing = asyncio.Lock()
        self._jobs: list[asyncio.Task[None]] = []
        self._host: AgentHost | None = None

    async def look(self) -> tuple[list[Replica], list[Lease], float]:
        """The registry, for the interface."""
        leases, now = await self.leases.all()
        return await self.store.replicas.all(), leases, now

    async def start(self) -> None:
        await self.refresh()
        jobs = {"beat": self._beat(), "leader": self._watch_leader()}
        if Role.SCHEDULER in self.roles:
            jobs["election"] = stand(self.leases, SCHEDULER, self._id, self._lead)
        if Role.PROCESSOR in self.roles:
            jobs["nodes"] = self._host_nodes()
        if Role.ALARM in self.roles:
            jobs["alarm election"] = stand(self.leases, ALARM, self._id, self._alarm)
        self._jobs = [asyncio.create_task(job, name=name) for name, job in jobs.items()]
        for task in self._jobs:
            task.add_done_callback(_note)

    async def stop(self) -> None:
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        with contextlib.suppress(StoreUnavailable, StoreFull):
            await self.store.replicas.leave(self._id)

    async def refresh(self) -> None:
        """Unless we lead: what is answered here is read anew if it is older than FRESH_S."""
        async with self._refreshing:
            if self._leading is not None or self.clock.now() - self._loaded_at < FRESH_S:
                return
            fresh = self._follower()
            try:
                await fresh.start()
            except (StoreUnavailable, StoreFull) as error:
                self.service.loop.trouble = error
                return
            if self._leading is None:
                self.service = fresh
                self._loaded_at = self.clock.now()

    def elsewhere(self) -> str | None:
        """Where another process that leads answers; None if we lead, or nobody does."""
        return None if self._leading is not None else self._leader_url

    def _follower(self) -> Follower:
        return Follower(
            self.store, self.store.replicas, MemoryBus(), self.clock, service_options(self.config)
        )

    # --- roles ---------------------------------------------------------------------------------------------

    async def _lead(self, token: int) -> None:
        """One term: until the loop finds that another has followed, or the lease is lost (cancelled)."""
        self.store.lead(token)
        engine = HostedEngine(_socket(self.config), token)
        options = service_options(self.config)
        service = Replicated(self.store, self.store.replicas, engine, MemoryBus(), self.clock, options)
        jobs: list[asyncio.Task[None]] = []
        try:
            await service.start()
            postman = Postman(service, self.store.replicas)
            await postman.open_all()  # before anything with the same key can come in another way
            self._leading = self.service = service
            jobs = [
                asyncio.create_task(postman.run(), name="postman"),
                asyncio.create_task(self._reload_tokens(service), name="tokens"),
            ]
            await service.ended()
            if service.failed is not None:
                raise service.failed
        finally:
            self._leading, self._loaded_at = None, 0.0
            self.service = self._follower()
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            await service.stop(True)

    async def _host_nodes(self) -> None:
        """As soon as no other process of this data folder does."""
        lock = FolderLock(_nodes(self.config))
        while True:
            try:
                lock.take(time.strftime("%H:%M"))
                break
            except AlreadyRunning:
                await asyncio.sleep(_LOOK_S)
        host = AgentHost(await make_agents(self.config), _socket(self.config))
        try:
            await host.start()
            log.info("hosts the nodes")
            await asyncio.Event().wait()
        finally:
            await host.close(self._leave_running())
            lock.release()

    async def _alarm(self, token: int) -> None:
        book = self.store.alarms.under(token)
        alarms = make_alarms(self.config, book, Elsewhere(self.store.replicas), self.clock)
        alarms.start()
        try:
            await asyncio.Event().wait()
        finally:
            await alarms.stop()

    # --- the registry --------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            try:
                detail = {} if self._leading is None else await tell(Here(self._leading))
                me = Replica(
                    self._id, socket.gethostname(), os.getpid(), self.roles, self.url, self._started_at, 0.0,
                    detail,
                )  # fmt: skip
                await self.store.replicas.beat(me, FORGET_S)
            except (StoreUnavailable, StoreFull) as error:
                log.warning("no beat", error=error.message)
            await asyncio.sleep(BEAT_S)

    async def _watch_leader(self) -> None:
        while True:
            try:
                replicas, leases, now = await self.look()
                held = [lease for lease in leases if lease.name == SCHEDULER and lease.until > now]
                urls = [
                    one.url for one in replicas if held and one.id == held[0].holder and one.id != self._id
                ]
                self._leader_url = urls[0] if urls and urls[0] else None
            except (StoreUnavailable, StoreFull):
                pass  # whoever led may do so still
            await asyncio.sleep(_LOOK_S)

    async def _reload_tokens(self, service: Service) -> None:
        """Any replica may have made or revoked one."""
        while True:
            await asyncio.sleep(_TOKENS_S)
            with contextlib.suppress(StoreUnavailable, StoreFull):
                await service.access.load()


def _note(job: asyncio.Task[None]) -> None:
    if not job.cancelled() and (error := job.exception()) is not None:
        log.critical("a job of this replica has ended", job=job.get_name(), exc_info=error)


def _nodes(config: Config) -> Path:
    folder = config.data / "nodes"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _socket(config: Config) -> Path:
    """Raises FolderUnusable: the kernel takes no longer names of sockets."""
    path = _nodes(config) / "agents.sock"
    if len(os.fsencode(path)) > _LONGEST_SOCKET:
        raise http.FolderUnusable(f"the name of the data folder is too long for a socket in it: {path}")
    return path


@contextlib.asynccontextmanager
async def replicated(config: Config, leave_running: Callable[[], bool]) -> AsyncIterator[http.Ready]:
    """A replica, from its database to its port, and everything closed again in order."""
    http.make_folder(config.data)
    _socket(config)
    async with contextlib.AsyncExitStack() as stack:
        speaks = Role.API in config.roles or Role.SCHEDULER in config.roles
        # Whoever schedules must be reachable for those that answer; where it says so is in the registry.
        port = config.port if Role.API in config.roles else 0
        listener = stack.enter_context(http.listen(config.host, port)) if speaks else None
        replica = ReplicaProcess(config, leave_running)
        await replica.store.open()
        stack.push_async_callback(replica.store.close)
        await replica.leases.open()
        stack.push_async_callback(replica.leases.close)
        if listener is None:
            await replica.start()
            stack.push_async_callback(replica.stop)
            yield http.Ready("", "", "", config.data, 0, replica.service)
            return
        replica.url = http.address(config.host, listener)
        await replica.start()
        stack.push_async_callback(replica.stop)
        desk = make_desk(config, replica.store.alarms, replica.clock)
        app = make_app(replica.service, desk, replica, auth=config.auth)
        mount_page(app)

        async def ours(all_of_it: bool) -> None:
            if all_of_it:
                await replica.refresh()
            app.state.service = replica.service

        gate = Gate(app, replica.elsewhere, ours)
        stack.push_async_callback(gate.close)
        async with http.serving(gate, listener, lambda: replica.service.bus.close()):
            token = await http.own_token(replica.service, http.credentials(config))
            http.write_credentials(http.credentials(config), replica.url, token)
            yield http.Ready(
                replica.url, f"{replica.url}/?t={token}", token, config.data, config.nodes, replica.service
            )
