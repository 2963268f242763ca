"""The alarms of a service: its watchman, its courier, and the desk where people set them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from trainmaster.alarms.book import Book, Present
from trainmaster.alarms.channels.addresses import networks
from trainmaster.alarms.channels.carrier import Carrier
from trainmaster.alarms.courier import Courier
from trainmaster.alarms.desk import Desk
from trainmaster.alarms.rules.gather import Outbox
from trainmaster.alarms.watchman import Watchman
from trainmaster.bootstrap.config import Config
from trainmaster.domain.cluster import Gauges, NodeState
from trainmaster.domain.units import parse_duration
from trainmaster.ports import Clock
from trainmaster.service.service import Service
from trainmaster.store.replicas import SqlReplicas
from trainmaster.store.rows import gauges_of


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


def make_alarms(config: Config, book: Book, present: Present, clock: Clock) -> Alarms:
    carrier, outbox = Carrier(networks(config.alarm_networks)), Outbox()
    courier = Courier(book, carrier, clock, outbox)
    watchman = Watchman(book, present, clock, courier, outbox, parse_duration(config.keep_events))
    return Alarms(Desk(book, carrier, clock, watchman.changed), watchman, courier)


def make_desk(config: Config, book: Book, clock: Clock) -> Desk:
    """Where another process evaluates the rules; it reads them anew every few seconds."""
    return Desk(book, Carrier(networks(config.alarm_networks)), clock)


class Here:
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


class Elsewhere:
    """The present as the leader last told the registry."""

    def __init__(self, replicas: SqlReplicas) -> None:
        self._replicas = replicas

    async def nodes(self) -> Mapping[str, Gauges]:
        return {name: gauges_of(told) for name, told in (await self._told()).get("nodes", {}).items()}

    async def needed(self) -> float | None:
        needed = (await self._told()).get("needed")
        return None if needed is None else float(needed)

    async def _told(self) -> dict[str, Any]:
        telling = [one for one in await self._replicas.all() if "nodes" in one.detail]
        return max(telling, key=lambda one: one.beat_at).detail if telling else {}


async def tell(present: Present) -> dict[str, Any]:
    """What `Elsewhere` reads."""
    nodes = {name: asdict(gauges) for name, gauges in (await present.nodes()).items()}
    return {"nodes": nodes, "needed": await present.needed()}
