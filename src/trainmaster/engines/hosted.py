"""The engine of nodes that another process of this machine hosts (`AgentHost`)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import structlog

from trainmaster.domain.cluster import Node
from trainmaster.domain.group import GroupPlan
from trainmaster.domain.ids import NodeId, RunId
from trainmaster.domain.run import RunSpec, Stream
from trainmaster.engines import sockets
from trainmaster.ports import Caps, Sink

log = structlog.get_logger(__name__)

POLL_WAIT_S = 2.0
SILENT_S = 3.0  # without a host for so long, its nodes are suspect
_AGAIN_S = 0.1
_RETRY_S = 0.5


class HostedEngine:
    """Connects to whoever hosts the nodes, and again when another process has taken them over.

    Nodes are never given up: their runs outlive their host (docs/adr/0002), and the next one finds them.
    """

    caps = Caps(containers=True, lanes=True, elastic=True, survives_agent_loss=True)

    def __init__(self, path: Path, token: int) -> None:
        self._path = path
        self._token = token
        self._nodes: dict[NodeId, Node] = {}
        self._link: _Link | None = None
        self._job: asyncio.Task[None] | None = None
        self._silent: asyncio.Task[None] | None = None

    async def start(self, sink: Sink) -> None:
        """Returns at once: nodes join as soon as they are hosted."""
        self._job = asyncio.create_task(self._stay_connected(sink), name="nodes")

    async def nodes(self) -> list[Node]:
        return list(self._nodes.values())

    async def launch(self, node: NodeId, runs: Sequence[RunSpec]) -> None:
        await self._call(node, "launch", tuple(runs))

    async def stop(self, node: NodeId, run: RunId, grace_s: float) -> None:
        await self._call(node, "stop", run, grace_s)

    async def tell(self, node: NodeId, run: RunId, plan: GroupPlan) -> None:
        await self._call(node, "tell", run, plan)

    async def forget(self, node: NodeId, runs: Sequence[RunId]) -> None:
        await self._call(node, "forget", tuple(runs))

    async def read_log(self, node: NodeId, run: RunId, stream: Stream, offset: int, limit: int) -> bytes:
        found: bytes = await self._call(node, "read_log", run, stream, offset, limit)
        return found

    async def close(self, leave_running: bool) -> None:
        """Let go of the nodes; their host decides what becomes of what runs there."""
        jobs = [job for job in (self._job, self._silent) if job is not None]
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    async def _call(self, node: NodeId, name: str, *arguments: Any) -> Any:
        if self._link is None:
            # The command is recorded; it is given again when the node joins.
            raise ConnectionError("nobody hosts the nodes now")
        return await self._link.call(node, name, *arguments)

    async def _stay_connected(self, sink: Sink) -> None:
        while True:
            try:
                link, nodes = await _Link.open(self._path, self._token)
            except (OSError, EOFError):
                await asyncio.sleep(_AGAIN_S)
                continue
            if self._silent is not None:
                self._silent.cancel()
            self._link, self._nodes = link, {node.id: node for node in nodes}
            pollers = [
                asyncio.create_task(self._poll(link, node, sink), name=f"poll {node.id}") for node in nodes
            ]
            try:
                await link.listen()
            finally:
                self._link = None
                for poller in pollers:
                    poller.cancel()
                await asyncio.gather(*pollers, return_exceptions=True)
            log.warning("the host of the nodes is gone")
            self._silent = asyncio.create_task(self._fall_silent(sink), name="silent nodes")

    async def _fall_silent(self, sink: Sink) -> None:
        await asyncio.sleep(SILENT_S)
        for node in self._nodes:
            await sink.node_silent(node)

    async def _poll(self, link: _Link, node: Node, sink: Sink) -> None:
        cursor = ("", 0)
        while True:
            try:
                result = await link.call(node.id, "poll", cursor, POLL_WAIT_S, sink.acks(node.id))
                if result.full:
                    await sink.node_up(node, result)
                else:
                    await sink.polled(node.id, result)
                cursor = (result.incarnation, result.version)
            except (OSError, EOFError):
                return
            except Exception:
                log.exception("poll failed", node=node.id)
                await asyncio.sleep(_RETRY_S)


class _Link:
    """One connection: calls with numbers, answered in any order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    @classmethod
    async def open(cls, path: Path, token: int) -> tuple[_Link, list[Node]]:
        """Raises OSError or EOFError if nobody is there, or a later leader is."""
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            sockets.send(writer, token)
            return cls(reader, writer), await sockets.receive(reader)
        except BaseException:
            writer.close()
            raise

    async def listen(self) -> None:
        """Until the other side is gone."""
        try:
            while True:
                number, well, answer = await sockets.receive(self._reader)
                waiting = self._waiting.pop(number, None)
                if waiting is None or waiting.done():
                    continue
                if well:
                    waiting.set_result(answer)
                else:
                    waiting.set_exception(answer)
        except (EOFError, OSError):
            pass
        finally:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionError("the host of the nodes is gone"))

    async def call(self, node: NodeId, name: str, *arguments: Any) -> Any:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            sockets.send(self._writer, (number, node, name, arguments))
            await self._writer.drain()
            return await answer
        finally:
            self._waiting.pop(number, None)
