"""The container runner: every run is a container of a Docker engine, found again by its name and labels.

The engine and the runs' folders together hold all there is to know, so a new runner takes over where a killed
one was.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from trainmaster.domain.group import GroupPlan
from trainmaster.domain.ids import NodeId, RunId
from trainmaster.domain.run import Fault, RunReport, RunSpec, RunState, Stream
from trainmaster.ports import LogFile
from trainmaster.runners import container_spec as spec
from trainmaster.runners import life, rundir
from trainmaster.runners.container_engine import ContainerEngine, EngineGone
from trainmaster.runners.container_images import Images
from trainmaster.runners.container_run import ContainerRun, Pauses, Place, claim

_log = logging.getLogger(__name__)
_UNUSED_S = 86_400.0  # how long a folder for checkpoints may stay empty


class ContainerRunner:
    """Starts, watches and stops containers for one node.

    `folder` is the node's; `checkpoints` has one folder for each task that saves its state, default: in the
    node's; `allowed_roots` are the folders volumes may come from; `cpus` the cores its runs
    may use; `url` the engine, empty for DOCKER_HOST or the usual socket. A pull fails after `pull_silence_s`
    seconds without progress. A run is given back after `engine_wait_s` seconds without an engine, unless it
    may have begun: then its outcome is waited for. At most `at_once` containers are being started at a time.
    """

    def __init__(
        self,
        folder: str,
        node: NodeId,
        on_report: Callable[[RunReport], None],
        *,
        checkpoints: str = "",
        allowed_roots: Sequence[str] = (),
        cpus: Sequence[int] | None = None,
        url: str = "",
        pull_silence_s: float = 60.0,
        engine_wait_s: float = 3.0,
        at_once: int = 4,
    ) -> None:
        self._runs_folder = f"{folder}/runs"
        self._runs: dict[RunId, ContainerRun] = {}
        self._latest: asyncio.Event | None = None  # `begun` of the run launched last
        self._tasks: set[asyncio.Task[None]] = set()
        os.makedirs(self._runs_folder, mode=0o700, exist_ok=True)
        owner = _owner(folder)
        engine = ContainerEngine(url)
        self._place = Place(
            folder,
            checkpoints or f"{folder}/checkpoints",
            node,
            owner,
            engine,
            Images(engine, owner, pull_silence_s),
            tuple(allowed_roots),
            list(cpus) if cpus is not None else None,
            engine_wait_s,
            asyncio.Semaphore(at_once),
            on_report,
            self._spawn,
        )

    async def adopt(self) -> list[RunReport]:
        _remove_unused(self._place.checkpoints)
        for folder in rundir.each(self._runs_folder):
            run = rundir.spec(folder)
            if run is not None and run.kind == "container" and run.id not in self._runs:
                self._adopt(run, folder)
        known = set(self._runs)
        try:
            await self._adopt_strays()
        except EngineGone as gone:
            if known:
                _log.warning("containers without a folder are looked for later: %s", gone)
            self._spawn(self._adopt_strays_later())
        return [held.report for held in self._runs.values()]

    async def launch(self, run: RunSpec) -> None:
        if run.id in self._runs:
            return
        folder = f"{self._runs_folder}/{run.id}"
        held = self._hold(run, folder, RunReport(run.id, RunState.PREPARING))
        try:
            rundir.prepare(folder, run, {})
            _make_files(folder)
            os.mkdir(spec.group_folder(folder), 0o755)
        except OSError as error:
            rundir.delete(folder)
            held.end(None, Fault.START_FAILED, f"cannot write the run's folder: {error}")
            return
        self._place.on_report(held.report)
        held.after, self._latest = self._latest, held.begun
        self._spawn(held.live())

    async def stop(self, run: RunId, grace_s: float) -> None:
        held = self._runs.get(run)
        if held is None or held.report.exit is not None:
            return
        try:
            life.put(f"{held.folder}/{life.STOP}", str(grace_s).encode())
        except OSError as error:
            # Then the next agent is told by the service instead.
            _log.warning("run %s: its stop could not be written down: %s", run, error)
        held.want_stop(grace_s)

    async def tell(self, run: RunId, plan: GroupPlan) -> None:
        held = self._runs.get(run)
        if held is not None and held.report.exit is None:
            path = f"{spec.group_folder(held.folder)}/{life.PLAN}"
            life.put(path, plan.to_json().encode())
            os.chmod(path, 0o644)  # for whatever user the image runs as

    async def forget(self, run: RunId) -> None:
        held = self._runs.get(run)
        if held is not None and held.report.exit is not None:
            del self._runs[run]
            self._spawn(self._delete(held))

    def logs(self, run: RunId) -> Mapping[Stream, LogFile]:
        return rundir.logs(f"{self._runs_folder}/{run}")

    async def close(self, leave_running: bool) -> None:
        """Let go of the containers; without `leave_running` only after all of them are verifiably dead."""
        if not leave_running:
            live = [held for held in self._runs.values() if held.report.exit is None]
            for held in live:
                await self.stop(held.spec.id, held.spec.grace_s)
            for held in live:
                await held.done.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._place.engine.close()

    # --- adopt ---------------------------------------------------------------------------------------------

    def _adopt(self, run: RunSpec, folder: str) -> None:
        found = life.read(folder) or {}
        held = self._hold(run, folder, rundir.with_output(rundir.report(run.id, found), folder))
        held.claimed = "claim" in found
        held.adrift = found.get("claim", {}).get("boot", life.boot_id()) != life.boot_id()
        if held.report.exit is not None:
            held.done.set()
            return
        _make_files(folder)
        try:
            with open(f"{folder}/{life.STOP}", encoding="ascii") as file:
                held.want_stop(float(file.read()))
        except (FileNotFoundError, ValueError):
            pass
        self._spawn(held.live())

    async def _adopt_strays(self) -> None:
        """Containers that carry our label but lost their folder get one, so that nothing runs unseen."""
        place = self._place
        for container in await place.engine.owned(place.owner):
            run = spec.owned_run(container["Labels"])
            if run is None or run in self._runs:
                continue
            folder = f"{self._runs_folder}/{run}"
            if not os.path.exists(folder):
                rundir.prepare(folder, RunSpec(run, "container"), {})
                claim(folder)
                self._adopt(RunSpec(run, "container"), folder)
        for container in await place.engine.owned(f"{place.owner}.look"):
            await place.engine.remove(container["Id"])

    async def _adopt_strays_later(self) -> None:
        pauses = Pauses()
        known = set(self._runs)
        while True:
            await pauses.next()
            try:
                await self._adopt_strays()
            except EngineGone:
                continue
            for run in set(self._runs) - known:
                self._place.on_report(self._runs[run].report)
            return

    # --- records -------------------------------------------------------------------------------------------

    def _hold(self, run: RunSpec, folder: str, report: RunReport) -> ContainerRun:
        held = self._runs[run.id] = ContainerRun(run, folder, self._place, report)
        return held

    async def _delete(self, held: ContainerRun) -> None:
        await held.delete()
        rundir.delete(held.folder)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the container runner failed", exc_info=error)


def _remove_unused(checkpoints: str) -> None:
    """Take away the folders of tasks that began long ago and saved nothing."""
    try:
        with os.scandir(checkpoints) as found:
            old = [one.path for one in found if one.stat().st_mtime < time.time() - _UNUSED_S]
    except OSError:
        return
    for path in old:
        try:
            os.rmdir(path)
        except OSError:  # it is in use
            continue


def _make_files(folder: str) -> None:
    """For reports and output, before they are mounted; writable for whatever user the image runs as."""
    for name in (life.PROGRESS, life.OUTPUT):
        fd = os.open(f"{folder}/{name}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        try:
            os.fchmod(fd, 0o666)  # past the umask
        finally:
            os.close(fd)


def _owner(folder: str) -> str:
    """The id of the node's folder, made at first use: other folders' containers are none of our business."""
    path = f"{folder}/containers.id"
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        life.put(path, secrets.token_hex(8).encode())
        return _owner(folder)
