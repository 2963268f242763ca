"""A bus inside one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

_BACKLOG = 256


class MemoryBus:
    """Every subscriber has a bounded queue; when it is full the oldest hint is dropped, never the publisher
    held up. A subscriber that reads the store after each hint loses nothing by that."""

    def __init__(self) -> None:
        self._queues: dict[str, set[asyncio.Queue[Mapping[str, Any] | None]]] = {}
        self._closed = False

    async def publish(self, topic: str, message: Mapping[str, Any]) -> None:
        for queue in self._queues.get(topic, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(message)

    async def subscribe(self, topic: str) -> AsyncIterator[Mapping[str, Any]]:
        if self._closed:
            return
        queue: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue(_BACKLOG)
        self._queues.setdefault(topic, set()).add(queue)
        try:
            while (message := await queue.get()) is not None:
                yield message
        finally:
            self._queues[topic].discard(queue)

    async def close(self) -> None:
        self._closed = True
        for queues in self._queues.values():
            for queue in queues:
                if queue.full():
                    queue.get_nowait()
                queue.put_nowait(None)
