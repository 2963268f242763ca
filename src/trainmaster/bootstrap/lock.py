"""One service per data folder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
from pathlib import Path
from typing import ClassVar

from trainmaster.domain.errors import TrainmasterError

# `struct flock`: type, whence, start, length (0: to the end), pid; then what pads it to a whole word.
_FLOCK = "hhqqi0q"


class AlreadyRunning(TrainmasterError):
    """Another service owns the data folder; `fields` has its `pid` (None: in another PID namespace) and
    `since`."""

    code = "already-running"
    status = 409
    remedy = "stop it, or start this one with --data elsewhere"


class FolderLock:
    """A record lock on a file, which the kernel releases however the owner ends.

    Of all kinds of file locks only this one can be asked about without being taken, and then the kernel
    names the owner. What somebody wrote into the file proves nothing: it may be old, or not there yet. A
    record lock belongs to the process, and goes when the process closes the file anywhere; hence `_mine`,
    and nobody but this class may open it.
    """

    _mine: ClassVar[set[Path]] = set()

    def __init__(self, folder: Path) -> None:
        self._path = folder.resolve() / "lock"
        self._file: int | None = None

    def take(self, since: str) -> None:
        """Raises AlreadyRunning."""
        if self._path in self._mine:
            raise _already_running(os.getpid(), since)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                owner = _owner(file)
                if owner is None:
                    continue  # it has just let go
                began = _since(file, owner)
                os.close(file)
                raise _already_running(owner or None, began) from None
        self._mine.add(self._path)
        self._file = file
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps({"pid": os.getpid(), "since": since}).encode(), 0)

    def owner(self) -> int | None:
        """The process that holds the lock now, 0 if it is in another PID namespace, None if there is none.

        Only asks: it never stands in the way of a service that starts meanwhile.
        """
        if self._path in self._mine:
            return os.getpid()
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return _owner(file)
        finally:
            os.close(file)

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self._mine.discard(self._path)


def _already_running(pid: int | None, since: str) -> AlreadyRunning:
    who = "in another PID namespace" if pid is None else f"pid {pid}"
    return AlreadyRunning(
        f"another Trainmaster ({who}) owns this data folder since {since}", pid=pid, since=since
    )


def _owner(file: int) -> int | None:
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else max(int(pid), 0)


def _since(file: int, owner: int) -> str:
    """When the owner says it began, if it has got round to writing that down."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        told = json.loads(os.pread(file, 4096, 0))
        if told["pid"] == owner or not owner:
            return str(told["since"])
    return "a moment ago"
