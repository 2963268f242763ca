"""Who is awake, and therefore whether time may pass.

Time stands still while anybody computes: a worker between two answers of ours, one that is being started or
is ending, the service's threads. Once all wait it goes to the earliest moment that somebody waits for. First
the workers whose moment it is act; when they wait again the service is told their news, node by node; then
its own timers are due. So what the service sees does not depend on which worker was faster.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import os
import secrets
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from trainmaster.domain.ids import NodeId, RunId
from trainmaster.domain.run import RunReport, RunState
from trainmaster.simulator.errors import Standstill
from trainmaster.simulator.live.charges import Charge

EPOCH = 1_000_000_000.0  # virtual seconds since the epoch at the beginning: no run is of any particular day
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid of SO_PEERCRED
_LONGEST = 65536


@dataclass(slots=True)
class _Worker:
    """A run from its launch to its reported end. `ticket`: of the wait it is in; None while it is awake."""

    id: RunId
    order: tuple[int, int]  # by task in order of first launch, then by rank: who is answered first
    charge: Charge
    socket: socket.socket | None = None
    ticket: int | None = None
    message: str | None = None  # what it waits to begin with others
    nudged: bool = False  # there was news for it that it has not been woken for
    wakes: bool = False  # … and would be
    started: bool = False  # reported to run
    started_at: float | None = None
    met: set[str] = field(default_factory=set)  # messages it has taken part in and not left


class Timekeeper:
    """One for a virtual world; belongs to its event loop. `now` is in virtual seconds since the beginning."""

    def __init__(self) -> None:
        self.now = 0.0
        self.reached = (
            0.0  # by the service's timers: behind `now` until the workers of that moment have acted
        )
        self.address = f"trainmaster-{os.getpid()}-{secrets.token_hex(8)}"
        self.thawed = False  # time is the machine's again, so that everything can be closed
        self.answers = 0
        self._listener: socket.socket | None = None
        self._workers: dict[RunId, _Worker] = {}
        self._tasks: dict[tuple[str, int], int] = {}
        self._waiting: list[tuple[float, tuple[int, int], int, RunId]] = []  # moment, order, ticket
        self._tickets = count(1)
        self._meetings: dict[tuple[str, int, str], dict[RunId, None]] = {}
        self._left: dict[tuple[str, int, str], set[int]] = {}
        self._threads = 0
        self._silent: list[tuple[NodeId, asyncio.Future[None]]] = []  # news that waits until all others do
        self._strangers: set[socket.socket] = set()  # connected, and not yet said who they are

    # --- the service's side --------------------------------------------------------------------------------

    def open(self) -> None:
        """Listen for workers. Called on the event loop."""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.setblocking(False)
        self._listener.bind(f"\0{self.address}")
        self._listener.listen(128)
        asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Let go of everybody: workers that still train end."""
        self.thawed = True
        loop = asyncio.get_running_loop()
        for each in (
            self._listener, *self._strangers, *(worker.socket for worker in self._workers.values())
        ):  # fmt: skip
            if each is not None:
                loop.remove_reader(each.fileno())
                each.close()
        self._listener = None
        for worker in self._workers.values():
            worker.socket = None

    def clock(self) -> float:
        """Virtual seconds since the epoch."""
        return EPOCH + self.now

    def expect(self, run: RunId, charge: Charge) -> None:
        """A worker is being launched: time stands still until it waits for something."""
        if run not in self._workers:
            task = self._tasks.setdefault((run.task, run.attempt), len(self._tasks))
            self._workers[run] = _Worker(run, (task, run.rank), charge)

    def nudge(self, run: RunId) -> None:
        """There is news for a worker: it looks for it now if it waits for such, else before it waits next."""
        worker = self._workers.get(run)
        if worker is None:
            return
        if worker.ticket is not None and worker.wakes:
            self._wake(worker)
        else:
            worker.nudged = True

    def witness(self, report: RunReport) -> RunReport:
        """What a node says of a run, in virtual time."""
        worker = self._workers.get(report.id)
        if worker is None or report.state not in (RunState.RUNNING, RunState.EXITED):
            return report
        worker.started = True
        if worker.started_at is None:
            worker.started_at = self.clock()
        if report.exit is None:
            return RunReport(report.id, report.state, worker.started_at, None, None, report.pid)
        self._forget(worker)
        began = None if report.started_at is None else worker.started_at
        return RunReport(report.id, report.state, began, self.clock(), report.exit, report.pid)

    async def silence(self, node: NodeId) -> None:
        """Until nobody else acts at this moment. Those who wait for it go on in order of their nodes."""
        if not self.thawed:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._silent.append((node, future))
            await future

    def begin_thread(self) -> None:
        """The service has work under way outside its event loop."""
        self._threads += 1

    def end_thread(self) -> None:
        self._threads -= 1

    # --- time ----------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        return bool(self._threads or self._strangers) or any(map(_awake, self._workers.values()))

    def awake(self) -> list[str]:
        """Who keeps time from passing."""
        names = [f"{worker.id}" for worker in self._workers.values() if _awake(worker)]
        return [*names, *["the service"] * bool(self._threads), *["a new worker"] * len(self._strangers)]

    def advance(self, due: float | None) -> None:
        """Nobody is awake: let something happen. `due`: the service's next timer. Raises Standstill."""
        if self.reached < self.now or self._silent:
            self.reached = self.now
            silent, self._silent = self._silent, []
            for _, future in sorted(silent, key=lambda one: one[0]):
                if not future.done():
                    future.set_result(None)
            return
        while self._waiting and not self._current(self._waiting[0]):
            heapq.heappop(self._waiting)
        first = self._waiting[0][0] if self._waiting else None
        if first is not None and (due is None or first <= due):
            self.now = max(first, self.now)
            while self._waiting and self._waiting[0][0] <= self.now:
                waiting = heapq.heappop(self._waiting)
                if self._current(waiting):
                    self._wake(self._workers[waiting[3]])
        elif due is not None:
            self.now = self.reached = max(due, self.now)
        else:
            raise Standstill(self.now, [])

    def _current(self, waiting: tuple[float, tuple[int, int], int, RunId]) -> bool:
        worker = self._workers.get(waiting[3])
        return worker is not None and worker.ticket == waiting[2]

    # --- the workers' side ---------------------------------------------------------------------------------

    def _accept(self) -> None:
        assert self._listener is not None
        peer, _ = self._listener.accept()
        raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(raw)[1] != os.geteuid():
            peer.close()
            return
        peer.setblocking(False)
        self._strangers.add(peer)
        asyncio.get_running_loop().add_reader(peer.fileno(), self._hear, peer, None)

    def _hear(self, peer: socket.socket, worker: _Worker | None) -> None:
        try:
            content = peer.recv(_LONGEST)
        except BlockingIOError:
            return
        except OSError:
            content = b""
        if not content:
            self._gone(peer, worker)
            return
        said = json.loads(content)
        if worker is None:
            self._greet(peer, RunId.parse(said["run"]))
            return
        _ANSWERS[said.pop("what")](self, worker, **said)

    def _greet(self, peer: socket.socket, run: RunId) -> None:
        self._strangers.discard(peer)
        loop = asyncio.get_running_loop()
        loop.remove_reader(peer.fileno())
        worker = self._workers.get(run)
        if worker is None or worker.socket is not None:
            peer.close()  # a stranger, or a second process of a worker: it has no time of its own here
            return
        worker.socket = peer
        loop.add_reader(peer.fileno(), self._hear, peer, worker)
        self._sleep(worker, worker.charge.start_s)

    def _gone(self, peer: socket.socket, worker: _Worker | None) -> None:
        """Its process is ending: it counts as awake until its node has reported that."""
        asyncio.get_running_loop().remove_reader(peer.fileno())
        peer.close()
        self._strangers.discard(peer)
        if worker is not None:
            worker.socket = None
            self._depart(worker)

    def _sleep(self, worker: _Worker, seconds: float, wakes: bool = False) -> None:
        """Answer it when so much time has passed; at once if there is news, where that `wakes` it."""
        worker.ticket, worker.wakes = next(self._tickets), wakes
        if wakes and worker.nudged:
            worker.nudged = False
            seconds = 0.0
        heapq.heappush(self._waiting, (self.now + seconds, worker.order, worker.ticket, worker.id))

    def _wake(self, worker: _Worker, met: bool = False, gone: tuple[int, ...] = ()) -> None:
        self._rise(worker)
        self.answers += 1
        assert worker.socket is not None
        try:
            worker.socket.send(json.dumps({"now": self.clock(), "met": met, "gone": gone}).encode())
        except OSError:
            pass  # it was killed; that is read next

    def _rise(self, worker: _Worker) -> None:
        """It does not wait any more."""
        if worker.message is not None:
            self._meetings[_name(worker, worker.message)].pop(worker.id, None)
        worker.ticket, worker.message = None, None

    def _pause(self, worker: _Worker, most: float) -> None:
        self._sleep(worker, most, wakes=True)

    def _worked(self, worker: _Worker, samples: int, workers: int) -> None:
        self._sleep(worker, worker.charge.work_s(samples, workers))

    def _regrouped(self, worker: _Worker) -> None:
        self._sleep(worker, worker.charge.regroup_s)

    def _meet(self, worker: _Worker, message: str, size: int, most: float) -> None:
        name = _name(worker, message)
        worker.met.add(message)
        there = self._meetings.setdefault(name, {})
        there[worker.id] = None
        worker.message = message
        self._sleep(worker, most, wakes=True)
        if len(there) == size or self._left.get(name):
            self._hold(name)

    def _hold(self, name: tuple[str, int, str]) -> None:
        """All are there, or somebody will never be: they go on together."""
        there = list(self._meetings.get(name, ()))
        gone = tuple(sorted(self._left.get(name, ())))
        for run in sorted(there, key=lambda run: run.rank):
            self._wake(self._workers[run], met=True, gone=gone)

    def _leave(self, worker: _Worker, message: str) -> None:
        self._part(worker, message)
        self._sleep(worker, 0.0)

    def _part(self, worker: _Worker, message: str) -> None:
        worker.met.discard(message)
        name = _name(worker, message)
        self._left.setdefault(name, set()).add(worker.id.rank)
        self._hold(name)

    def _depart(self, worker: _Worker) -> None:
        """It will come to no message any more."""
        self._rise(worker)
        for message in list(worker.met):
            self._part(worker, message)

    def _forget(self, worker: _Worker) -> None:
        """Its run is over; with the last of an attempt all that was between them is."""
        del self._workers[worker.id]
        if worker.socket is not None:
            self._gone(worker.socket, worker)
        self._depart(worker)
        attempt = (worker.id.task, worker.id.attempt)
        if not any((run.task, run.attempt) == attempt for run in self._workers):
            for names in (self._meetings, self._left):
                for name in [name for name in names if name[:2] == attempt]:
                    del names[name]


def _awake(worker: _Worker) -> bool:
    return worker.ticket is None or not worker.started


def _name(worker: _Worker, message: str) -> tuple[str, int, str]:
    return (worker.id.task, worker.id.attempt, message)


_ANSWERS: dict[str, Callable[..., Any]] = {
    "pause": Timekeeper._pause,
    "worked": Timekeeper._worked,
    "regrouped": Timekeeper._regrouped,
    "meet": Timekeeper._meet,
    "leave": Timekeeper._leave,
}
