"""Where shims and lanes tell the agent of a node that something happened: a FIFO in the node's folder.

A name instead of a connection, so that a shim that outlived one agent reaches the next one just the same.
Hints only speed things up; an agent that misses one finds the truth in the files.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

_READ = 65536


class Hints:
    """Reads `<word> <rest>\\n` messages and hands each to the listener of its word."""

    def __init__(self, folder: str) -> None:
        self.path = f"{folder}/hints"
        self._fd = -1
        self._rest = b""
        self._listeners: dict[bytes, Callable[[bytes], None]] = {}

    def listen(self, word: str, listener: Callable[[bytes], None]) -> None:
        """Hand the rest of every message that begins with `word` to `listener`, on the event loop."""
        self._listeners[word.encode()] = listener

    def open(self) -> None:
        """Begin to listen. Messages sent while nobody did are gone."""
        try:
            os.mkfifo(self.path, 0o600)
        except FileExistsError:
            pass
        # Reading and writing: so the FIFO never reads as ended when the last shim has gone.
        self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        asyncio.get_running_loop().add_reader(self._fd, self._readable)

    def close(self) -> None:
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _readable(self) -> None:
        try:
            content = os.read(self._fd, _READ)
        except BlockingIOError:
            return
        *messages, self._rest = (self._rest + content).split(b"\n")
        for message in messages:
            word, _, rest = message.partition(b" ")
            listener = self._listeners.get(word)
            if listener is not None:
                listener(rest)
