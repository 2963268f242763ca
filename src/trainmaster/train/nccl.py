"""Messages between members that have a GPU each: what lies there goes by NCCL, all else by gloo.

NCCL notices late that a member is gone, if at all, and its kernels then occupy the GPU. So the members first
meet by gloo, which notices at once, and begin only once all have come. What is left is a member that dies
within the few milliseconds of a transfer: we look around while it lasts, and end the group if need be.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch
from torch.distributed import AllreduceOptions, BroadcastOptions, PrefixStore, ReduceOptions, Store

from trainmaster.train.communicator import Communicator, LinkFailed
from trainmaster.train.gpu import ENDING, Gpu

_POLL_S = 0.00005
_LOOK_S = 0.02  # between two looks around
_CONNECT_S = 60.0  # NCCL looks at all there is of GPUs and networks first
_JOIN_S = 0.001
_FAILED = "nccl failed"  # a key: why


class Nccl:
    """A c10d NCCL group over the gloo group `control` of the same members."""

    def __init__(
        self,
        gpu: Gpu,
        group: Any,
        control: Communicator,
        look: Callable[[], None],
        inner: Communicator | None,
    ) -> None:
        self.inner = inner
        self._gpu = gpu
        self._group = group  # torch declares its type only where NCCL is
        self._control = control
        self._look = look

    def place(self, device: torch.device) -> torch.device:
        return device if device == self._gpu.device else self._control.place(device)

    def sum(self, values: torch.Tensor) -> None:
        if values.device == self._gpu.device:
            self._exchange(lambda group: group.allreduce([values], AllreduceOptions()))
        else:
            self._control.sum(values)

    def reduce(self, values: torch.Tensor, root: int) -> None:
        if values.device == self._gpu.device:
            options = ReduceOptions()
            options.rootRank = root
            self._exchange(lambda group: group.reduce([values], options))
        else:
            self._control.reduce(values, root)

    def gather(self, text: str) -> list[str]:
        return self._control.gather(text)

    def broadcast(self, values: torch.Tensor, source: int) -> None:
        if values.device == self._gpu.device:
            options = BroadcastOptions()
            options.rootRank = source
            self._exchange(lambda group: group.broadcast([values], options))
        else:
            self._control.broadcast(values, source)

    def part(self) -> None:
        # Who ends its process takes the memory away that a slower member may still be reading.
        with suppress(LinkFailed):
            self._meet()

    def drop(self) -> None:
        self.abandon()
        if self.inner is not None:
            self.inner.drop()
        self._control.drop()

    def abandon(self) -> None:
        """Let go of NCCL; the gloo group stays."""
        group, self._group = self._group, None
        if group is not None:
            end(group)
        if isinstance(self.inner, Nccl):
            self.inner.abandon()

    def _meet(self) -> None:
        """Return once all members have come this far. Raises LinkFailed."""
        self._control.sum(torch.zeros(1))

    def _exchange(self, begin: Callable[[Any], Any]) -> None:
        if self._group is None:
            raise LinkFailed("the group was left")
        self._meet()
        try:
            done = self._gpu.order(begin(self._group))
            looked = time.monotonic()
            while not done():
                time.sleep(_POLL_S)
                if time.monotonic() - looked >= _LOOK_S:
                    looked = time.monotonic()
                    self._look()
                    if self._gpu.failed(self._group):
                        raise LinkFailed("NCCL lost the connection to a member")
        except RuntimeError as error:
            raise LinkFailed(f"NCCL: {error}".partition("\n")[0]) from None


def connect(
    gpu: Gpu, store: Store, places: Mapping[str, tuple[int, int]], look: Callable[[], None]
) -> dict[str, Any] | str:
    """Groups by name, of members that all call this; or, to all of them, why NCCL cannot be had.

    `places`: this worker's position in each group, and the group's size. `store` is shared by the members.
    What `look` raises is passed on. Raises RuntimeError if the store is gone.
    """
    made: dict[str, Any] = {}
    over = threading.Event()
    own: Any = store  # torch declares no clone for stores
    own = PrefixStore("nccl", own.clone())  # who waits in a store keeps others out of it
    own.set_timeout(timedelta(seconds=_CONNECT_S))

    def make() -> None:
        try:
            for name, (position, size) in places.items():
                made[name] = gpu.connect(PrefixStore(name, own), position, size)
        except (RuntimeError, ValueError) as error:
            with suppress(RuntimeError):
                store.set(_FAILED, f"{error}".partition("\n")[0])
        if over.is_set():
            end_all()

    def end_all() -> None:
        while made:
            end(made.popitem()[1])

    # In a thread: a member that is lost meanwhile, or fails, would hold us for ever.
    making = threading.Thread(target=make, name="NCCL", daemon=True)
    making.start()
    until = time.monotonic() + _CONNECT_S
    taken = False
    try:
        while making.is_alive() and not store.check([_FAILED]):
            making.join(_JOIN_S)
            look()
            if time.monotonic() > until:
                store.set(_FAILED, f"not connected within {_CONNECT_S:.0f} s")
        taken = not store.check([_FAILED])
        return made if taken else store.get(_FAILED).decode()
    finally:
        if not taken:
            over.set()
            if not making.is_alive():
                end_all()


def end(group: Any) -> None:
    """End a group, whatever is under way in it. One that does not end in time is left behind undestroyed."""

    def abort() -> None:
        with suppress(RuntimeError):
            group.abort()

    ending = threading.Thread(target=abort, name="end of a group", daemon=True)
    ending.start()
    ending.join(ENDING.total_seconds())
    if ending.is_alive():
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(group))
