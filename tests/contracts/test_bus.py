"""What every bus promises: hints reach whoever listens, a slow listener holds nobody up, closing ends all."""

from __future__ import annotations

import asyncio

import pytest

from trainmaster.bus.memory import MemoryBus
from trainmaster.ports import Bus


@pytest.fixture(params=["memory"])
def bus(request: pytest.FixtureRequest) -> Bus:
    return {"memory": MemoryBus}[request.param]()


async def listen(bus: Bus, topic: str, count: int) -> list[int]:
    heard = []
    async for message in bus.subscribe(topic):
        heard.append(message["n"])
        if len(heard) == count:
            break
    return heard


async def test_every_listener_of_a_topic_hears_it_and_no_other(bus: Bus) -> None:
    listeners = [asyncio.create_task(listen(bus, "a", 2)) for _ in range(2)]
    deaf = asyncio.create_task(listen(bus, "b", 1))
    await asyncio.sleep(0)
    for n in range(2):
        await bus.publish("a", {"n": n})
    assert await asyncio.gather(*listeners) == [[0, 1], [0, 1]]
    assert not deaf.done()
    await bus.close()
    assert await deaf == []


async def test_a_slow_listener_gets_the_latest_and_holds_nobody_up(bus: Bus) -> None:
    first = asyncio.Event()
    heard: list[int] = []

    async def slow() -> None:
        async for message in bus.subscribe("a"):
            heard.append(message["n"])
            await first.wait()

    listener = asyncio.create_task(slow())
    await asyncio.sleep(0)
    for n in range(5000):
        await bus.publish("a", {"n": n})
    first.set()
    await bus.close()
    await listener
    assert heard[-1] == 4999 and heard == sorted(heard)


async def test_publishing_to_nobody_is_nothing(bus: Bus) -> None:
    await bus.publish("a", {"n": 1})
    await bus.close()
    assert [message async for message in bus.subscribe("a")] == []
