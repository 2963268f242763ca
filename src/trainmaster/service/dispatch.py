"""Carries recorded commands to the nodes, in order per node."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby

import structlog

from trainmaster.domain.commands import Forget, ForNode, Launch, Regroup, Stop
from trainmaster.domain.ids import NodeId
from trainmaster.ports import Engine

log = structlog.get_logger(__name__)


class Dispatch:
    """One queue and one courier per node, so that a slow node delays no other.

    A command that cannot be delivered is dropped: it is recorded as a decision, and the reconciliation at the
    node's next joining issues it again.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queues: dict[NodeId, list[ForNode]] = {}
        self._couriers: dict[NodeId, asyncio.Task[None]] = {}

    def send(self, commands: Sequence[ForNode]) -> None:
        for command in commands:
            queue = self._queues.setdefault(command.node, [])
            queue.append(command)
            courier = self._couriers.get(command.node)
            if courier is None or courier.done():
                self._couriers[command.node] = asyncio.create_task(
                    self._carry(command.node), name=f"dispatch {command.node}"
                )

    async def drain(self) -> None:
        """Until everything sent so far was carried."""
        while pending := [courier for courier in self._couriers.values() if not courier.done()]:
            await asyncio.gather(*pending)

    async def close(self) -> None:
        for courier in self._couriers.values():
            courier.cancel()
        await asyncio.gather(*self._couriers.values(), return_exceptions=True)

    async def _carry(self, node: NodeId) -> None:
        while commands := self._queues.pop(node, None):
            for kind, group in groupby(commands, key=type):
                try:
                    await self._deliver(node, kind, list(group))
                except asyncio.CancelledError:
                    raise
                except Exception:
                    log.exception("command not delivered", node=node, kind=kind.__name__)

    async def _deliver(self, node: NodeId, kind: type, commands: list[ForNode]) -> None:
        if kind is Launch:
            await self._engine.launch(node, [c.run for c in commands if isinstance(c, Launch)])
        elif kind is Forget:
            await self._engine.forget(node, [c.run for c in commands if isinstance(c, Forget)])
        else:
            for command in commands:
                if isinstance(command, Stop):
                    await self._engine.stop(node, command.run, command.grace_s)
                elif isinstance(command, Regroup):
                    await self._engine.tell(node, command.run, command.plan)
