"""One run as a container, from wherever it is to its end.

Its task compares what the engine says with what is wanted and takes the next step. Each step may be done
twice, so a killed agent or engine costs nothing but time. The container's name is the run's id: whoever
creates it first is the only one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from trainmaster.domain.ids import NodeId
from trainmaster.domain.run import Exit, Fault, RunReport, RunSpec, RunState
from trainmaster.runners import container_spec as spec
from trainmaster.runners import life, rundir
from trainmaster.runners.container_engine import ContainerEngine, EngineGone, NameTaken
from trainmaster.runners.container_images import Images
from trainmaster.runners.container_log import Spool, tail
from trainmaster.runners.container_spec import Refused

_log = logging.getLogger(__name__)
_TURN_S = 2.0  # at most, for those that were launched before
_LONGEST_PAUSE_S = 2.0
_RECHECK_S = 1.0  # how often a kill is repeated until the container is seen dead
_TAIL = 4096
_RETURN_S = 60.0  # for an engine that has answered before: it may be starting again
_LEAVING_S = 3.0  # an engine that stops ends its containers a moment before it is gone itself
_BY_SIGNAL = (128 + 15, 128 + 9)
_ENDED_BY_ENGINE = "the container engine ended it when it stopped or started again"
_REMOVED = "somebody removed the container; nobody saw how it ended"


@dataclass(slots=True)
class Place:
    """What the runs of one node have in common."""

    folder: str
    checkpoints: str  # has one folder for each task
    node: NodeId
    owner: str
    engine: ContainerEngine
    images: Images
    roots: tuple[str, ...]
    cpus: list[int] | None
    engine_wait_s: float
    starts: asyncio.Semaphore
    on_report: Callable[[RunReport], None]
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    init: bool = True  # Docker's own init, which hands signals on; False once an engine turned out to lack it


@dataclass(slots=True)
class ContainerRun:
    """One run. `claimed`: a container of it may exist. `stop_at` (loop time): when KILL is due, if it is."""

    spec: RunSpec
    folder: str
    place: Place
    report: RunReport
    claimed: bool = False
    stop_at: float | None = None
    reason: Fault = Fault.STOPPED
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)  # its start was asked for, or it has ended
    after: asyncio.Event | None = None  # `begun` of the one launched before: more urgent ones start first
    killing: bool = False
    adrift: bool = False  # since it was last seen running the engine was gone, or the machine began anew

    @property
    def name(self) -> str:
        return str(self.spec.id)

    async def live(self) -> None:
        """Carry the run on to its end, however often the engine goes away meanwhile."""
        began, pauses = _now(), Pauses()
        if self.spec.lease_s is not None:
            self.place.spawn(self._watch_lease(self.spec.lease_s))
        while self.report.exit is None:
            try:
                await self._advance()
            except Refused as refused:
                self.end(refused.code, refused.fault, refused.detail)
            except EngineGone as gone:
                if not self.claimed and self.stop_at is not None:
                    self.end(None, Fault.NEVER_STARTED, "stopped before it began")
                elif not self.claimed and _now() - began >= self._engine_wait_s:
                    self.end(None, Fault.NO_ENGINE, str(gone))
                else:
                    self.adrift = True
                    await pauses.next()
            except OSError as error:  # the node's disk, not the engine
                _log.warning("run %s: %s", self.name, error)
                await pauses.next()

    @property
    def _engine_wait_s(self) -> float:
        wait_s = self.place.engine_wait_s
        return max(wait_s, _RETURN_S) if self.place.engine.answered else wait_s

    async def _advance(self) -> None:
        """The next steps, from what the engine says. Returns when the run has ended."""
        info = await self.place.engine.inspect(self.name)
        if info is None:
            if self.report.started_at is not None:
                raise Refused(Fault.VANISHED, _REMOVED)
            await self._create()
            info = await self._inspect()
        if info["Config"]["Labels"].get(spec.LABEL_OWNER) != self.place.owner:
            self.claimed = False
            raise Refused(
                Fault.START_FAILED,
                f"a container named {self.name} exists and is not ours; remove it with `docker rm`",
            )
        self.claimed = True
        if spec.epoch(info["State"]["StartedAt"]) is None:
            info = await self._start()
        self._note_started(info["State"])
        if self.stop_at is not None:
            self._kill_soon()
        info = await self._follow(info)
        await self._finish(info["State"])

    # --- start ---------------------------------------------------------------------------------------------

    async def _create(self) -> None:
        self._check_stop()
        run, place = self.spec, self.place
        volumes = [spec.parse_volume(volume, place.roots) for volume in run.volumes]
        checkpoints = f"{place.checkpoints}/{run.id.task}"
        os.makedirs(checkpoints, exist_ok=True)
        os.chmod(checkpoints, 0o777)  # for whatever user the image runs as
        body = spec.create_body(
            run, place.node, place.owner, volumes, self.folder, checkpoints, cpus=place.cpus, init=place.init
        )
        image = await self._unless_stopped(place.images.ensure(run.image))
        await place.images.check_directory(run, image, volumes)
        self._check_stop()
        # From here on a container may exist, and only the engine can say.
        if not self.claimed:
            claim(self.folder)
            self.claimed = True
        try:
            async with place.starts:
                await place.engine.create(self.name, body)
        except NameTaken:
            pass  # by an earlier try of ours, or by a stranger: its label will tell

    async def _start(self) -> Mapping[str, Any]:
        await self._let_others_first()
        try:
            async with self.place.starts:
                self._check_stop()
                await self.place.engine.start(self.name)
                self.begun.set()
        except Refused as refused:
            if "docker-init" not in refused.detail or not self.place.init:
                raise
            self.place.init = False  # signals then go to the command itself
            await self.place.engine.remove(self.name)
            await self._create()
            return await self._start()
        return await self._inspect()

    async def _let_others_first(self) -> None:
        """Containers are made side by side and started in the order of launch, as that is by priority.

        One whose image takes long to come holds the others up only for a moment.
        """
        if self.after is not None:
            try:
                await asyncio.wait_for(self.after.wait(), _TURN_S)
            except TimeoutError:
                pass
            self.after = None

    def _note_started(self, state: Mapping[str, Any]) -> None:
        started_at = spec.epoch(state["StartedAt"])
        pid = state["Pid"] if state["Running"] and self.place.engine.local else None
        if self.report.started_at is None:
            note(self.folder, "started", {"time": started_at, "child": pid})
        self._settle(RunReport(self.spec.id, RunState.RUNNING, started_at, pid=pid))

    async def _inspect(self) -> Mapping[str, Any]:
        info = await self.place.engine.inspect(self.name)
        if info is None:
            raise Refused(Fault.VANISHED, _REMOVED)
        return info

    # --- watch ---------------------------------------------------------------------------------------------

    async def _follow(self, info: Mapping[str, Any]) -> Mapping[str, Any]:
        """Spool the log while the container runs, then to its end. Returns what the engine says after it."""
        spool = Spool(self.folder)
        try:
            while info["State"]["Running"]:
                self.adrift = False
                spool.rewind()
                async for frames in self.place.engine.log(self.name, follow=True):
                    await spool.take(frames)
                try:
                    async with asyncio.timeout(_RECHECK_S):
                        await self.place.engine.wait(self.name)
                except TimeoutError:
                    pass
                info = await self._inspect()
            # Following may end a moment before the engine has written the last line.
            spool.rewind()
            async for frames in self.place.engine.log(self.name, follow=False):
                await spool.take(frames)
        finally:
            spool.close()
        return info

    async def _finish(self, state: Mapping[str, Any]) -> None:
        code: int | None = state["ExitCode"]
        fault, detail = Fault.NONE, state.get("Error") or ""
        refused = spec.init_refused(code, tail(self.folder, _TAIL))
        if self.stop_at is not None:
            fault = self.reason
        elif state.get("OOMKilled") and code != 0:
            fault, detail = Fault.OUT_OF_MEMORY, "the kernel killed it for using more memory than its limit"
        elif refused is not None:
            code, fault, detail = refused.code, refused.fault, refused.detail
        elif code and (self.adrift or (code in _BY_SIGNAL and await self._engine_leaves())):
            fault, detail = Fault.VANISHED, _ENDED_BY_ENGINE
        self.end(code, fault, detail, spec.epoch(state["FinishedAt"]))

    async def _engine_leaves(self) -> bool:
        """Whether the engine is about to be gone."""
        until = _now() + _LEAVING_S
        while _now() < until:
            if not await self.place.engine.answers():
                return True
            await asyncio.sleep(_LEAVING_S / 10)
        return False

    # --- stop ----------------------------------------------------------------------------------------------

    def want_stop(self, grace_s: float, reason: Fault = Fault.STOPPED) -> None:
        """End it: not begun it never begins, else TERM, `grace_s` seconds, KILL. Returns at once."""
        at = _now() + grace_s
        if self.stop_at is None:
            self.stop_at, self.reason = at, reason
        else:
            self.stop_at = min(self.stop_at, at)  # a second stop can only hurry
        self.stopping.set()
        if self.report.state is RunState.RUNNING:
            self._kill_soon()

    def _check_stop(self) -> None:
        """Between any two steps before the start: what is to stop never starts."""
        if self.stop_at is not None:
            fault = Fault.NEVER_STARTED if self.reason is Fault.STOPPED else self.reason
            raise Refused(fault, "stopped before it began")

    async def _unless_stopped(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do a step that may take long, but drop it as soon as the run is to stop."""
        step, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait((step, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                self._check_stop()
            return await step
        finally:
            for future in (step, stopping):
                future.cancel()
            await asyncio.gather(step, stopping, return_exceptions=True)

    def _kill_soon(self) -> None:
        if not self.killing:
            self.killing = True
            self.place.spawn(self._kill())

    async def _kill(self) -> None:
        """TERM, grace, KILL, until the run is seen to have ended."""
        told = False
        while not self.done.is_set():
            left_s = (self.stop_at or 0.0) - _now()
            try:
                if left_s <= 0:
                    await self.place.engine.kill(self.name, "SIGKILL")
                elif not told:
                    await self.place.engine.kill(self.name, "SIGTERM")
                    told = True
            except EngineGone:
                pass  # its containers died with it, or are there when it returns
            # Short rounds: a second stop may shorten the grace.
            await _happens(self.done, min(left_s, 0.1) if left_s > 0 else _RECHECK_S)

    async def _watch_lease(self, lease_s: float) -> None:
        """End the run once nobody asked for `lease_s` seconds: it may have been started elsewhere by now."""
        began = time.time()
        while not self.done.is_set():
            try:
                touched = max(os.stat(f"{self.place.folder}/lease").st_mtime, began)
            except OSError:
                touched = began
            if time.time() - touched > lease_s:
                self.want_stop(self.spec.grace_s, Fault.LEASE_EXPIRED)
                return
            await _happens(self.done, min(lease_s / 4, 1.0))

    # --- end -----------------------------------------------------------------------------------------------

    def end(self, code: int | None, fault: Fault, detail: str, ended_at: float | None = None) -> None:
        """Write down how it ended, then report it."""
        # Docker notes the end of a run of a few milliseconds before its start.
        at = max(ended_at if ended_at is not None else time.time(), self.report.started_at or 0.0)
        detail = detail[:500]
        try:
            note(self.folder, "exit", {"code": code, "fault": fault, "detail": detail, "time": at})
        except OSError as error:
            # The engine keeps the container until it is forgotten: the next agent finds the same there.
            _log.warning("run %s: its exit is reported but could not be written down: %s", self.name, error)
        state = RunState.LOST if fault is Fault.VANISHED else RunState.EXITED
        exit_ = Exit(code, fault, detail)
        report = RunReport(self.spec.id, state, self.report.started_at, at, exit_, self.report.pid)
        self._settle(rundir.with_output(report, self.folder))
        self.done.set()
        self.begun.set()

    def _settle(self, report: RunReport) -> None:
        if report != self.report:
            self.report = report
            self.place.on_report(report)

    async def delete(self) -> None:
        """Remove the container, then the folder: the other way round the folder would be made anew."""
        pauses = Pauses()
        while self.claimed:
            try:
                await self.place.engine.remove(self.name)
                break
            except EngineGone:
                await pauses.next()


class Pauses:
    """Waits between tries, from 50 ms doubling to 2 s."""

    def __init__(self) -> None:
        self._pause_s = 0.05

    async def next(self) -> None:
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)


def claim(folder: str) -> None:
    """Write down that a container may exist, and in which boot of the machine it was made."""
    note(folder, "claim", {"pid": os.getpid(), "boot": life.boot_id()})


def note(folder: str, kind: str, value: dict[str, Any]) -> None:
    """One more line of the run's life. Of a kind that is there already the first one counts."""
    fd = os.open(f"{folder}/{life.LIFE}", os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        # A newline first, in case a full disk left half a line.
        life.write(fd, (b"\n" if os.fstat(fd).st_size else b"") + life.line(kind, value))
    finally:
        os.close(fd)


async def _happens(event: asyncio.Event, within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        pass


def _now() -> float:
    return asyncio.get_running_loop().time()
