"""A container runner as its agent drives it, for tests; run as a program it is an owner to be killed."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.docker_engine import IMAGE, DockerEngine
from trainmaster.domain.ids import NodeId, RunId, TaskId
from trainmaster.domain.run import RunReport, RunSpec, RunState, Stream
from trainmaster.runners.container import ContainerRunner


class ContainerNode:
    """A runner with the reports it made, by run."""

    def __init__(self, folder: Path, url: str, **options: Any) -> None:
        self.folder = folder
        self.told: list[RunReport] = []
        self.reports: dict[RunId, RunReport] = {}
        self.runner = ContainerRunner(str(folder), NodeId("n1"), self._report, url=url, **options)

    def _report(self, report: RunReport) -> None:
        self.told.append(report)
        self.reports[report.id] = report

    async def adopt(self) -> list[RunReport]:
        found = await self.runner.adopt()
        for report in found:
            self.reports.setdefault(report.id, report)
        return found

    async def run(self, spec: RunSpec) -> RunReport:
        """Launch and wait for the end."""
        await self.runner.launch(spec)
        return await self.end(spec)

    async def end(self, spec: RunSpec, within_s: float = 30.0) -> RunReport:
        await until(lambda: self.reports[spec.id].exit is not None, f"the end of {spec.id}", within_s)
        return self.reports[spec.id]

    async def running(self, spec: RunSpec) -> RunReport:
        await until(lambda: self.reports[spec.id].state is RunState.RUNNING, f"the start of {spec.id}")
        return self.reports[spec.id]

    def log(self, spec: RunSpec, stream: Stream = Stream.STDOUT) -> bytes:
        path = Path(self.runner.logs(spec.id)[stream].path)
        return path.read_bytes() if path.exists() else b""


async def until(condition: Callable[[], Any], what: str, within_s: float = 30.0) -> None:
    """Wait for a condition; fails naming it."""
    give_up = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > give_up:
            raise AssertionError(f"waited {within_s:g} s for {what}")
        await asyncio.sleep(0.005)


def run_id(name: str) -> RunId:
    return RunId(TaskId(f"t-{name}"), 1, 0)


def shell(name: str, script: str, **more: Any) -> RunSpec:
    """A run of a shell script in the test image."""
    return RunSpec(run_id(name), "container", ("/bin/sh", "-c", script), image=IMAGE, **more)


def names(engine: DockerEngine) -> set[str]:
    return set(engine.containers())


async def _own(folder: Path, url: str, specs: list[RunSpec]) -> None:
    node = ContainerNode(folder, url)
    await node.adopt()
    for spec in specs:
        await node.runner.launch(spec)
    print("launched", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    _, folder_, url_, given = sys.argv
    asyncio.run(_own(Path(folder_), url_, [RunSpec.from_dict(spec) for spec in json.loads(given)]))
