"""Knowing the moment a shim dies, without polling and without being its parent: through a pidfd."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from trainmaster.runners import life

K = TypeVar("K", bound=Hashable)  # what names the watched thing


class ShimWatch(Generic[K]):
    """Calls `on_gone` once for every watched shim that has ended."""

    def __init__(self, on_gone: Callable[[K], None]) -> None:
        self._on_gone = on_gone
        self._new: dict[K, tuple[int, int]] = {}
        self._fds: dict[K, int] = {}

    def add(self, key: K, pid: int, start: int) -> None:
        """Watch the process that is named by pid and start time.

        The pidfd is opened when the event loop comes round: most short runs have ended by then.
        """
        if not self._new:
            asyncio.get_running_loop().call_soon(self._open)
        self._new[key] = (pid, start)

    def drop(self, key: K) -> None:
        """Stop watching; one that is not watched does not matter."""
        self._new.pop(key, None)
        fd = self._fds.pop(key, None)
        if fd is not None:
            asyncio.get_running_loop().remove_reader(fd)
            os.close(fd)

    def terminate(self, key: K) -> None:
        """TERM to the shim itself, never to a stranger that got its pid."""
        self._open()
        fd = self._fds.get(key)
        if fd is not None:
            try:
                signal.pidfd_send_signal(fd, signal.SIGTERM)
            except ProcessLookupError:
                pass

    def close(self) -> None:
        self._new.clear()
        for key in list(self._fds):
            self.drop(key)

    def _open(self) -> None:
        loop = asyncio.get_running_loop()
        while self._new:
            key, (pid, start) = self._new.popitem()
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                loop.call_soon(self._on_gone, key)
                continue
            if life.start_time(pid) != start:
                os.close(fd)
                loop.call_soon(self._on_gone, key)
                continue
            self._fds[key] = fd
            loop.add_reader(fd, self._fired, key)

    def _fired(self, key: K) -> None:
        self.drop(key)
        self._on_gone(key)
