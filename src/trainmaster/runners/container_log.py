"""From Docker's log of a container to the spool files of its run: every byte once, whoever is killed."""

from __future__ import annotations

import asyncio
import os

from trainmaster.runners import life

_FILES = {1: life.STDOUT, 2: life.STDERR}
_RETRY_S = 0.5


class Spool:
    """Appends a run's output to its files. The size of a file is how much of its stream is done.

    Docker's log can only be read from its beginning, so after `rewind` what is already there is passed over.
    """

    def __init__(self, folder: str) -> None:
        self._fds = {
            stream: os.open(f"{folder}/{name}", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            for stream, name in _FILES.items()
        }
        self._written = {stream: os.fstat(fd).st_size for stream, fd in self._fds.items()}
        self._seen = dict.fromkeys(_FILES, 0)

    def rewind(self) -> None:
        """What is taken next is the log from its beginning."""
        self._seen = dict.fromkeys(_FILES, 0)

    async def take(self, frames: list[tuple[int, bytes]]) -> None:
        """Write what is new. While the disk is full it waits: the rest is safe in Docker's log."""
        for stream, data in frames:
            if stream not in self._fds:
                continue
            begin = self._seen[stream]
            self._seen[stream] = begin + len(data)
            new = data[max(self._written[stream] - begin, 0) :]
            while new:
                try:
                    count = os.write(self._fds[stream], new)
                except OSError:
                    await asyncio.sleep(_RETRY_S)
                    continue
                self._written[stream] += count
                new = new[count:]

    def close(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds = {}


def tail(folder: str, size: int) -> bytes:
    """The last bytes of a run's standard error."""
    try:
        with open(f"{folder}/{life.STDERR}", "rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(end - size, 0))
            return file.read()
    except OSError:
        return b""
