"""The service in virtual time, with real agents, real processes and real training.

    async def main(keeper):
        async with virtual_service(keeper, folder, nodes, policies, charges) as service:
            await warm(service, environment)
            tasks = await service.submit_many(specs)
            await ended(service, tasks)

    run_virtually(main)

Everything lies in `folder`. Requests go to the service directly: HTTP would only stand between.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from trainmaster.agent.build import build_agent
from trainmaster.bootstrap import http
from trainmaster.bus.memory import MemoryBus
from trainmaster.domain.cluster import Node
from trainmaster.domain.ids import TaskId
from trainmaster.domain.lifecycle import ENDED
from trainmaster.domain.task import Task, TaskSpec
from trainmaster.engines.local import LocalEngine
from trainmaster.policies.registry import Policies
from trainmaster.scheduler.state import Limits
from trainmaster.service.service import Service, ServiceOptions
from trainmaster.simulator.live.charges import Charges
from trainmaster.simulator.live.loop import run_virtually
from trainmaster.simulator.live.node import VirtualNode
from trainmaster.simulator.live.timekeeper import Timekeeper
from trainmaster.store.store import SqlStore

__all__ = ["ended", "run_virtually", "virtual_service", "warm"]


@contextlib.asynccontextmanager
async def virtual_service(
    keeper: Timekeeper,
    folder: Path,
    nodes: Sequence[Node],
    policies: Policies,
    charges: Charges,
    limits: Limits | None = None,
    seed: int = 0,
) -> AsyncIterator[Service]:
    """A service over `nodes`, whatever they offer: they are accounts, and share the cores there are.

    `charges` says what the workers' doings cost. At the end all that still runs is ended. Raises
    FolderUnusable, StoreUnavailable.
    """
    http.make_folder(folder)
    async with contextlib.AsyncExitStack() as stack:
        store = SqlStore(f"sqlite:///{folder / 'trainmaster.db'}")
        await store.open()
        stack.push_async_callback(store.close)
        loop = asyncio.get_running_loop()
        agents = [
            VirtualNode(
                build_agent(
                    node, str(folder), through=keeper.witness, clock=keeper.clock, monotonic=loop.time
                ),
                keeper,
                charges,
            )
            for node in nodes
        ]
        service = Service(store, LocalEngine(agents), MemoryBus(), _Clock(keeper), ServiceOptions(), seed)
        if limits is not None:
            service.state.limits = limits
        stack.push_async_callback(service.stop, leave_running=False)
        stack.callback(keeper.close)
        await service.start()
        service.state.policies = policies
        yield service


async def ended(service: Service, tasks: Sequence[TaskId], look_s: float = 1.0) -> list[Task]:
    """Until all of them have ended, or until the service fails. Looks every so many virtual seconds."""
    while True:
        found = [await service.task(task) for task in tasks]
        if all(task.state in ENDED for task in found):
            return found
        if service.failed is not None:
            raise service.failed
        await asyncio.sleep(look_s)


async def warm(service: Service, environment: Mapping[str, str]) -> None:
    """Have the interpreter ready that workers with this environment are forked from.

    Without it those that start first each import torch by themselves, which is only slow.
    """
    command = (sys.executable, "-m", "platform")
    variables = tuple(environment.items())
    task = await service.submit(TaskSpec("warm", command=command, max_workers=2, environment=variables))
    await ended(service, [task.id])


class _Clock:
    def __init__(self, keeper: Timekeeper) -> None:
        self._keeper = keeper

    def now(self) -> float:
        return self._keeper.clock()
