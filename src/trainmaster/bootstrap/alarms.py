"""The alarms of a service: its watchman, its courier, and the desk where people set them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from trainmaster.alarms.channels.addresses import networks
from trainmaster.alarms.channels.carrier import Carrier
from trainmaster.alarms.courier import Courier
from trainmaster.alarms.desk import Desk
from trainmaster.alarms.rules.gather import Outbox
from trainmaster.alarms.watchman import Watchman
from trainmaster.bootstrap.config import Config
from trainmaster.domain.cluster import Gauges, NodeState
from trainmaster.domain.units import parse_duration
from trainmaster.service.service import Service
from trainmaster.store.store import SqlStore


class Alarms:
    """`desk` works from the beginning; rules are evaluated between `start` and `stop`."""

    def __init__(self, desk: Desk, watchman: Watchman, courier: Courier) -> None:
        self.desk = desk
        self._watchman = watchman
        self._courier = courier
        self._job: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._job = asyncio.create_task(self._watchman.run(), name="alarms")

    async def stop(self) -> None:
        """What is not sent yet is sent in the next life."""
        if self._job is not None:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)
        await self._courier.close()


def make_alarms(config: Config, store: SqlStore, service: Service) -> Alarms:
    carrier, outbox = Carrier(networks(config.alarm_networks)), Outbox()
    courier = Courier(store.alarms, carrier, service.clock, outbox)
    watchman = Watchman(
        store.alarms, _Here(service), service.clock, courier, outbox, parse_duration(config.keep_events)
    )
    return Alarms(Desk(store.alarms, carrier, service.clock, watchman.changed), watchman, courier)


class _Here:
    """The present of the service in this process."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def nodes(self) -> Mapping[str, Gauges]:
        return {node.id: node.gauges for node in self._service.nodes() if node.state is not NodeState.GONE}

    async def needed(self) -> float | None:
        outlook, nodes = self._service.sizing.outlook, self._service.sizing.standing.total
        if outlook is None or not outlook.capacity or not nodes:
            return None
        coming = outlook.coming[0]
        return (coming.tasks if coming.upper is None else coming.upper) / (outlook.capacity * nodes)
