"""Measuring a node and its runs: CPU, memory, GPU, disk, network and the performance index.

A node is a machine or a share of one. A node that has its cores to itself is as busy as these cores are,
whoever uses them. A node that divides cores with others is as busy as its own runs, relative to its share:
what the neighbours do on the same cores is their part, not its.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence

import psutil

from trainmaster.agent import process_table
from trainmaster.agent.gpu import Gpus
from trainmaster.agent.probe import Probe
from trainmaster.domain.cluster import Gauges, Node
from trainmaster.domain.ids import RunId
from trainmaster.domain.run import RunGauge

PERIOD_S = 5.0
_WHOLE = 0.99  # a share of this part of the cores is all of them
_FRESH_S = 0.5  # a reading of /proc this young serves another question of the same round

_table: tuple[float, dict[int, process_table.ProcessUse]] = (float("-inf"), {})


Pids = Mapping[RunId, int | Collection[int]]


def _processes() -> dict[int, process_table.ProcessUse]:
    """All processes, read once for all nodes that share this agent's machine and ask in the same moment."""
    global _table
    now = time.monotonic()
    if now - _table[0] > _FRESH_S:
        _table = (now, process_table.read())
    return _table[1]


class Monitor:
    """Gauges of one node. Every call takes about a millisecond; rates are over the time since the last call.

    `cpus`: the cores the node's runs may use, None for all; `share`: how many cores' worth is the node's;
    `pids`: the processes of its live runs, asked at each sample, or None for those `runs` was last asked for;
    `folder`: where its disk space is measured;
    `devices`: its GPUs, None for all of the machine.
    """

    def __init__(
        self,
        node: Node,
        cpus: Sequence[int] | None,
        share: float,
        pids: Callable[[], Pids] | None = None,
        *,
        folder: str = "/",
        devices: Sequence[int] | None = None,
        probe: Probe | None = None,
    ) -> None:
        own = sorted(cpus) if cpus else list(range(os.cpu_count() or 1))
        self._cpus = own
        self._share = max(share, 1e-3)
        self._alone = share >= _WHOLE * len(own)
        self._pids = pids
        self._asked: Pids = {}
        self._folder = folder
        machine = psutil.virtual_memory().total
        memory = node.capacity.memory
        self._memory = memory if 0 < memory < 0.9 * machine else None  # None: the machine's own is meant
        self._gpus = Gpus(devices if node.capacity.gpus else ())
        self._probe = probe if probe is not None else Probe(cpus, share)
        self._run_cpu: dict[RunId, tuple[float, float]] = {}  # (time, CPU seconds) at the last sample
        self._gauges: dict[RunId, RunGauge] = {}
        self._at = time.monotonic()
        self._busy = self._core_seconds()
        self._traffic = self._counters()

    def index(self) -> float | None:
        """The performance index D, larger is faster; None before the first probe."""
        return self._probe.value

    def sample(self) -> Gauges:
        """Measure now. Also lets the probe run when it is due, in a thread of its own."""
        self._probe.tick()
        pids = self._pids() if self._pids is not None else self._asked
        runs = self.runs(pids) if pids or self._run_cpu else ()
        now = time.monotonic()
        passed = max(now - self._at, 1e-3)
        busy, total = self._core_seconds()
        traffic = self._counters()
        if self._alone:
            ticks = total - self._busy[1]
            cpu = (busy - self._busy[0]) / ticks if ticks > 0 else 0.0
        else:
            cpu = sum(gauge.cpu for gauge in runs) / self._share
        rates = [max(new - old, 0.0) / passed for new, old in zip(traffic, self._traffic, strict=True)]
        self._at, self._busy, self._traffic = now, (busy, total), traffic
        gpu, gpu_memory = self._gpus.use()
        return Gauges(
            time=time.time(),
            interval=passed,
            cpu=_part(cpu),
            memory=_part(self._memory_part(runs)),
            gpu=gpu,
            gpu_memory=gpu_memory,
            disk=self._disk_part(),
            disk_read=rates[0],
            disk_write=rates[1],
            net_received=rates[2],
            net_sent=rates[3],
            load=os.getloadavg()[0],
        )

    def runs(self, pids: Pids) -> tuple[RunGauge, ...]:
        """CPU (cores in use since the last call that named the run) and resident memory of runs' processes.

        For a container name its first process: with `init` it inherits the CPU time of what ended inside. A
        call in the same moment repeats the answer of the last one, as there is nothing to divide by yet.
        """
        self._asked = pids
        if not pids:
            self._run_cpu.clear()
            self._gauges.clear()
            return ()
        table = _processes()
        now = _table[0]
        gauges = []
        spent_now = {}
        for run, tree in zip(pids, process_table.trees(table, map(_several, pids.values())), strict=True):
            spent = sum(table[pid].cpu_s for pid in tree)
            memory = sum(table[pid].memory for pid in tree)
            last = self._run_cpu.get(run)
            if last is not None and now - last[0] < _FRESH_S:
                spent_now[run] = last
                gauges.append(self._gauges.get(run, RunGauge(run, 0.0, memory)))
                continue
            # A child that ended without being waited for takes its seconds along: never below nothing.
            cpu = max(spent - last[1], 0.0) / (now - last[0]) if last is not None else 0.0
            spent_now[run] = (now, spent)
            gauges.append(RunGauge(run, cpu, memory))
        self._run_cpu = spent_now
        self._gauges = {gauge.run: gauge for gauge in gauges}
        return tuple(gauges)

    def _core_seconds(self) -> tuple[float, float]:
        """Busy and all seconds of the node's cores since boot."""
        busy = total = 0.0
        each = psutil.cpu_times(percpu=True)
        for number in self._cpus:
            if number < len(each):
                times = each[number]
                idle = times.idle + times.iowait
                # `guest` is counted within `user` already.
                spent = times.user + times.nice + times.system + times.irq + times.softirq + times.steal
                busy += spent
                total += spent + idle
        return busy, total

    def _memory_part(self, runs: Sequence[RunGauge]) -> float:
        if self._memory is None:
            machine = psutil.virtual_memory()
            return 1.0 - machine.available / machine.total
        return sum(gauge.memory for gauge in runs) / self._memory

    def _disk_part(self) -> float:
        try:
            return psutil.disk_usage(self._folder).percent / 100
        except OSError:
            return 0.0

    @staticmethod
    def _counters() -> tuple[float, float, float, float]:
        """Bytes read, written, received and sent by the machine since boot."""
        disk = psutil.disk_io_counters()
        net = psutil.net_io_counters()
        return (
            disk.read_bytes if disk else 0.0,
            disk.write_bytes if disk else 0.0,
            net.bytes_recv if net else 0.0,
            net.bytes_sent if net else 0.0,
        )


def _several(pids: int | Collection[int]) -> Collection[int]:
    return (pids,) if isinstance(pids, int) else pids


def _part(value: float) -> float:
    return min(max(value, 0.0), 1.0)
