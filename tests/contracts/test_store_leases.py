"""Leases, fencing, the registry and letters, over every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.flows import stage, workflow
from tests.samples import make_record, make_task
from trainmaster.domain.alarm import AlarmBatch
from trainmaster.domain.errors import Deposed
from trainmaster.domain.ids import TaskId, UserName
from trainmaster.domain.replica import Letter, Replica, Role
from trainmaster.domain.task import TaskSpec
from trainmaster.ports import Batch
from trainmaster.store import SqlStore
from trainmaster.store.leases import ALARM, SCHEDULER, SqlLeases


@pytest.fixture
async def leases(store: SqlStore, store_url: str) -> AsyncIterator[SqlLeases]:
    opened = SqlLeases(store_url)
    await opened.open()
    yield opened
    await opened.close()


async def test_one_holds_it_until_it_runs_out_or_is_let_go(leases: SqlLeases) -> None:
    assert await leases.take(SCHEDULER, "a", 60.0) == 1
    assert await leases.take(SCHEDULER, "b", 60.0) is None
    assert await leases.take(ALARM, "b", 60.0) == 1
    assert await leases.renew(SCHEDULER, "a", 1, -1.0)  # it has run out
    assert await leases.renew(SCHEDULER, "a", 1, -1.0)  # nobody took it: it is still ours
    assert await leases.take(SCHEDULER, "b", 60.0) == 2
    assert not await leases.renew(SCHEDULER, "a", 1, 60.0)
    await leases.release(SCHEDULER, "a", 1)  # not ours to let go
    assert await leases.take(SCHEDULER, "a", 60.0) is None
    await leases.release(SCHEDULER, "b", 2)
    assert await leases.take(SCHEDULER, "a", 60.0) == 3
    held, now = await leases.all()
    assert [(one.name, one.holder, one.token, one.until > now) for one in held] == [
        (ALARM, "b", 1, True), (SCHEDULER, "a", 3, True)
    ]  # fmt: skip


async def test_of_many_that_want_it_one_gets_it(leases: SqlLeases) -> None:
    tokens = await asyncio.gather(*(leases.take(SCHEDULER, f"r{n}", 60.0) for n in range(8)))
    assert sorted(token for token in tokens if token is not None) == [1]


async def test_a_deposed_leader_can_store_nothing(store: SqlStore, leases: SqlLeases, store_url: str) -> None:
    old = SqlStore(store_url)
    await old.open()
    try:
        token = await leases.take(SCHEDULER, "a", -1.0)
        assert token is not None
        old.lead(token)
        await old.commit(Batch(new_tasks=[make_task(1)], records=[make_record()]))
        followed = await leases.take(SCHEDULER, "b", 60.0)
        assert followed is not None
        with pytest.raises(Deposed) as caught:
            await old.commit(Batch(new_tasks=[make_task(2)], records=[make_record()]))
        assert caught.value.fields == {"token": token, "latest": followed}
        with pytest.raises(Deposed):
            await old.put_workflow(workflow(stage("a")), UserName("me"), 1.0)
        store.lead(followed)
        assert await store.commit(Batch(new_tasks=[make_task(3)], records=[make_record()])) == 2
        assert await store.counts() == {"QUEUED": 2}
    finally:
        await old.close()


async def test_commits_under_way_end_before_another_leads(
    store: SqlStore, leases: SqlLeases, store_url: str
) -> None:
    """Whatever the order of commits and take-overs, no commit of an older token comes after a newer one's."""
    stores = [SqlStore(store_url) for _ in range(3)]
    for one in stores:
        await one.open()

    async def write(one: SqlStore, seq: int) -> None:
        token = await leases.take(SCHEDULER, f"r{seq}", -1.0)
        if token is None:
            return
        one.lead(token)
        for n in range(4):
            try:
                record = make_record(time=float(token))
                await one.commit(Batch(new_tasks=[make_task(seq * 10 + n)], records=[record]))
            except Deposed:
                return

    try:
        for turn in range(4):
            await asyncio.gather(*(write(one, turn * 3 + n) for n, one in enumerate(stores)))
        times = [record.time for _, record in await store.records(limit=1000)]
        assert len(times) >= 4 and times == sorted(times)
    finally:
        for one in stores:
            await one.close()


async def test_a_deposed_watchman_can_store_nothing(store: SqlStore, leases: SqlLeases) -> None:
    old = store.alarms.under(await leases.take(ALARM, "a", -1.0) or 0)
    await old.record(AlarmBatch(1, "[]"))
    new = store.alarms.under(await leases.take(ALARM, "b", 60.0) or 0)
    with pytest.raises(Deposed):
        await old.record(AlarmBatch(2, "[]"))
    await new.record(AlarmBatch(3, "[]"))
    assert (await store.alarms.memory())[0] == 3


async def test_the_registry_forgets_who_is_silent(store: SqlStore) -> None:
    roles = (Role.API, Role.ALARM)
    first = Replica("r1", "hóst", 1, roles, "http://x", 5.0, 0.0, {"nodes": {}})
    await store.replicas.beat(first, 60.0)
    await store.replicas.beat(replace(first, id="r2", started_at=6.0), 60.0)
    one, two = await store.replicas.all()
    assert (one.id, two.id) == ("r1", "r2") and one.beat_at > 1e9
    assert replace(one, beat_at=0.0) == first
    await store.replicas.beat(replace(first, id="r3", started_at=7.0), -1.0)
    assert [one.id for one in await store.replicas.all()] == ["r3"]
    await store.replicas.leave("r3")
    assert await store.replicas.all() == []


async def test_letters_wait_and_are_opened_once(store: SqlStore) -> None:
    spec = TaskSpec("n", command=("true",), labels=(("a", "b"),))
    first = Letter(TaskId("t-1"), spec, 5.0, "key", "digest")
    assert await store.replicas.put_letter(first) == first
    again = await store.replicas.put_letter(replace(first, task=TaskId("t-2")))
    assert again == first, "the same key is the same submission"
    second = Letter(TaskId("t-3"), spec, 6.0)
    await store.replicas.put_letter(second)
    await store.replicas.put_letter(replace(second, task=TaskId("t-4")))  # without a key each is its own
    assert [one.task for one in await store.replicas.letters(10)] == ["t-1", "t-3", "t-4"]
    await store.replicas.opened(TaskId("t-1"), None)
    await store.replicas.opened(TaskId("t-3"), {"code": "unplaceable"})
    assert await store.replicas.letter(TaskId("t-1")) is None
    told = await store.replicas.letter(TaskId("t-4"))
    assert told is not None and told.spec == spec
