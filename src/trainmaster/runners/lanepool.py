"""The processes behind lanes: started through the fork-server, watched through their shims, found again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trainmaster.runners import life
from trainmaster.runners.forkclient import ForkServer
from trainmaster.runners.hints import Hints
from trainmaster.runners.lanefolder import LaneFolder
from trainmaster.runners.leftovers import kill_left
from trainmaster.runners.watch import ShimWatch

_RETRY_S = 0.005
_RECHECK_S = 1.0  # how soon a lost hint of a start is made good


@dataclass(slots=True, eq=False)
class LaneProcess:
    """One lane: its folder and what is known of its process."""

    serial: str
    folder: LaneFolder
    child: int = 0  # pid of the process that makes the calls; 0 until it is known
    child_start: int = 0
    watched: bool = False
    gone: bool = False  # verified: nothing of it is alive
    code: int | None = None  # how it ended, once gone


class LanePool:
    """Starts lanes below `folder` and says when one has news or is gone.

    `plan` is what every lane's shim is told, apart from what is the lane's own.
    """

    def __init__(
        self,
        folder: str,
        plan: Mapping[str, Any],
        server: ForkServer,
        hints: Hints,
        on_news: Callable[[LaneProcess], None],
        on_gone: Callable[[LaneProcess], None],
    ) -> None:
        self._folder = folder
        self._plan = plan
        self._server = server
        self._on_news = on_news
        self._on_gone = on_gone
        self._lanes: dict[str, LaneProcess] = {}
        self._serial = 0
        self._watch: ShimWatch[str] = ShimWatch(self._shim_gone)
        self._ended = asyncio.Event()
        self._burials: set[asyncio.Task[None]] = set()
        self._recheck: asyncio.TimerHandle | None = None
        os.makedirs(folder, mode=0o700, exist_ok=True)
        hints.listen("lane", self._lane_hinted)
        hints.listen("shim", self._shim_hinted)
        server.on_failed.append(self._fork_failed)
        server.on_reconnect.append(self._ask_again)

    def adopt(self) -> list[LaneProcess]:
        """Every lane whose folder is whole, oldest first. Call `settle` for each once it is indexed."""
        for serial in sorted(os.listdir(self._folder)):
            folder = LaneFolder(f"{self._folder}/{serial}")
            self._serial = max(self._serial, int(serial))
            if serial in self._lanes:
                continue
            if not os.path.exists(f"{folder.path}/{life.SPEC}"):
                folder.delete()  # its maker died over it; no call can be in it
                continue
            folder.open()
            self._lanes[serial] = LaneProcess(serial, folder)
        return list(self._lanes.values())

    def create(self, activate: bool = True) -> LaneProcess:
        """Begin to start a lane; calls may be sent to its folder at once. Raises OSError.

        `activate`: it imports what calls of a time to come will need before they are due.
        """
        self._serial += 1
        serial = f"{self._serial:08d}"
        path = f"{self._folder}/{serial}"
        own = {
            "word": f"shim {serial}",
            "serial": serial,
            "lane": path,
            "activate": activate,
            "env": {**self._plan["env"], "TRAINMASTER_REPORT": f"{path}/{life.PROGRESS}"},
        }
        lane = LaneProcess(serial, LaneFolder.create(path, {**self._plan, **own}))
        self._lanes[serial] = lane
        self._server.lane(path)
        self._recheck_later()
        return lane

    def settle(self, lane: LaneProcess) -> None:
        """Find out how an adopted lane is: alive, gone, or never begun, which is made good."""
        found = life.read(lane.folder.path)
        if found is None:
            self._server.lane(lane.folder.path)
            self._recheck_later()
        elif "exit" in found or not life.held(lane.folder.path):
            self._shim_gone(lane.serial)
        else:
            self._take(lane, found)

    def terminate(self, lane: LaneProcess) -> None:
        """TERM to the lane process, which stops the call the inbox says to stop."""
        self._signal(lane, signal.SIGTERM)

    def kill(self, lane: LaneProcess) -> None:
        """KILL the lane process; its shim then kills all below it, and `on_gone` follows."""
        self._signal(lane, signal.SIGKILL)

    def delete(self, lane: LaneProcess) -> None:
        """Remove a lane that is gone, with all its files."""
        self._lanes.pop(lane.serial, None)
        lane.folder.delete()

    async def close(self, leave_running: bool) -> None:
        """Let go of the lanes; without `leave_running` kill them first and wait until they are gone."""
        if not leave_running:
            for lane in self._lanes.values():
                if not lane.gone and not self._withdraw(lane):
                    self._refresh(lane)
                    self.kill(lane)
            while any(not lane.gone for lane in self._lanes.values()):
                self._ended.clear()
                await self._ended.wait()
        for burial in self._burials:
            burial.cancel()
        if self._recheck is not None:
            self._recheck.cancel()
        self._watch.close()
        for lane in self._lanes.values():
            lane.folder.close()

    # --- inside --------------------------------------------------------------------------------------------

    def _signal(self, lane: LaneProcess, number: int) -> None:
        if not lane.child:
            self._refresh(lane)
        if lane.gone or lane.folder.closed:
            return
        if not lane.child:  # it is at work already, and its shim about to write down who it is
            asyncio.get_running_loop().call_later(_RETRY_S, self._signal, lane, number)
            return
        try:
            fd = os.pidfd_open(lane.child)
        except ProcessLookupError:
            return
        try:
            if life.start_time(lane.child) == lane.child_start:
                signal.pidfd_send_signal(fd, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(fd)

    def _lane_hinted(self, message: bytes) -> None:
        lane = self._lanes.get(message.decode())
        if lane is not None and not lane.gone:
            self._on_news(lane)

    def _shim_hinted(self, message: bytes) -> None:
        serial, _, text = message.partition(b" ")
        lane = self._lanes.get(serial.decode())
        if lane is not None and not lane.gone:
            self._take(lane, json.loads(text))

    def _refresh(self, lane: LaneProcess) -> None:
        found = life.read(lane.folder.path)
        if found is not None and not lane.gone:
            self._take(lane, found)

    def _take(self, lane: LaneProcess, found: Mapping[str, Mapping[str, Any]]) -> None:
        started = found.get("started")
        if started is not None:
            lane.child, lane.child_start = started["child"], started["child_start"]
            self._on_news(lane)  # a call may be reported as running whose pid was not known yet
        if "exit" in found:
            self._end(lane, found["exit"]["code"])
            return
        mark = started or found.get("claim")
        if mark is not None and not lane.watched:
            lane.watched = True
            self._watch.add(lane.serial, mark["pid"], mark["start"])

    def _end(self, lane: LaneProcess, code: int | None) -> None:
        lane.gone, lane.code = True, code
        self._ended.set()
        self._watch.drop(lane.serial)
        self._on_gone(lane)

    def _shim_gone(self, serial: str) -> None:
        lane = self._lanes.get(serial)
        if lane is None or lane.gone:
            return
        found = life.read(lane.folder.path) or {}
        if "exit" in found:
            self._end(lane, found["exit"]["code"])
            return
        burial = asyncio.get_running_loop().create_task(self._bury(lane, found))
        self._burials.add(burial)
        burial.add_done_callback(self._burials.discard)

    async def _bury(self, lane: LaneProcess, found: Mapping[str, Mapping[str, Any]]) -> None:
        """The shim was killed: end the lane for it, verify, and only then call it gone."""
        if found.get("claim", {}).get("boot") == life.boot_id():
            progress = f"{lane.folder.path}/{life.PROGRESS}"
            started = found.get("started")
            await asyncio.to_thread(kill_left, progress, dict(started) if started else None)
        self._end(lane, None)

    def _withdraw(self, lane: LaneProcess) -> bool:
        """Claim a lane that no shim has begun, so that none ever will."""
        ended = {"code": None, "fault": "never-started", "detail": "", "time": time.time()}
        first = life.line("claim", {"pid": 0, "start": 0, "boot": ""}) + life.line("exit", ended)
        fd = life.claim(lane.folder.path, first)
        if fd is None:
            return False
        os.close(fd)
        self._end(lane, None)
        return True

    def _fork_failed(self, folder: str, number: int) -> None:
        for lane in list(self._lanes.values()):
            if lane.folder.path == folder:
                self._withdraw(lane)

    def _ask_again(self) -> None:
        for lane in self._lanes.values():
            if not lane.watched and not lane.gone and life.read(lane.folder.path) is None:
                self._server.lane(lane.folder.path)

    def _recheck_later(self) -> None:
        if self._recheck is None and any(not (lane.watched or lane.gone) for lane in self._lanes.values()):
            self._recheck = asyncio.get_running_loop().call_later(_RECHECK_S, self._recheck_now)

    def _recheck_now(self) -> None:
        self._recheck = None
        for lane in list(self._lanes.values()):
            if not lane.watched:
                self._refresh(lane)
        self._recheck_later()
