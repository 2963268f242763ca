"""The process runner: every run is a command under a shim of its own.

All it knows it reads from the runs' folders, so a new one takes over where a killed one was.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainmaster.domain.group import GroupPlan
from trainmaster.domain.ids import NodeId, RunId
from trainmaster.domain.run import Fault, RunReport, RunSpec, RunState, Stream
from trainmaster.ports import LogFile
from trainmaster.runners import environment, life, rundir
from trainmaster.runners.folders import Folders
from trainmaster.runners.forkclient import ForkServer
from trainmaster.runners.hints import Hints
from trainmaster.runners.interpreters import Interpreters, warmable
from trainmaster.runners.leftovers import kill_left
from trainmaster.runners.watch import ShimWatch

_RECHECK_S = 1.0  # how soon a lost hint is made good
_ASK_AGAIN_S = 5.0  # how soon a lost request is


@dataclass(slots=True)
class _Held:
    """One run the node holds."""

    id: RunId
    folder: str
    grace_s: float
    report: RunReport
    shim: int | None = None
    warm: ForkServer | None = None  # whom to ask instead of the plain fork-server
    asked: float = 0.0  # monotonic time of the last request to begin it
    size: int = 0  # of its life file when that was last read


class ProcessRunner:
    """Starts, watches and stops commands on one node.

    `folder` is the node's; `cpus` are the cores its runs may use, None for all. `checkpoints` is the folder
    that has one for each task that saves its state, default: in the node's. `interpreters` start what may
    start warm; without them everything starts cold.
    """

    def __init__(
        self,
        folder: str,
        node: NodeId,
        server: ForkServer,
        hints: Hints,
        on_report: Callable[[RunReport], None],
        cpus: Sequence[int] | None = None,
        checkpoints: str = "",
        interpreters: Interpreters | None = None,
    ) -> None:
        self._interpreters = interpreters
        self._checkpoints = checkpoints or f"{folder}/checkpoints"
        self._runs_folder = f"{folder}/runs"
        self._lease = f"{folder}/lease"
        self._node = node
        self._server = server
        self._hints = hints
        self._on_report = on_report
        self._cpus = list(cpus) if cpus is not None else None
        self._environment = environment.base()
        self._folders = Folders(f"{folder}/spare")
        self._home = environment.home(self._environment)
        self._runs: dict[RunId, _Held] = {}
        self._watch: ShimWatch[RunId] = ShimWatch(self._shim_gone)
        self._recheck: asyncio.TimerHandle | None = None
        self._settled = asyncio.Event()
        self._burials: set[asyncio.Task[None]] = set()
        os.makedirs(self._runs_folder, mode=0o700, exist_ok=True)
        hints.listen("run", self._hinted)
        server.on_failed.append(self._fork_failed)
        server.on_reconnect.append(self._ask_again)
        if interpreters is not None:
            interpreters.on_failed.append(self._fork_failed)
            interpreters.on_lost.append(self._ask_again)

    # --- the Runner port -----------------------------------------------------------------------------------

    async def adopt(self) -> list[RunReport]:
        for folder in rundir.each(self._runs_folder):
            run = rundir.spec(folder)
            if run is None:
                rundir.delete(folder)  # its maker died over it; nobody can have begun it
            elif run.kind == "process" and run.id not in self._runs:
                self._adopt(run, folder)
        self._recheck_later()
        return [held.report for held in self._runs.values()]

    async def launch(self, run: RunSpec) -> None:
        if run.id in self._runs:
            return
        folder = f"{self._runs_folder}/{run.id}"
        held = _Held(run.id, folder, run.grace_s, RunReport(run.id, RunState.PREPARING))
        self._runs[run.id] = held
        try:
            self._folders.make(folder)
            plan = self._plan(run, folder)
            rundir.fill(folder, run, plan)
        except FileExistsError:
            self._adopt(run, folder)  # never a second start of what may be alive
            return
        except OSError as error:
            rundir.delete(folder)
            self._ended(held, None, Fault.START_FAILED, f"cannot write the run's folder: {error}")
            return
        self._hold_warm(held, run, plan)
        self._ask(held)
        self._recheck_later()

    async def stop(self, run: RunId, grace_s: float) -> None:
        held = self._runs.get(run)
        if held is None or held.report.exit is not None:
            return
        if held.report.state is not RunState.RUNNING and self._withdraw(held, Fault.NEVER_STARTED, ""):
            return
        life.put(f"{held.folder}/{life.STOP}", str(grace_s).encode())
        self._refresh(held)
        if held.report.exit is None:
            self._watch.terminate(held.id)

    async def tell(self, run: RunId, plan: GroupPlan) -> None:
        held = self._runs.get(run)
        if held is not None and held.report.exit is None:
            life.put(f"{held.folder}/{life.PLAN}", plan.to_json().encode())

    async def forget(self, run: RunId) -> None:
        held = self._runs.get(run)
        if held is not None and held.report.exit is not None:
            del self._runs[run]
            self._folders.delete(held.folder)

    def logs(self, run: RunId) -> Mapping[Stream, LogFile]:
        return rundir.logs(f"{self._runs_folder}/{run}")

    async def close(self, leave_running: bool) -> None:
        """Let go of the runs; without `leave_running` only after all of them are verifiably dead."""
        if not leave_running:
            live = [held for held in self._runs.values() if held.report.exit is None]
            for held in live:
                await self.stop(held.id, held.grace_s)
            while any(held.report.exit is None for held in live):
                self._settled.clear()
                await self._settled.wait()
        for burial in self._burials:
            burial.cancel()
        if self._recheck is not None:
            self._recheck.cancel()
        self._watch.close()
        await self._folders.close()

    # --- start ---------------------------------------------------------------------------------------------

    def _plan(self, run: RunSpec, folder: str) -> dict[str, Any]:
        """What the shim is to do, in its words."""
        training = environment.training(folder, self._hints.path, f"{self._checkpoints}/{run.id.task}")
        variables = environment.complete(run, self._node, folder, {**self._environment, **training})
        return {
            "word": f"run {run.id}",
            "argv": run.command,
            "python": warmable(run.command, variables) if run.warm else None,
            "env": variables,
            "cwd": run.directory or self._home,
            "cpus": self._cpus,
            "memory": run.resources.memory,
            "group": f"trainmaster-{run.id}-{os.getpid()}",
            "grace_s": run.grace_s,
            "lease_s": run.lease_s,
            "lease": self._lease,
            "hints": self._hints.path,
        }

    def _ask(self, held: _Held) -> None:
        held.asked = time.monotonic()
        server = held.warm if held.warm is not None and held.warm.connected else self._server
        server.run(held.folder)

    def _hold_warm(self, held: _Held, run: RunSpec, plan: Mapping[str, Any]) -> None:
        """Start it warm if that can be, and keep what starts its siblings warm while it is alive."""
        if self._interpreters is not None and plan["python"]:
            held.warm = self._interpreters.hold(run.id, plan["python"], plan["env"])

    def _ask_again(self) -> None:
        """The fork-server died: what it had not begun is asked for again; claims forbid a second start."""
        for held in self._runs.values():
            if held.report.state is RunState.PREPARING and life.read(held.folder) is None:
                self._ask(held)

    def _fork_failed(self, folder: str, number: int) -> None:
        for held in self._runs.values():
            if held.folder == folder:
                detail = f"the node cannot make another process: {os.strerror(number)}"
                self._withdraw(held, Fault.START_FAILED, detail)
                return

    def _withdraw(self, held: _Held, fault: Fault, detail: str) -> bool:
        """Take the claim ourselves, so that no shim ever can. False if one was faster."""
        ended = {"code": None, "fault": fault, "detail": detail, "time": time.time()}
        first = life.line("claim", {"pid": 0, "start": 0, "boot": ""}) + life.line("exit", ended)
        fd = life.claim(held.folder, first)
        if fd is None:
            return False
        os.close(fd)
        self._refresh(held)
        return True

    # --- watch ---------------------------------------------------------------------------------------------

    def _hinted(self, message: bytes) -> None:
        name, _, text = message.partition(b" ")
        held = self._runs.get(RunId.parse(name.decode()))
        if held is None or held.report.exit is not None:
            return
        found = json.loads(text)
        if "started" in found:
            self._take(held, found)
        else:
            # The hint carries the whole exit, so a disk too full to record it delays nothing here.
            known = rundir.report(held.id, found)
            self._settle(
                held,
                RunReport(
                    held.id, known.state, held.report.started_at, known.ended_at, known.exit, held.report.pid
                ),
            )

    def _refresh(self, held: _Held) -> None:
        found = life.read(held.folder)
        if found is not None:
            self._take(held, found)

    def _take(self, held: _Held, found: dict[str, dict[str, Any]]) -> None:
        """Bring a run up to what its life file (or a line of it) says."""
        mark = found.get("started") or found.get("claim")
        if held.shim is None and mark and mark["pid"] and "exit" not in found:
            held.shim = mark["pid"]
            self._watch.add(held.id, mark["pid"], mark["start"])
        self._settle(held, rundir.report(held.id, found))

    def _settle(self, held: _Held, report: RunReport) -> None:
        if report.exit is not None:
            report = rundir.with_output(report, held.folder)
            self._watch.drop(held.id)
            if self._interpreters is not None:
                self._interpreters.release(held.id)
            self._settled.set()
        if report != held.report:
            held.report = report
            self._on_report(report)

    def _ended(self, held: _Held, code: int | None, fault: Fault, detail: str) -> None:
        ended = {"code": code, "fault": fault, "detail": detail, "time": time.time()}
        self._settle(held, rundir.report(held.id, {"exit": ended}))

    def _recheck_later(self) -> None:
        if self._recheck is None and any(held.report.exit is None for held in self._runs.values()):
            self._recheck = asyncio.get_running_loop().call_later(_RECHECK_S, self._recheck_now)

    def _recheck_now(self) -> None:
        """Make good for hints that were lost: a full pipe, an agent between two lives."""
        self._recheck = None
        now = time.monotonic()
        for held in list(self._runs.values()):
            if held.report.exit is not None or now - held.asked < _RECHECK_S / 2:
                continue
            try:
                size = os.stat(f"{held.folder}/{life.LIFE}").st_size
            except FileNotFoundError:
                if now - held.asked > _ASK_AGAIN_S:
                    self._ask(held)
                continue
            if size != held.size:
                held.size = size
                self._refresh(held)
        self._recheck_later()

    # --- adopt and bury ------------------------------------------------------------------------------------

    def _adopt(self, run: RunSpec, folder: str) -> None:
        found = life.read(folder)
        held = _Held(run.id, folder, run.grace_s, RunReport(run.id, RunState.PREPARING))
        self._runs[run.id] = held
        if run.warm and "exit" not in (found or {}):
            self._hold_warm(held, run, self._plan(run, folder))
        if found is None:
            self._ask(held)  # the launch was wanted and is durable: carry it out
        elif "exit" in found or life.held(folder):
            held.report = rundir.with_output(rundir.report(run.id, found), folder)
            self._take(held, found)
        else:
            self._shim_gone(run.id)

    def _shim_gone(self, run: RunId) -> None:
        """The shim is dead. It wrote the exit first, or it was killed and the run is lost."""
        held = self._runs.get(run)
        if held is None or held.report.exit is not None:
            return
        found = life.read(held.folder) or {}
        if "exit" in found:
            self._take(held, found)
            return
        burial = asyncio.get_running_loop().create_task(self._bury(held, found))
        self._burials.add(burial)
        burial.add_done_callback(self._burials.discard)

    async def _bury(self, held: _Held, found: dict[str, dict[str, Any]]) -> None:
        """Kill what a dead shim left behind, verify, and only then report the run lost."""
        if found.get("claim", {}).get("boot") == life.boot_id():
            await asyncio.to_thread(kill_left, f"{held.folder}/{life.PROGRESS}", found.get("started"))
        ended = {
            "code": None,
            "fault": Fault.VANISHED,
            "detail": "its shim was killed or the machine restarted; nobody saw how the command ended",
            "time": time.time(),
        }
        try:
            fd = os.open(f"{held.folder}/{life.LIFE}", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            try:
                life.write(fd, b"\n" + life.line("exit", ended))
            finally:
                os.close(fd)
        except OSError:
            pass  # the next agent will come to the same conclusion
        self._take(held, {**found, "exit": ended})
