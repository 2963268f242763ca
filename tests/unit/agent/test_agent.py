"""The agent over a runner of the test's own: conversations, order, forgetting, measuring."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from tests.nodes import NODE, run_id

from trainmaster.agent.agent import Agent
from trainmaster.agent.board import Board
from trainmaster.domain.cluster import Gauges
from trainmaster.domain.ids import RunId
from trainmaster.domain.run import Exit, RunGauge, RunReport, RunSpec, RunState, Stream
from trainmaster.ports import LogFile

A, B = run_id("a"), run_id("b")


class Scripted:
    """A runner that notes what it is told; the test reports in its place."""

    def __init__(self, folder: Path, adopted: Sequence[RunReport] = ()) -> None:
        self.folder = folder
        self.adopted = list(adopted)
        self.calls: list[tuple[str, RunId]] = []

    async def adopt(self) -> list[RunReport]:
        return self.adopted

    async def launch(self, run: RunSpec) -> None:
        self.calls.append(("launch", run.id))

    async def stop(self, run: RunId, grace_s: float) -> None:
        self.calls.append((f"stop {grace_s:g}", run))

    async def forget(self, run: RunId) -> None:
        self.calls.append(("forget", run))

    def logs(self, run: RunId) -> Mapping[Stream, LogFile]:
        return {Stream.STDOUT: LogFile(str(self.folder / str(run)))}

    async def close(self, leave_running: bool) -> None:
        self.calls.append((f"close {leave_running}", A))


class Room:
    def __init__(self, folder: Path, adopted: Sequence[RunReport] = ()) -> None:
        self.board = Board("life-1")
        self.runner = Scripted(folder, adopted)
        self.agent = Agent(NODE, str(folder), self.board, {"process": self.runner})


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def running(run: RunId) -> RunReport:
    return RunReport(run, RunState.RUNNING, 1.0)


def ended(run: RunId) -> RunReport:
    return RunReport(run, RunState.EXITED, 1.0, 2.0, Exit(0))


async def test_the_first_answer_is_full_and_comes_at_once(room: Room) -> None:
    await room.agent.start()
    result = await asyncio.wait_for(room.agent.poll(("", 0), 60.0, {}), 5)
    assert result.full and result.changed == () and result.incarnation == "life-1"
    assert room.agent.node.incarnation == "life-1"


async def test_the_first_answer_holds_what_was_adopted(tmp_path: Path) -> None:
    room = Room(tmp_path, [running(A), ended(B)])
    await room.agent.start()
    result = await room.agent.poll(("life-0", 41), 0.0, {})
    assert result.full and set(result.changed) == {running(A), ended(B)}


async def test_a_poll_without_news_is_empty_and_keeps_its_place(room: Room) -> None:
    first = await room.agent.poll(("", 0), 0.0, {})
    second = await room.agent.poll((first.incarnation, first.version), 0.0, {})
    assert not second.full and second.changed == () and second.version == first.version


async def test_news_wakes_a_waiting_poll(room: Room) -> None:
    first = await room.agent.poll(("", 0), 0.0, {})
    waiting = asyncio.create_task(room.agent.poll((first.incarnation, first.version), 60.0, {}))
    await asyncio.sleep(0)
    room.board.report(running(A))
    result = await asyncio.wait_for(waiting, 5)
    assert result.changed == (running(A),)


async def test_what_was_confirmed_is_not_sent_again_and_what_was_lost_is(room: Room) -> None:
    first = await room.agent.poll(("", 0), 0.0, {})
    start = (first.incarnation, first.version)
    room.board.report(running(A))
    second = await room.agent.poll(start, 0.0, {})
    room.board.report(running(B))
    lost = await room.agent.poll((second.incarnation, second.version), 0.0, {})
    again = await room.agent.poll((second.incarnation, second.version), 0.0, {})
    assert lost.changed == again.changed == (running(B),)
    assert not again.full


@pytest.mark.parametrize("cursor", [("life-0", 3), ("life-1", 10_000), ("life-1", 0)])
async def test_a_caller_that_lost_the_thread_is_told_everything(room: Room, cursor: tuple[str, int]) -> None:
    first = await room.agent.poll(("", 0), 0.0, {})
    room.board.report(running(A))
    second = await room.agent.poll((first.incarnation, first.version), 0.0, {})
    await room.agent.poll((second.incarnation, second.version), 0.0, {})
    result = await room.agent.poll(cursor, 0.0, {})
    assert result.full and result.changed == (running(A),)


async def test_launched_but_silent_runs_are_known_to_a_new_caller(room: Room) -> None:
    await room.agent.launch([RunSpec(A, "process")])
    result = await room.agent.poll(("", 0), 0.0, {})
    assert result.changed == (RunReport(A, RunState.PREPARING),)


async def test_higher_priority_is_launched_first_and_each_once(room: Room) -> None:
    low, high = RunSpec(A, "process", priority=(0, 9.0)), RunSpec(B, "process", priority=(1, 0.0))
    await room.agent.launch([low, high])
    await room.agent.launch([low])
    assert room.runner.calls == [("launch", B), ("launch", A)]


async def test_stop_goes_to_the_runner_of_the_run_only(room: Room) -> None:
    await room.agent.launch([RunSpec(A, "process")])
    await room.agent.stop(A, 3.0)
    await room.agent.stop(B, 3.0)
    assert room.runner.calls == [("launch", A), ("stop 3", A)]


async def test_forgotten_only_after_its_end_and_with_its_log_stored(room: Room, tmp_path: Path) -> None:
    (tmp_path / str(A)).write_bytes(b"text")
    first = await room.agent.poll(("", 0), 0.0, {})
    await room.agent.launch([RunSpec(A, "process")])
    room.board.report(running(A))
    await room.agent.forget([A])
    second = await room.agent.poll((first.incarnation, first.version), 0.0, {})
    room.board.report(ended(A))
    third = await room.agent.poll((second.incarnation, second.version), 0.0, {})
    assert third.logs[-1].last and ("forget", A) not in room.runner.calls
    await room.agent.poll((third.incarnation, third.version), 0.0, {(A, Stream.STDOUT): 4})
    assert room.runner.calls[-1] == ("forget", A)
    assert (await room.agent.poll(("", 0), 0.0, {})).changed == ()


async def test_forgetting_what_is_unknown_does_nothing(room: Room) -> None:
    await room.agent.forget([A])
    assert room.runner.calls == []


class Sensor:
    def __init__(self) -> None:
        self.asked: list[Mapping[RunId, int]] = []
        self.broken = True

    def sample(self) -> Gauges:
        if self.broken:
            self.broken = False
            raise OSError("the sensor is stuck")
        return Gauges(time=1.0, cpu=0.5)

    def runs(self, pids: Mapping[RunId, int]) -> Sequence[RunGauge]:
        self.asked.append(dict(pids))
        return [RunGauge(run, 1.0, 10) for run in pids]

    def index(self) -> float | None:
        return 2.0


async def test_measurements_come_with_a_poll_and_survive_a_failing_sensor(tmp_path: Path) -> None:
    sensor = Sensor()
    room = Room(tmp_path, [RunReport(A, RunState.RUNNING, 1.0, pid=42), RunReport(B, RunState.PREPARING)])
    agent = Agent(NODE, str(tmp_path), room.board, {"p": room.runner}, monitor=sensor, measure_s=0.001)
    await agent.start()
    result = await agent.poll(("", 0), 0.0, {})
    while result.gauges is None:
        result = await agent.poll((result.incarnation, result.version), 5.0, {})
    assert result.gauges.cpu == 0.5 and result.index == 2.0
    assert result.run_gauges == (RunGauge(A, 1.0, 10),)
    assert sensor.asked[0] == {A: 42}
    await agent.close(leave_running=True)
    assert room.runner.calls == [("close True", A)]
