"""A node with a real agent, driven as the service drives it, and what it must not leave behind."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trainmaster.agent.build import build_agent
from trainmaster.domain.cluster import Node
from trainmaster.domain.ids import NodeId, RunId, TaskId
from trainmaster.domain.run import LogChunk, RunReport, RunSpec, RunState, Stream
from trainmaster.domain.units import Resources
from trainmaster.ports import Runner
from trainmaster.runners.container import ContainerRunner

NODE = Node(NodeId("n1"), Resources(2000, 1 << 30, 0, 8))


def run_id(name: str, attempt: int = 1, rank: int = 0) -> RunId:
    return RunId(TaskId(f"t-{name}"), attempt, rank)


class Driven:
    """Polls an agent as the service does: acknowledges what it stored, checks that nothing is missing.

    `reports` holds the latest report of each run, `told` all of them in order.
    """

    def __init__(
        self, data: Path, docker: str = "", roots: Sequence[str] = (), at_once: int = 4, **options: Any
    ) -> None:
        self.data = data
        data.mkdir(exist_ok=True)

        def containers(folder: str, on_report: Callable[[RunReport], None]) -> Runner:
            return ContainerRunner(
                folder, NODE.id, on_report, allowed_roots=roots, url=docker, at_once=at_once
            )

        more = {"container": containers} if docker else None
        self.agent = build_agent(NODE, str(data), more=more, **options)
        self.cursor = ("", 0)
        self.reports: dict[RunId, RunReport] = {}
        self.told: list[RunReport] = []
        self.chunks: list[LogChunk] = []
        self.streams: dict[tuple[RunId, Stream], bytes] = {}
        self.ended: set[tuple[RunId, Stream]] = set()

    async def start(self) -> Driven:
        await self.agent.start()
        return self

    async def close(self, leave_running: bool = False) -> None:
        await self.agent.close(leave_running)

    async def poll(self, wait_s: float = 1.0) -> None:
        acks = {key: len(content) for key, content in self.streams.items()}
        result = await self.agent.poll(self.cursor, wait_s, acks)
        self.cursor = (result.incarnation, result.version)
        for report in result.changed:
            self.reports[report.id] = report
            self.told.append(report)
        for chunk in result.logs:
            key = (chunk.run, chunk.stream)
            assert key not in self.ended, f"more of {key} after its last chunk"
            stored = self.streams.get(key, b"")
            assert chunk.offset == len(stored), f"{key} goes on at {chunk.offset}, stored {len(stored)}"
            self.streams[key] = stored + chunk.data
            self.chunks.append(chunk)
            if chunk.last:
                self.ended.add(key)

    async def until(self, holds: Callable[[], Any], what: str, within_s: float = 20.0) -> None:
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, f"not within {within_s} s: {what}; {self.reports}"
            await self.poll(0.02)

    async def state(self, run: RunId, *states: RunState, within_s: float = 20.0) -> RunReport:
        """Poll until the run is in one of the states."""
        await self.until(
            lambda: run in self.reports and self.reports[run].state in states, f"{run} in {states}", within_s
        )
        return self.reports[run]

    async def pid(self, run: RunId) -> int:
        """Poll until the run is known to run, and as which process."""
        await self.until(lambda: run in self.reports and self.reports[run].pid, f"the pid of {run}")
        assert self.reports[run].state is RunState.RUNNING
        return self.reports[run].pid or 0

    async def end(self, *runs: RunId, within_s: float = 20.0) -> RunReport:
        """Poll until the runs have ended and their logs are here. The report of the last one."""
        await self.until(lambda: all(map(self._over, runs)), f"the end of {list(map(str, runs))}", within_s)
        return self.reports[runs[-1]]

    def _over(self, run: RunId) -> bool:
        if run not in self.reports or not self.reports[run].exit:
            return False
        if not any(of == run for of, _ in self.streams) and self.agent._logs.stored(run):
            return True  # a function that wrote nothing owes no stream
        return {(run, name) for name in (Stream.STDOUT, Stream.STDERR, Stream.PROGRESS)} <= self.ended

    async def run(self, spec: RunSpec, within_s: float = 20.0) -> RunReport:
        await self.agent.launch([spec])
        return await self.end(spec.id, within_s=within_s)

    def log(self, run: RunId, stream: Stream = Stream.STDOUT) -> bytes:
        return self.streams.get((run, stream), b"")


def processes_of(data: Path) -> list[tuple[int, str]]:
    """Living processes that name the folder in their command line or environment: (pid, command line)."""
    wanted, found = str(data).encode(), []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if wanted in command or wanted in environment:
            found.append((int(process.name), command.replace(b"\0", b" ").decode(errors="replace")))
    return found


async def nothing_left(data: Path, within_s: float = 10.0) -> None:
    """Wait until no process of the data folder is left; fail, and end them, if that does not come."""
    deadline = time.monotonic() + within_s
    while left := processes_of(data):
        if time.monotonic() > deadline:
            for pid, _ in left:
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    pass
            raise AssertionError(f"left behind: {left}")
        await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """False for zombies too."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"


async def wait_for(holds: Callable[[], Any], what: str, within_s: float = 20.0) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + within_s
    while not (answer := holds()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.005)
    return answer


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
