"""The time training code lives in: the machine's, or virtual time, which a timekeeper lets pass.

In virtual time computing takes none. What a worker did is charged to it by a model of speed: it tells the
timekeeper how much that was, and is answered when the moment has come at which it would have been done
(docs/adr/0013-virtual-time.md). Between two answers no time passes, so reading the clock asks nobody.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import socket

VARIABLE = "TRAINMASTER_TIMEKEEPER"  # the timekeeper's address; the machine's own time without it
_LOOK_S = 1.0  # virtual seconds between two looks around
_SLOWER = 30.0  # many workers share few cores
_LONGEST = 65536
_TERMINATED = 143  # 128 + TERM


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    def allow(self, seconds: float) -> float:
        """Of the machine's time, for what should take at most so many seconds: connecting, say."""
        ...

    def pause(self, seconds: float) -> None:
        """Wait before another look at the plan file; in virtual time until it may have changed."""
        ...

    def worked(self, samples: int, workers: int) -> None:
        """This worker has gone through so many samples as one of so many workers."""
        ...

    def regrouped(self) -> None:
        """This worker has become a member of another generation."""
        ...

    def meet(self, message: str, ranks: Sequence[int], look: Callable[[], None]) -> tuple[int, ...]:
        """A message between these workers begins. In virtual time: wait until all of them are there.

        `look` is called meanwhile, and raises to give up. Returns those who will never come, as they left.
        """
        ...

    def leave(self, message: str) -> None:
        """This worker will not take part in such messages any more."""
        ...


class SystemClock:
    """The machine's time: what takes time need not be told, and who is waited for is waited for."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def allow(self, seconds: float) -> float:
        return seconds

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def worked(self, samples: int, workers: int) -> None:
        pass

    def regrouped(self) -> None:
        pass

    def meet(self, message: str, ranks: Sequence[int], look: Callable[[], None]) -> tuple[int, ...]:
        return ()

    def leave(self, message: str) -> None:
        pass


class VirtualClock:
    """The time of the timekeeper at `address` (an abstract Unix socket), for the worker `run`.

    A worker whose timekeeper is gone ends, as if it were told to.
    """

    def __init__(self, address: str, run: str) -> None:
        import socket

        self._socket: socket.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.connect(f"\0{address}")
        self._pid = os.getpid()
        self._now = 0.0
        self._ask("hello", run=run)

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def allow(self, seconds: float) -> float:
        return seconds * _SLOWER

    def pause(self, seconds: float) -> None:
        self._ask("pause", most=_LOOK_S)

    def worked(self, samples: int, workers: int) -> None:
        self._ask("worked", samples=samples, workers=workers)

    def regrouped(self) -> None:
        self._ask("regrouped")

    def meet(self, message: str, ranks: Sequence[int], look: Callable[[], None]) -> tuple[int, ...]:
        while True:
            told = self._ask("meet", message=message, size=len(ranks), most=_LOOK_S)
            if told["met"]:
                return tuple(told["gone"])
            look()

    def leave(self, message: str) -> None:
        self._ask("leave", message=message)

    def close(self) -> None:
        """This worker ends."""
        self._socket.close()

    def _ask(self, what: str, **about: Any) -> dict[str, Any]:
        """Say it, and wait for the moment that is its answer."""
        if os.getpid() != self._pid:
            return {"met": True, "gone": ()}  # a fork: it has its parent's time, and takes none
        try:
            self._socket.send(json.dumps({"what": what, **about}).encode())
            content = self._socket.recv(_LONGEST)
        except OSError:
            content = b""
        if not content:
            raise SystemExit(_TERMINATED)
        told: dict[str, Any] = json.loads(content)
        self._now = told["now"]
        return told


SYSTEM = SystemClock()
_virtual: VirtualClock | None = None


def process_clock() -> Clock:
    """The one this process lives by, as its environment says."""
    global _virtual
    address = os.environ.get(VARIABLE)
    if not address:
        return SYSTEM
    if _virtual is None:
        env = os.environ
        run = f"{env['TRAINMASTER_TASK']}.{env['TRAINMASTER_ATTEMPT']}.{env['TRAINMASTER_RANK']}"
        _virtual = VirtualClock(address, run)
    return _virtual
