"""The agent's view of one lane's folder: the inbox it writes, the journal it reads, what it has forgotten."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from trainmaster.runners import lane, life

_FORGOT = "forgot"
_READ = 1 << 22
_LOCK_TRY_S = 0.001
_LOCK_WAIT_S = 5.0


class LaneBusy(Exception):
    """The inbox stayed locked: the lane was frozen in the one moment it holds the lock."""


class LaneFolder:
    """Files of one lane. Every line is written by one `write`, so readers see whole lines."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._journal = -1
        self._offset = 0
        self._part = b""
        self._ping = -1
        self._inbox = -1
        self._forgot = -1
        self.inbox_bytes = 0

    @classmethod
    def create(cls, path: str, plan: Mapping[str, Any]) -> LaneFolder:
        """Make the folder ready for its shim. Raises OSError."""
        os.mkdir(path, 0o700)
        os.mkfifo(f"{path}/{lane.PING}", 0o600)
        for name in (lane.INBOX, lane.JOURNAL):
            os.close(os.open(f"{path}/{name}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        life.put(f"{path}/{life.SPEC}", json.dumps({"plan": plan}, separators=(",", ":")).encode())
        folder = cls(path)
        folder.open()
        return folder

    def open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._journal = os.open(f"{self.path}/{lane.JOURNAL}", os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        self._inbox = os.open(f"{self.path}/{lane.INBOX}", os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        self._forgot = os.open(f"{self.path}/{_FORGOT}", flags, 0o600)
        self._ping = os.open(f"{self.path}/{lane.PING}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.inbox_bytes = os.fstat(self._inbox).st_size

    def close(self) -> None:
        for fd in (self._journal, self._inbox, self._forgot, self._ping):
            if fd >= 0:
                os.close(fd)
        self._journal = self._inbox = self._forgot = self._ping = -1

    @property
    def closed(self) -> bool:
        return self._inbox < 0

    def delete(self) -> None:
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)

    # --- inbox ---------------------------------------------------------------------------------------------

    def send(self, lines: Iterable[bytes]) -> None:
        """Append whole lines and wake the lane. Raises OSError on a full disk, with nothing written."""
        content = b"".join(lines)
        try:
            life.write(self._inbox, content)
        except OSError:
            # Cut back what went in: the lane reads under the lock only, so nobody has seen it.
            with self._locked_now():
                os.ftruncate(self._inbox, self.inbox_bytes)
            raise
        self.inbox_bytes += len(content)
        try:
            os.write(self._ping, b"!")
        except BlockingIOError:
            pass  # full of pings already

    def inbox(self) -> Iterator[dict[str, Any]]:
        """All lines sent so far."""
        with open(f"{self.path}/{lane.INBOX}", "rb") as file:
            yield from _parse(file.read().split(b"\n")[:-1])

    @contextmanager
    def _locked_now(self) -> Iterator[None]:
        fcntl.flock(self._inbox, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._inbox, fcntl.LOCK_UN)

    async def lock(self) -> None:
        """Keep the lane from starting another call. Raises LaneBusy after some seconds."""
        until = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(self._inbox, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > until:
                    raise LaneBusy(self.path) from None
                await asyncio.sleep(_LOCK_TRY_S)

    def unlock(self) -> None:
        fcntl.flock(self._inbox, fcntl.LOCK_UN)

    # --- journal -------------------------------------------------------------------------------------------

    def news(self) -> list[dict[str, Any]]:
        """Journal lines written since the last call."""
        found: list[dict[str, Any]] = []
        while content := os.pread(self._journal, _READ, self._offset):
            self._offset += len(content)
            *lines, self._part = (self._part + content).split(b"\n")
            found += _parse(lines)
        return found

    def conclude(self, outcome: Mapping[str, Any]) -> None:
        """Write the outcome a dead lane could not write. Raises OSError."""
        life.write(self._journal, b"\n" + json.dumps(outcome).encode() + b"\n")

    # --- forgetting ----------------------------------------------------------------------------------------

    def forget(self, runs: Iterable[str]) -> None:
        """Note that these outcomes are recorded elsewhere: the next agent will not speak of them again."""
        try:
            life.write(self._forgot, "".join(f"{run}\n" for run in runs).encode())
        except OSError:
            pass  # a full disk; to be told of an old outcome once more harms nobody

    def forgotten(self) -> set[str]:
        with open(f"{self.path}/{_FORGOT}", encoding="utf-8") as file:
            return set(file.read().split("\n")[:-1])


def _parse(lines: list[bytes]) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads(b"[" + b",".join(line for line in lines if line) + b"]")
        return found
    except ValueError:
        pass
    found = []
    for line in lines:  # a full disk left half a line somewhere: pass over it alone
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found
