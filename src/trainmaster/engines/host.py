"""Agents of this machine for whoever leads: served over a Unix socket, to the latest leader alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from trainmaster.engines import sockets
from trainmaster.ports import Agent

log = structlog.get_logger(__name__)

_CALLS = frozenset({"launch", "stop", "tell", "forget", "poll", "read_log"})


class AgentHost:
    """The first frame of a connection is the token of the leader's lease. Older tokens than the latest seen
    are refused, and their connections are closed: who was deposed reaches no node."""

    def __init__(self, agents: Sequence[Agent], path: Path) -> None:
        self._agents = {agent.node.id: agent for agent in agents}
        self._path = path
        self._server: asyncio.Server | None = None
        self._token = 0
        self._writers: dict[asyncio.StreamWriter, int] = {}
        self._calls: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Adopt what runs, then listen."""
        for agent in self._agents.values():
            await agent.start()
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        self._path.chmod(0o600)

    async def close(self, leave_running: bool) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
        for call in list(self._calls):
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        for agent in self._agents.values():
            await agent.close(leave_running)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not sockets.ours(writer):
                return
            token = int(await sockets.receive(reader))
            if token < self._token:
                log.warning("a leader of the past was turned away", token=token, latest=self._token)
                return
            self._token = token
            for other, older in list(self._writers.items()):
                if older < token:
                    other.close()
            self._writers[writer] = token
            sockets.send(writer, [agent.node for agent in self._agents.values()])
            while True:
                number, node, name, arguments = await sockets.receive(reader)
                call = asyncio.create_task(self._call(writer, number, node, name, arguments))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
        except (EOFError, OSError):
            pass
        finally:
            self._writers.pop(writer, None)
            writer.close()

    async def _call(self, writer: asyncio.StreamWriter, number: int, node: Any, name: str, args: Any) -> None:
        try:
            if name not in _CALLS:
                raise ValueError(f"an agent has no call {name!r}")
            answer: tuple[bool, Any] = (True, await getattr(self._agents[node], name)(*args))
        except Exception as error:
            answer = (False, error)
        with contextlib.suppress(OSError):
            try:
                sockets.send(writer, (number, *answer))
            except (TypeError, AttributeError):  # an error that cannot be carried
                sockets.send(writer, (number, False, RuntimeError(repr(answer[1]))))
            await writer.drain()
