"""Checkpoints: whole files only, the newest two, checked when they are read."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

_KEEP = 2
_ABANDONED_S = 3600.0  # a part so old is of a worker that was killed while it wrote
_DIGEST = 32


class Checkpoints:
    """A folder of `checkpoint-<clock>` files: the SHA-256 of the content, then the content."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)

    def save(self, clock: int, content: bytes) -> None:
        """Write one, durably, and remove all but the newest two. Raises OSError."""
        path = self._folder / f"checkpoint-{clock:012d}"
        part = self._folder / f"{path.name}.{os.getpid()}.part"
        try:
            with part.open("wb") as file:
                file.write(hashlib.sha256(content).digest())
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        for old in self._all()[_KEEP:]:
            old.unlink(missing_ok=True)
        for part in self._folder.glob("checkpoint-*.part"):
            if part.stat().st_mtime < time.time() - _ABANDONED_S:
                part.unlink(missing_ok=True)

    def newest(self) -> bytes | None:
        """The content of the newest undamaged checkpoint, None without one."""
        for path in self._all():
            try:
                read = path.read_bytes()
            except OSError as error:
                warnings.warn(f"checkpoint {path.name} cannot be read: {error}", stacklevel=2)
                continue
            if hashlib.sha256(read[_DIGEST:]).digest() == read[:_DIGEST]:
                return read[_DIGEST:]
            warnings.warn(f"checkpoint {path.name} is damaged; an older one is used", stacklevel=2)
        return None

    def _all(self) -> list[Path]:
        found = [path for path in self._folder.glob("checkpoint-*") if path.suffix != ".part"]
        return sorted(found, reverse=True)


class Writer:
    """Saves checkpoints in a thread, one at a time, so that training need not wait for the disk.

    `on_failure` is called in that thread when one could not be written.
    """

    def __init__(self, checkpoints: Checkpoints, on_failure: Callable[[OSError], None]) -> None:
        self._checkpoints = checkpoints
        self._on_failure = on_failure
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def begin(self, clock: int, content: bytes) -> None:
        """Write one after those begun before; returns at once unless there is one under way."""
        self.wait()
        self._thread = threading.Thread(target=self._save, args=(clock, content), name="checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Until everything is on the disk, or has failed."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _save(self, clock: int, content: bytes) -> None:
        try:
            self._checkpoints.save(clock, content)
        except OSError as error:
            self._on_failure(error)
