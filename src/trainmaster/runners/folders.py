"""Run folders, used again: an emptied folder is renamed for the next run.

Making and above all removing a directory costs a journalling file system up to milliseconds, a rename ten
microseconds. What takes long to delete is deleted beside the event loop.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque

from trainmaster.runners import life, rundir

_SPARES = 64
_LARGE = 4 * 1024 * 1024  # bytes of log whose deletion may take long


class Folders:
    """Makes and deletes the run folders of one node; `spare` holds the emptied ones."""

    def __init__(self, spare: str) -> None:
        os.makedirs(spare, mode=0o700, exist_ok=True)
        self._spare = spare
        self._free = sorted(f"{spare}/{name}" for name in os.listdir(spare))
        self._number = 0
        self._large: deque[str] = deque()
        self._working: asyncio.Task[None] | None = None

    def make(self, folder: str) -> None:
        """An empty folder of that name. Raises FileExistsError, or OSError if the disk refuses."""
        while self._free:
            try:
                os.rename(self._free[-1], folder)
            except FileNotFoundError:
                self._free.pop()  # somebody cleaned up
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise FileExistsError(errno.EEXIST, "there is a run already", folder) from None
                raise
            else:
                self._free.pop()
                return
        os.mkdir(folder, 0o700)

    def delete(self, folder: str) -> None:
        """Delete the run; if we are killed before it is done, the next agent finds and reports it again."""
        if sum(_size(f"{folder}/{name}") for name in (life.STDOUT, life.STDERR, life.PROGRESS)) < _LARGE:
            self._recycle(folder)
            return
        self._large.append(folder)
        if self._working is None:
            self._working = asyncio.get_running_loop().create_task(self._delete_large())

    async def close(self) -> None:
        """Return once everything is deleted."""
        if self._working is not None:
            await self._working

    async def _delete_large(self) -> None:
        while self._large:
            await asyncio.to_thread(rundir.delete, self._large.popleft())
        self._working = None

    def _recycle(self, folder: str) -> None:
        if len(self._free) < _SPARES:
            rundir.empty(folder)
            self._number += 1
            spare = f"{self._spare}/{os.getpid()}.{self._number}"
            try:
                os.rename(folder, spare)
            except OSError:
                pass  # gone, or not to be moved: deleted for good below
            else:
                self._free.append(spare)
                return
        rundir.delete(folder)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
