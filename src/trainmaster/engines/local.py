"""The engine of one machine: agents in this process, one per logical node."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from trainmaster.domain.cluster import Node
from trainmaster.domain.errors import UnknownNode
from trainmaster.domain.group import GroupPlan
from trainmaster.domain.ids import NodeId, RunId
from trainmaster.domain.run import RunSpec, Stream
from trainmaster.ports import Agent, Caps, Sink

log = structlog.get_logger(__name__)

POLL_WAIT_S = 2.0
_RETRY_S = 0.5


class LocalEngine:
    """Polls its agents and carries calls to them. No other dependency, no network."""

    caps = Caps(containers=True, lanes=True, elastic=True, survives_agent_loss=True)

    def __init__(self, agents: Sequence[Agent]) -> None:
        self._agents = {agent.node.id: agent for agent in agents}
        self._pollers: list[asyncio.Task[None]] = []

    async def start(self, sink: Sink) -> None:
        for agent in self._agents.values():
            await agent.start()
        self._pollers = [
            asyncio.create_task(self._poll(agent, sink), name=f"poll {name}")
            for name, agent in self._agents.items()
        ]

    async def nodes(self) -> list[Node]:
        return [agent.node for agent in self._agents.values()]

    async def launch(self, node: NodeId, runs: Sequence[RunSpec]) -> None:
        await self._agent(node).launch(runs)

    async def stop(self, node: NodeId, run: RunId, grace_s: float) -> None:
        await self._agent(node).stop(run, grace_s)

    async def tell(self, node: NodeId, run: RunId, plan: GroupPlan) -> None:
        await self._agent(node).tell(run, plan)

    async def forget(self, node: NodeId, runs: Sequence[RunId]) -> None:
        await self._agent(node).forget(runs)

    async def read_log(self, node: NodeId, run: RunId, stream: Stream, offset: int, limit: int) -> bytes:
        return await self._agent(node).read_log(run, stream, offset, limit)

    async def close(self, leave_running: bool) -> None:
        for poller in self._pollers:
            poller.cancel()
        await asyncio.gather(*self._pollers, return_exceptions=True)
        for agent in self._agents.values():
            await agent.close(leave_running)

    def _agent(self, node: NodeId) -> Agent:
        if node not in self._agents:
            raise UnknownNode(f"{node} is not a node of this machine", node=node)
        return self._agents[node]

    async def _poll(self, agent: Agent, sink: Sink) -> None:
        """Fetch and deliver for ever. Delivery returns once the news is durable, which paces the polling."""
        cursor = ("", 0)
        while True:
            try:
                result = await agent.poll(cursor, POLL_WAIT_S, sink.acks(agent.node.id))
                if result.full:
                    await sink.node_up(agent.node, result)
                else:
                    await sink.polled(agent.node.id, result)
                cursor = (result.incarnation, result.version)
            except asyncio.CancelledError:
                raise
            except Exception:
                # An agent in this process cannot be lost without us; what failed is one poll.
                log.exception("poll failed", node=agent.node.id)
                await asyncio.sleep(_RETRY_S)
