"""Gauges of nodes and runs, from real processes where they matter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from types import SimpleNamespace

import pytest

from trainmaster.agent import monitor as module
from trainmaster.agent.gpu import Gpus
from trainmaster.agent.monitor import Monitor
from trainmaster.agent.probe import Probe
from trainmaster.agent.process_table import ProcessUse
from trainmaster.domain.cluster import Gauges, Node
from trainmaster.domain.ids import NodeId, RunId, TaskId
from trainmaster.domain.units import Resources

RUN = RunId(TaskId("t-1"), 1, 0)
NODE = Node(NodeId("n1"), Resources(cpu_m=500, memory=1000))


class World:
    """A machine of two cores whose clock, processes and core times the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.table: dict[int, ProcessUse] = {}
        self.cores = [self.core(0, 0), self.core(0, 0)]
        self.pids: Mapping[RunId, Collection[int]] = {}
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(module.process_table, "read", lambda: dict(self.table))
        monkeypatch.setattr(module, "_table", (float("-inf"), {}))
        monkeypatch.setattr(module.psutil, "cpu_times", lambda percpu: list(self.cores))

    @staticmethod
    def core(busy: float, idle: float) -> SimpleNamespace:
        return SimpleNamespace(user=busy, nice=0, system=0, irq=0, softirq=0, steal=0, idle=idle, iowait=0)

    def process(self, pid: int, cpu_s: float, memory: int = 100) -> None:
        self.table[pid] = ProcessUse(pid, 1, pid, pid, cpu_s, memory)

    def monitor(self, cpus: list[int] | None, share: float, node: Node = NODE) -> Monitor:
        probe = Probe(None, 1.0, clock=lambda: 0.0)
        probe.tick = lambda: False  # type: ignore[method-assign]
        return Monitor(node, cpus, share, lambda: self.pids, probe=probe)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    yield World(monkeypatch)


def test_a_divided_core_counts_its_own_runs_against_its_share(world: World) -> None:
    monitor = world.monitor([0], share=0.5)
    world.pids = {RUN: [10]}
    world.process(10, 5.0)
    monitor.sample()
    world.now += 5
    world.process(10, 6.25)  # a quarter of a core: half of the share
    world.cores = [world.core(5, 0), world.core(5, 0)]  # the neighbours use all of the machine
    gauges = monitor.sample()
    assert gauges.cpu == pytest.approx(0.5)
    assert gauges.memory == pytest.approx(0.1)


def test_a_node_with_its_cores_to_itself_notices_outsiders(world: World) -> None:
    whole, one = world.monitor(None, share=float(os.cpu_count() or 1)), world.monitor([1], share=1.0)
    world.now += 5
    world.cores = [world.core(0, 5)] * (os.cpu_count() or 1)
    world.cores[1] = world.core(4, 1)
    assert one.sample().cpu == pytest.approx(0.8)
    assert whole.sample().cpu == pytest.approx(0.8 / (os.cpu_count() or 1))


def test_runs_are_told_in_cores_and_bytes(world: World) -> None:
    monitor = world.monitor(None, 2.0)
    world.process(10, 100.0, 300)
    (first,) = monitor.runs({RUN: [10]})
    assert (first.cpu, first.memory) == (0.0, 300)
    world.now += 2
    world.process(10, 103.0, 500)
    (second,) = monitor.runs({RUN: [10]})
    assert (second.run, second.cpu, second.memory) == (RUN, pytest.approx(1.5), 500)
    assert monitor.runs({RUN: [10]}) == (second,)  # nothing passed: the same answer, no division by zero


def test_a_run_that_ended_has_no_gauge_and_a_child_lost_makes_none_negative(world: World) -> None:
    monitor = world.monitor(None, 2.0)
    world.process(10, 100.0)
    monitor.runs({RUN: [10]})
    world.now += 2
    world.process(10, 90.0)
    assert monitor.runs({RUN: [10]})[0].cpu == 0.0
    world.now += 2
    world.table.clear()
    assert monitor.runs({RUN: [10]})[0].memory == 0
    assert monitor.runs({}) == ()


def test_a_real_busy_child_is_seen() -> None:
    script = "print(flush=True)\nwhile True: pass"
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        monitor = Monitor(NODE, None, 0.5, lambda: {RUN: [child.pid]})
        monitor.runs({RUN: [child.pid]})
        cpu = 0.0
        while cpu == 0.0:
            (gauge,) = monitor.runs({RUN: [child.pid]})
            cpu = gauge.cpu
        assert 0 < cpu <= 1.5
        assert gauge.memory > 1_000_000
    finally:
        child.kill()
        child.communicate()


def test_every_gauge_of_the_real_machine_is_in_range(tmp_path: object) -> None:
    monitor = Monitor(Node(NodeId("n"), Resources()), None, 1e9, dict, folder=str(tmp_path))
    gauges = monitor.sample()
    assert isinstance(gauges, Gauges)
    for part in (gauges.cpu, gauges.memory, gauges.disk):
        assert 0 <= part <= 1
    assert gauges.memory > 0 and gauges.disk > 0 and gauges.time > 1e9
    for rate in (gauges.disk_read, gauges.disk_write, gauges.net_received, gauges.net_sent, gauges.load):
        assert rate >= 0
    monitor._probe.join(30)
    assert monitor.index() is not None


class FakeNvml:
    """Two devices; the second lets no utilisation be read."""

    def nvmlInit(self) -> None: ...

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        if handle == 1:
            raise RuntimeError("not supported")
        return SimpleNamespace(gpu=60)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(used=20, total=80)


def test_gpus_are_told_whole_and_a_silent_one_harms_nothing() -> None:
    assert Gpus(nvml=FakeNvml()).use() == ((0.6, 0.0), (0.25, 0.25))
    assert Gpus([1], nvml=FakeNvml()).use() == ((0.0,), (0.25,))


class BrokenNvml:
    def nvmlInit(self) -> None:
        raise OSError("no driver")


def test_without_a_driver_there_are_no_gpus() -> None:
    gpus = Gpus(nvml=BrokenNvml())
    assert len(gpus) == 0
    assert gpus.use() == ((), ())
