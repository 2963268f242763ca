"""An agent whose node is in virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from trainmaster.domain.cluster import Node
from trainmaster.domain.group import GroupPlan
from trainmaster.domain.ids import RunId
from trainmaster.domain.run import RunSpec, Stream
from trainmaster.ports import Agent, PollResult
from trainmaster.simulator.live.charges import Charges
from trainmaster.simulator.live.timekeeper import Timekeeper

_VARIABLE = "TRAINMASTER_TIMEKEEPER"  # as `train.clock` knows it


class VirtualNode:
    """The port `Agent` around a real one: whom it starts or tells something is awake from that moment on.

    The real one is to pass its reports through `Timekeeper.witness`. A run that knows nothing of virtual time
    takes none, however long it takes. What is measured in the machine's time is the grace of a stop: a worker
    that is told to stop ends after its step, as always, and is killed if it does not in time.
    """

    def __init__(self, agent: Agent, keeper: Timekeeper, charges: Charges) -> None:
        self._agent = agent
        self._keeper = keeper
        self._charges = charges

    @property
    def node(self) -> Node:
        return self._agent.node

    async def start(self) -> None:
        await self._agent.start()

    async def launch(self, runs: Sequence[RunSpec]) -> None:
        for run in runs:
            self._keeper.expect(run.id, self._charges(self.node.id, run))
        environment = (_VARIABLE, self._keeper.address)
        await self._agent.launch([replace(run, environment=(*run.environment, environment)) for run in runs])

    async def stop(self, run: RunId, grace_s: float) -> None:
        await self._agent.stop(run, grace_s)

    async def tell(self, run: RunId, plan: GroupPlan) -> None:
        await self._agent.tell(run, plan)
        self._keeper.nudge(run)

    async def forget(self, runs: Sequence[RunId]) -> None:
        await self._agent.forget(runs)

    async def poll(
        self, cursor: tuple[str, int], wait_s: float, acks: Mapping[tuple[RunId, Stream], int]
    ) -> PollResult:
        result = await self._agent.poll(cursor, wait_s, acks)
        await self._keeper.silence(self.node.id)
        return result

    async def read_log(self, run: RunId, stream: Stream, offset: int, limit: int) -> bytes:
        return await self._agent.read_log(run, stream, offset, limit)

    async def close(self, leave_running: bool) -> None:
        await self._agent.close(leave_running)
