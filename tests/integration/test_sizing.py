"""Live sizing over a real store: decisions at the ends of intervals, and what restarts make of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from tests.live import Live, wait_until
from tests.samples import ended_run, make_task
from trainmaster.alarms.rules.standing import Look, breaches
from trainmaster.bootstrap.alarms import Here
from trainmaster.bus.memory import MemoryBus
from trainmaster.cli.main import run
from trainmaster.client import AsyncClient, Client, Refused
from trainmaster.domain.alarm import Condition, Rule
from trainmaster.domain.cluster import Node
from trainmaster.domain.events import DrainRequested, NodeJoined, TaskSubmitted
from trainmaster.domain.history import Record, RecordKind
from trainmaster.domain.ids import NodeId, TaskId, UserName
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.sizing import Grid, SizingKnobs
from trainmaster.domain.task import Task, TaskSpec
from trainmaster.domain.units import Resources
from trainmaster.engines.local import LocalEngine
from trainmaster.policies.registry import named
from trainmaster.ports import Batch, Store
from trainmaster.scheduler.drains import restore_drained
from trainmaster.scheduler.state import State
from trainmaster.service.dispatch import Dispatch
from trainmaster.service.loop import Loop
from trainmaster.service.service import Service
from trainmaster.service.sizing import Sizing
from trainmaster.store import SqlStore

HOUR = 3600.0
START = 1_767_225_600.0  # 2026-01-01T00:00Z
NODE = Resources(cpu_m=1000, memory=10**10)
ME = UserName("me")
APPLY = SizingKnobs(apply=True, hold=1)


@dataclass
class Hand:
    """A clock moved by hand."""

    time: float

    def now(self) -> float:
        return self.time


class Life:
    """A scheduler loop with sizing and six nodes, as `Service` builds them; turns are taken by hand."""

    def __init__(self, store: Store, clock: Hand, knobs: SizingKnobs) -> None:
        self.store, self.clock = store, clock
        self.state = State(policies=named("default"))
        dispatch = Dispatch(LocalEngine({}))
        self.loop = Loop(self.state, store, clock, dispatch, MemoryBus(), incarnation=str(id(self)))
        self.sizing = Sizing(self.loop, store, clock, Grid(), knobs, 30 * 86400.0)

    async def begin(self) -> None:
        loaded = await self.store.load()
        self.state.next_seq = loaded.last_task_seq + 1
        restore_drained(self.state, loaded.settings)
        self.sizing.restore(loaded.settings)
        self.job = asyncio.create_task(self.loop.run())
        nodes = [Node(NodeId(f"n{number}"), NODE, joined_at=self.clock.time) for number in range(1, 7)]
        await self.loop.deliver([NodeJoined(node, ()) for node in nodes])

    async def end(self) -> None:
        self.job.cancel()
        await asyncio.gather(self.job, return_exceptions=True)

    async def turn(self, at: float) -> None:
        """What `Sizing.run` does each time it wakes."""
        self.clock.time = at
        await self.sizing._turn()

    @property
    def on(self) -> int:
        return len(self.sizing.standing.on)

    async def told(self) -> list[Record]:
        records = [record for _, record in await self.store.records(0, 10_000)]
        return [record for record in records if record.kind is RecordKind.CLUSTER_SIZED]


@contextlib.asynccontextmanager
async def life(store: Store, clock: Hand, knobs: SizingKnobs | None = None) -> AsyncIterator[Life]:
    made = Life(store, clock, knobs or SizingKnobs(hold=1))
    await made.begin()
    try:
        yield made
    finally:
        await made.end()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(f"sqlite:///{tmp_path}/store.db")
    await store.open()
    yield store
    await store.close()


async def seed(store: Store, hours: int, begin: float = START, ripple: int = 1) -> None:
    """Tasks that take a whole node for six minutes: twenty an hour by day, two at night, and a ripple."""
    tasks: list[Task] = []
    for hour in range(hours):
        for number in range((20 if 8 <= hour % 24 < 20 else 2) + hour * 7 % ripple):
            at = begin + hour * HOUR + 60.0 * number + 1.0
            times = {"submitted_at": at, "first_started_at": at, "ended_at": at + 360.0}
            tasks.append(make_task(len(tasks) + 1, TaskState.SUCCEEDED, **times))
    runs = [
        ended_run(task.id, resources=NODE, started_at=task.submitted_at, ended_at=task.submitted_at + 360.0)
        for task in tasks
    ]
    await store.commit(Batch(new_tasks=tasks, runs=runs))


async def test_nothing_happens_before_the_first_task(store: SqlStore) -> None:
    async with life(store, Hand(START), APPLY) as here:
        await here.turn(START + 10 * HOUR)
        assert here.sizing.outlook is None
        assert "no task was submitted" in here.sizing.why_not
        task = TaskSubmitted(TaskId("t-1"), TaskSpec("one", command=("true",), resources=NODE))
        here.clock.time = START + 10.2 * HOUR
        await here.loop.request([task])
        await here.turn(START + 10.7 * HOUR)
        assert "no interval has ended" in here.sizing.why_not
        await here.turn(START + 13 * HOUR)
        assert here.sizing.outlook is not None
        assert here.sizing.outlook.wanted is None, "no task has ended"
        assert here.on == 6


async def test_nodes_follow_the_day(store: SqlStore) -> None:
    """Three days of history; then, hour by hour, a night and the morning after it."""
    await seed(store, 5 * 24)  # what comes later is not seen before its time
    night = START + (3 * 24 + 22) * HOUR
    async with life(store, Hand(night), APPLY) as here:
        await here.turn(night + 1)
        outlook = here.sizing.outlook
        assert outlook is not None
        assert outlook.capacity == pytest.approx(10.0)
        assert outlook.wanted is not None
        assert outlook.wanted <= 2
        assert here.on == outlook.wanted, "drained"
        await here.turn(night + HOUR / 2)
        assert len(here.sizing.track) == 1, "one decision an hour"
        for hour in range(1, 11):
            await here.turn(night + hour * HOUR + 1)
        assert here.on >= 2, "woken before the day's tasks are there"
        assert [row.time for row in here.sizing.track] == [night + hour * HOUR for hour in range(11)]
        assert all(row.on == row.wanted for row in here.sizing.track)
        # What the alarm for forecast work looks at: twenty tasks an hour, where six nodes do sixty.
        needed = await Here(cast(Service, here)).needed()
        assert needed is not None and 0.25 < needed < 0.6
        assert breaches(Rule("r", Condition.OVER_CAPACITY, limit=0.25), Look(here.clock.time, needed=needed))
        told = await here.told()
        assert told[0].detail["on"] == told[0].detail["wanted"] == outlook.wanted
        assert len(told) <= 4, "the same advice is told once"


async def test_advice_alone_touches_no_node_until_it_is_applied(store: SqlStore) -> None:
    await seed(store, 3 * 24 + 22)
    night = START + (3 * 24 + 22) * HOUR
    async with life(store, Hand(night)) as here:
        await here.turn(night + 1)
        assert here.on == 6
        assert here.sizing.track[-1].wanted < 6
        assert here.sizing.track[-1].on == 6
        await here.sizing.change(APPLY, ME)
        assert here.on == here.sizing.track[-1].on == here.sizing.track[-1].wanted
        assert len(here.sizing.track) == 1, "the same hour"
        await here.sizing.change(SizingKnobs(hold=1), ME)
        assert here.on == 6


async def test_a_restart_goes_on(store: SqlStore) -> None:
    await seed(store, 3 * 24 + 22)
    night = START + (3 * 24 + 22) * HOUR
    clock = Hand(night)
    async with life(store, clock) as here:
        await here.loop.request([DrainRequested(NodeId("n1"), True, ME)])
        await here.sizing.change(SizingKnobs(apply=True, hold=2), ME)
        await here.turn(night + 2)
        assert here.on == 5, "the first of two"
        told = len(await here.told())
    async with life(store, clock) as here:
        assert here.sizing.knobs == SizingKnobs(apply=True, hold=2)
        await here.turn(night + 60)
        assert here.sizing.outlook is not None
        assert len(await here.told()) == told, "this hour is decided"
        assert here.on == 5
        await here.turn(night + HOUR + 1)
        assert here.on < 5
        assert len(here.sizing.track) == 2
        asleep = here.sizing.standing.asleep
    async with life(store, clock) as here:
        assert here.sizing.standing.asleep == asleep
        assert here.state.drained[NodeId("n1")] == ME


async def test_nodes_wake_when_the_configuration_no_longer_applies_it(store: SqlStore) -> None:
    await seed(store, 3 * 24 + 22)
    clock = Hand(START + (3 * 24 + 22) * HOUR + 1)
    async with life(store, clock, APPLY) as here:
        await here.turn(clock.time)
        assert here.on < 6
    async with life(store, clock) as here:
        assert here.on < 6
        await here.turn(clock.time + 5)
        assert here.on == 6


async def test_between_decisions_a_waiting_task_wakes_a_node(store: SqlStore) -> None:
    await seed(store, 3 * 24 + 22)
    night = START + (3 * 24 + 22) * HOUR
    async with life(store, Hand(night), APPLY) as here:
        await here.turn(night + 1)
        before = here.on
        specs = [TaskSpec(f"burst-{number}", command=("true",), resources=NODE) for number in range(4)]
        await here.loop.request([TaskSubmitted(TaskId(f"t-{s.name}"), s) for s in specs])
        await here.turn(night + 5)
        assert here.on == before
        await here.turn(night + 30)
        assert here.on == 4
        assert len(here.sizing.track) == 1


async def test_a_model_that_is_none_is_said_and_survived(store: SqlStore) -> None:
    await seed(store, 30)
    async with life(store, Hand(START + 30 * HOUR), APPLY) as here:
        here.sizing.grid = Grid(model="crystal_ball")
        await here.sizing.change(APPLY, ME)
        assert "crystal_ball" in here.sizing.why_not
        assert here.on == 6


async def test_the_forecast_of_a_service_by_every_surface(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """HTTP, both clients, command line and metrics, over a history in the database."""
    data = tmp_path / "data"
    data.mkdir()
    store = SqlStore(f"sqlite:///{data}/trainmaster.db")
    await store.open()
    await seed(store, 72, begin=(time.time() // HOUR - 72) * HOUR)
    await store.close()
    service = Live(data, leave_running=False, nodes=4, forecast={"policy": "static", "nodes": 2, "hold": 1})
    service.start()
    try:
        with Client(service.url, service.token) as client:
            found = wait_until(lambda: (told := client.forecast(rows=50)).outlook and told, "a forecast")
            assert (found.on, found.asleep, found.knobs.policy) == (4, 0, "static")
            assert len(found.outlook.history) == 50
            assert len(found.outlook.coming) == 24
            assert (found.outlook.wanted, found.track[-1].wanted, found.track[-1].on) == (2, 2, 4)
            applied = client.set_forecast(apply=True)
            assert (applied.on, applied.asleep, applied.knobs.apply) == (2, 2, True)
            with pytest.raises(Refused, match="policy"):
                client.set_forecast(policy="dice")  # type: ignore[arg-type]
            assert client.set_forecast(max_nodes=3, policy="conformal").knobs.max_nodes == 3
            assert client.set_forecast(max_nodes=None).knobs.max_nodes is None
        async with AsyncClient(service.url, service.token) as aio:
            assert (await aio.set_forecast(policy="static")).asleep == 2
            assert (await aio.forecast()).knobs.apply
        monkeypatch.setenv("TRAINMASTER_DATA", str(data))
        assert run(["forecast", "--live"]) == 0
        told = capsys.readouterr().out
        assert "static, applied" in told
        assert "2 on, 2 asleep" in told
        assert run(["forecast", "--live", "--advise", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["asleep"] == 0
        with service.client() as http:
            metrics = http.get("/metrics").text
        assert 'trainmaster_sizing_nodes{kind="wanted"} 2.0' in metrics
        assert 'trainmaster_forecast_tasks{bound="upper"}' in metrics
    finally:
        service.stop()
