"""Checkpoints: whole files only, the newest two, checked when they are read."""

from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path

_KEEP = 2
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
