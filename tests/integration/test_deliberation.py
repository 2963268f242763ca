"""While a policy thinks, the service answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.scenario import spec
from trainmaster.bus.memory import MemoryBus
from trainmaster.domain.cluster import Node
from trainmaster.domain.events import NodeJoined, TaskSubmitted
from trainmaster.domain.ids import NodeId, TaskId
from trainmaster.domain.units import Resources
from trainmaster.engines.local import LocalEngine
from trainmaster.policies.allotment.fair import Fair
from trainmaster.policies.base import AllotmentView
from trainmaster.policies.registry import named
from trainmaster.scheduler.state import State
from trainmaster.service.dispatch import Dispatch
from trainmaster.service.loop import Loop
from trainmaster.store import SqlStore


class Wall:
    def now(self) -> float:
        return time.time()


@dataclass(frozen=True, slots=True)
class UntilTold:
    """Thinks until the test has seen enough."""

    enough: asyncio.Event
    name: str = "until-told"
    suspends: bool = False

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        return Fair().allot(view)

    def deliberate(self, view: AllotmentView) -> Generator[None, None, Mapping[TaskId, int]]:
        while not self.enough.is_set():
            yield
        return self.allot(view)


async def test_requests_are_answered_and_recorded_while_the_policy_thinks(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/store.db")
    await store.open()
    state, enough = State(policies=named("default")), asyncio.Event()
    state.policies = replace(state.policies, allotment=UntilTold(enough))
    loop = Loop(state, store, Wall(), Dispatch(LocalEngine({})), MemoryBus(), incarnation="one")
    job = asyncio.create_task(loop.run())
    try:
        node = Node(NodeId("n1"), Resources(cpu_m=4000, memory=10**11), joined_at=time.time())
        await loop.deliver([NodeJoined(node, ())])
        for number in range(3):
            task = TaskId(f"t-{number}")
            assert await loop.request([TaskSubmitted(task, spec(max_workers=2))]) == [None]
            assert (await store.task(task)) is not None
            assert state.deliberation is not None and not state.runs
        enough.set()
        for _ in range(2000):
            if len(state.runs) == 3:
                break
            await asyncio.sleep(0.01)
        assert sum(task.workers for task in state.tasks.values()) == 4
    finally:
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
        await store.close()
