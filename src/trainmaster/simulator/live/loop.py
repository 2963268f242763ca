"""An event loop whose time passes only when nothing is left to be done."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple, Unpack

from trainmaster.simulator.errors import Standstill
from trainmaster.simulator.live.timekeeper import Timekeeper

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
PATIENCE_S = 120.0  # of the machine's time: somebody who is awake for so long without a word is taken to hang


def run_virtually(main: Callable[[Timekeeper], Coroutine[Any, Any, T]]) -> T:
    """`asyncio.run` in a virtual world of its own. Raises Standstill, and what `main` does."""
    keeper = Timekeeper()
    with asyncio.Runner(loop_factory=lambda: _VirtualLoop(keeper)) as runner:
        try:
            return runner.run(_opened(keeper, main))
        finally:
            keeper.thawed = True


async def _opened(keeper: Timekeeper, main: Callable[[Timekeeper], Coroutine[Any, Any, T]]) -> T:
    keeper.open()
    try:
        return await main(keeper)
    finally:
        keeper.close()


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, keeper: Timekeeper) -> None:
        self._keeper = keeper
        self._thawed_at: float | None = None
        super().__init__(_VirtualSelector(self, keeper))

    def time(self) -> float:
        if not self._keeper.thawed:
            return self._keeper.reached
        if self._thawed_at is None:
            self._thawed_at = time.monotonic()
        return self._keeper.reached + time.monotonic() - self._thawed_at

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Time stands still while a thread works."""
        future = super().run_in_executor(executor, func, *args)
        self._keeper.begin_thread()
        future.add_done_callback(lambda _: self._keeper.end_thread())
        return future


class _VirtualSelector(selectors.DefaultSelector):
    """Waits for the machine only while somebody computes; else asks the timekeeper for the next moment."""

    def __init__(self, loop: _VirtualLoop, keeper: Timekeeper) -> None:
        super().__init__()
        self._loop = loop
        self._keeper = keeper

    def select(self, timeout: float | None = None) -> list[Any]:
        keeper = self._keeper
        if keeper.thawed:
            return super().select(timeout)
        events = super().select(0)
        if not events and timeout != 0:
            if keeper.busy:
                events = super().select(PATIENCE_S)
                if not events:
                    raise Standstill(keeper.now, keeper.awake())
            else:
                keeper.advance(None if timeout is None else self._loop.time() + timeout)
        # In the order of what they were opened for, not of what came first.
        return sorted(events, key=lambda event: event[0].fd)
