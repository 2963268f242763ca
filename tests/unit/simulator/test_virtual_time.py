"""Who is awake decides whether time passes: workers in threads, the service in an event loop."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from trainmaster.domain.ids import NodeId, RunId, TaskId
from trainmaster.domain.run import Exit, RunReport, RunState
from trainmaster.simulator.errors import BadSetting, Standstill
from trainmaster.simulator.live.charges import Charge
from trainmaster.simulator.live.loop import run_virtually
from trainmaster.simulator.live.timekeeper import EPOCH, Timekeeper
from trainmaster.simulator.speed import Usl
from trainmaster.train.clock import VirtualClock

CHARGE = Charge(Usl(), sample_s=1.0, start_s=2.0, regroup_s=0.5)


class Workers:
    """Each does what it is given in a thread of its own, as a process would; its end is reported."""

    def __init__(self, keeper: Timekeeper) -> None:
        self.keeper = keeper
        self.over: dict[int, asyncio.Event] = {}

    def start(self, rank: int, does: Callable[[VirtualClock], Any]) -> RunId:
        run = RunId(TaskId("t-1"), 1, rank)
        self.keeper.expect(run, CHARGE)
        self.keeper.witness(RunReport(run, RunState.RUNNING, started_at=1.0))
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        self.over[rank] = over

        def ended() -> None:
            self.keeper.witness(RunReport(run, RunState.EXITED, 1.0, 2.0, Exit(0)))
            over.set()

        def live() -> None:
            clock = VirtualClock(self.keeper.address, str(run))
            does(clock)
            clock.close()
            loop.call_soon_threadsafe(ended)

        threading.Thread(target=live).start()
        return run

    async def end(self) -> None:
        for over in self.over.values():
            await over.wait()


def nothing() -> None:
    pass


def test_waiting_takes_no_time_of_the_machine() -> None:
    async def main(keeper: Timekeeper) -> tuple[float, float]:
        await asyncio.sleep(1e7)
        await asyncio.to_thread(lambda: None)
        return keeper.now, keeper.clock()

    assert run_virtually(main) == (1e7, EPOCH + 1e7)


def test_what_a_worker_did_is_charged_to_it() -> None:
    async def main(keeper: Timekeeper) -> list[float]:
        told: list[float] = []
        workers = Workers(keeper)

        def does(clock: VirtualClock) -> None:
            told.append(clock.now())
            clock.worked(10, 2)  # half of a group of two: each has half of its speed of 2
            told.append(clock.now())
            clock.regrouped()
            told.append(clock.monotonic())

        workers.start(0, does)
        asyncio.get_running_loop().call_later(5.0, lambda: told.append(keeper.clock()))
        await workers.end()
        return [moment - EPOCH for moment in told]

    assert run_virtually(main) == [2.0, 5.0, 12.0, 12.5]


def test_a_message_begins_when_all_are_there() -> None:
    async def main(keeper: Timekeeper) -> dict[int, float]:
        workers, met = Workers(keeper), {}

        def does(rank: int) -> Callable[[VirtualClock], None]:
            def do(clock: VirtualClock) -> None:
                clock.worked(10 * rank, 1)
                assert clock.meet("1", (0, 1, 2), nothing) == ()
                met[rank] = clock.now() - EPOCH
                clock.worked(1, 1)
                assert clock.meet("1", (0, 1, 2), nothing) == ()

            return do

        for rank in range(3):
            workers.start(rank, does(rank))
        await workers.end()
        assert keeper.now == 23.0
        return met

    assert run_virtually(main) == {0: 22.0, 1: 22.0, 2: 22.0}


def test_who_ends_or_leaves_is_not_waited_for() -> None:
    async def main(keeper: Timekeeper) -> list[tuple[int, ...]]:
        workers, gone = Workers(keeper), []

        def stays(clock: VirtualClock) -> None:
            gone.append(clock.meet("1", (0, 1), nothing))
            gone.append(clock.meet("1", (0, 1), nothing))
            gone.append(clock.meet("2", (0, 2), nothing))

        def ends(clock: VirtualClock) -> None:
            clock.meet("1", (0, 1), nothing)
            clock.worked(3, 1)

        def leaves(clock: VirtualClock) -> None:
            clock.worked(50, 1)
            clock.leave("2")

        for rank, does in enumerate((stays, ends, leaves)):
            workers.start(rank, does)
        await workers.end()
        assert keeper.now == 52.0
        return gone

    assert run_virtually(main) == [(), (1,), (2,)]


def test_who_is_killed_while_it_waits_is_not_waited_for() -> None:
    async def main(keeper: Timekeeper) -> tuple[int, ...]:
        workers, gone = Workers(keeper), []

        def stays(clock: VirtualClock) -> None:
            clock.worked(5, 1)
            gone.append(clock.meet("1", (0, 1, 2), nothing))

        def dies(clock: VirtualClock) -> None:
            asyncio.run_coroutine_threadsafe(end(clock), loop)
            with pytest.raises(SystemExit):
                clock.meet("1", (0, 1, 2), nothing)

        async def end(clock: VirtualClock) -> None:
            await asyncio.sleep(1.0)
            clock._socket.shutdown(socket.SHUT_RDWR)

        loop = asyncio.get_running_loop()
        workers.start(0, stays)
        workers.start(1, dies)
        await workers.end()
        return gone[0]

    assert run_virtually(main) == (1,)


def test_news_wakes_who_waits_for_it_and_is_not_lost_on_others() -> None:
    async def main(keeper: Timekeeper) -> list[float]:
        workers, woken = Workers(keeper), []

        def does(clock: VirtualClock) -> None:
            clock.pause(0.002)  # told at 2.25
            woken.append(clock.now())
            clock.worked(4, 1)  # told in the middle
            clock.pause(0.002)
            woken.append(clock.now())
            clock.pause(0.002)  # nothing: it looks again after a second
            woken.append(clock.now())

        run = workers.start(0, does)
        for moment in (2.25, 4.0):
            asyncio.get_running_loop().call_later(moment, keeper.nudge, run)
        await workers.end()
        return [moment - EPOCH for moment in woken]

    assert run_virtually(main) == [2.25, 6.25, 7.25]


def test_news_of_one_moment_is_told_in_the_order_of_the_nodes_once_all_have_acted() -> None:
    async def main(keeper: Timekeeper) -> list[str]:
        workers, order = Workers(keeper), []

        def does(clock: VirtualClock) -> None:
            clock.worked(1, 1)
            order.append("worker")

        async def poll(node: str, moment: float) -> None:
            await asyncio.sleep(moment)
            await keeper.silence(NodeId(node))
            order.append(node)

        workers.start(0, does)
        polls = [asyncio.create_task(poll(node, 3.0)) for node in ("n2", "n1")]
        await asyncio.gather(*polls, workers.end())
        return order

    assert run_virtually(main) == ["worker", "n1", "n2"]


def test_reports_are_in_virtual_time() -> None:
    async def main(keeper: Timekeeper) -> None:
        run = RunId(TaskId("t-1"), 1, 0)
        keeper.expect(run, CHARGE)
        first = keeper.witness(RunReport(run, RunState.RUNNING, started_at=123.0, pid=7))
        assert (first.started_at, first.pid) == (EPOCH, 7)
        last = keeper.witness(RunReport(run, RunState.EXITED, 123.0, 456.0, Exit(3)))
        assert (last.started_at, last.ended_at, last.exit) == (EPOCH, EPOCH, Exit(3))
        assert keeper.witness(first) is first, "an unknown run is none of its business"

    run_virtually(main)


def test_a_world_in_which_nothing_will_happen_says_so() -> None:
    async def main(keeper: Timekeeper) -> None:
        await asyncio.Event().wait()

    with pytest.raises(Standstill, match="nobody waits for anything"):
        run_virtually(main)


def test_a_worker_that_never_waits_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainmaster.simulator.live.loop.PATIENCE_S", 0.01)

    async def main(keeper: Timekeeper) -> None:
        keeper.expect(RunId(TaskId("t-1"), 1, 0), CHARGE)
        await asyncio.sleep(1.0)

    with pytest.raises(Standstill, match=r"t-1\.1\.0 neither ends nor waits"):
        run_virtually(main)


@pytest.mark.parametrize("name", ["sample_s", "start_s", "regroup_s"])
def test_charges_are_seconds(name: str) -> None:
    with pytest.raises(BadSetting, match=name):
        Charge(**{"speed": Usl(), "sample_s": 1.0, name: -1.0})  # type: ignore[arg-type]


def test_a_pace_is_positive() -> None:
    with pytest.raises(BadSetting, match="pace"):
        Charge(Usl(), 1.0, pace=0.0)
