"""One service per data folder."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from trainmaster.domain.errors import TrainmasterError


class AlreadyRunning(TrainmasterError):
    """Another service owns the data folder; `fields` has its `pid` and `since`."""

    code = "already-running"
    status = 409
    remedy = "stop it, or start this one with --data elsewhere"


class FolderLock:
    """A file lock, which the kernel releases however the owner ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._file: int | None = None

    def take(self, since: str) -> None:
        """Raises AlreadyRunning."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            try:
                owner = json.loads(os.read(file, 4096) or b"{}")
            except ValueError:
                owner = {}
            os.close(file)
            pid, began = owner.get("pid", "unknown"), owner.get("since", "some time")
            raise AlreadyRunning(
                f"another Trainmaster (pid {pid}) owns this data folder since {began}", pid=pid, since=began
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps({"pid": os.getpid(), "since": since}).encode(), 0)
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None
