"""Messages between the members of one generation, behind a small interface.

c10d's gloo group serves it, and beside it NCCL (`nccl`) where there are GPUs. Gloo's traps (measured on torch
2.13): `abort` and `shutdown` do not unblock a stuck collective, and the destructor of a group with one blocks
until the collective's own time-out. So a waiting member looks around between short waits, and leaves a stuck
group behind undestroyed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

import torch
from torch.distributed import AllreduceOptions, BroadcastOptions, ReduceOptions

_SLICE = timedelta(milliseconds=20)  # between two looks around
_NEVER = timedelta(hours=24)
_FRAME = 4096  # bytes of a text that travel in one message


class LinkFailed(Exception):
    """A message could not be exchanged. `suspects` are the members it may be due to."""

    def __init__(self, why: str, suspects: tuple[int, ...] = ()) -> None:
        super().__init__(why)
        self.why = why
        self.suspects = suspects


class Communicator(Protocol):
    @property
    def inner(self) -> Communicator | None:
        """The same among the holders of the state only (`Meeting.join`); None on the others."""

    def place(self, device: torch.device) -> torch.device:
        """Where a message of what lies on `device` is best put together: there, or on the CPU."""

    def sum(self, values: torch.Tensor) -> None:
        """Replace `values` on every member by the sum over the members; the same bits everywhere."""

    def reduce(self, values: torch.Tensor, root: int) -> None:
        """Replace `values` on the member at position `root` by the sum; on the others they are lost."""

    def gather(self, text: str) -> list[str]:
        """What every member said, in order of position."""

    def broadcast(self, values: torch.Tensor, source: int) -> None:
        """Replace `values` by those of the member at position `source`."""

    def part(self) -> None:
        """All members, after the same message, are about to let go: wait until none of them still reads."""

    def drop(self) -> None:
        """Let go; the others notice unless the group is stuck."""


class Alone:
    """A generation of one."""

    @property
    def inner(self) -> Alone:
        return self

    def place(self, device: torch.device) -> torch.device:
        return device

    def sum(self, values: torch.Tensor) -> None:
        pass

    def reduce(self, values: torch.Tensor, root: int) -> None:
        pass

    def gather(self, text: str) -> list[str]:
        return [text]

    def broadcast(self, values: torch.Tensor, source: int) -> None:
        pass

    def part(self) -> None:
        pass

    def drop(self) -> None:
        pass


class Gloo:
    """A c10d gloo group. `look` is called while we wait and raises LinkFailed to give up.

    Before each message its members meet by `meet`, which raises LinkFailed too; `leave` tells that we come no
    more (`clock.Clock`). After a failure the tensor of the call must not be used again: a stuck group may
    still write to it.
    """

    def __init__(
        self,
        group: Any,
        look: Callable[[], None],
        meet: Callable[[], None],
        leave: Callable[[], None],
        inner: Communicator | None = None,
    ) -> None:
        self._group: Any = group  # a ProcessGroupGloo, whose calls torch does not declare
        self.inner = inner
        self._look = look
        self._meet = meet
        self._leave = leave
        self._size = group.size()
        self._stuck: list[Any] = []
        self._sum = AllreduceOptions()
        self._sum.timeout = _NEVER
        self._reduce = ReduceOptions()
        self._reduce.timeout = _NEVER
        self._spread = BroadcastOptions()
        self._spread.timeout = _NEVER

    def place(self, device: torch.device) -> torch.device:
        return torch.device("cpu")

    def sum(self, values: torch.Tensor) -> None:
        self._wait(self._live().allreduce([values], self._sum), values)

    def reduce(self, values: torch.Tensor, root: int) -> None:
        self._reduce.rootRank = root
        self._wait(self._live().reduce([values], self._reduce), values)

    def gather(self, text: str) -> list[str]:
        content = text.encode()
        frames = self._gather(content[:_FRAME], len(content), _FRAME)
        longest = max(size for size, _ in frames)
        if longest > _FRAME:
            frames = self._gather(content, len(content), longest)
        return [frame[:size].decode() for size, frame in frames]

    def broadcast(self, values: torch.Tensor, source: int) -> None:
        self._spread.rootRank = source
        self._wait(self._live().broadcast([values], self._spread), values)

    def part(self) -> None:
        pass  # a socket is read to its end even when the writer is gone

    def drop(self) -> None:
        if self._group is not None:
            self._leave()
        for held in self._stuck:  # never destroyed: the destructor would block
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))
        self._stuck.clear()
        self._group = None
        if self.inner is not None:
            self.inner.drop()

    def _live(self) -> Any:
        if self._group is None:
            raise LinkFailed("the group was left")
        self._meet()
        return self._group

    def _gather(self, content: bytes, size: int, width: int) -> list[tuple[int, bytes]]:
        mine = torch.zeros(8 + width, dtype=torch.uint8)
        sent = size.to_bytes(8, "little") + content
        mine[: len(sent)] = torch.frombuffer(bytearray(sent), dtype=torch.uint8)
        all_of = [torch.zeros_like(mine) for _ in range(self._size)]
        self._wait(self._live().allgather([all_of], [mine]), mine, all_of)
        found = []
        for frame in all_of:
            read = bytes(frame.tolist())
            found.append((int.from_bytes(read[:8], "little"), read[8:]))
        return found

    def _wait(self, work: Any, *buffers: Any) -> None:
        while True:
            try:
                work.wait(_SLICE)
                return
            except RuntimeError as error:
                if work.is_completed():
                    self._settle(work, error)
                    return
            try:
                self._look()
            except LinkFailed:
                self._stuck += [self._group, work, buffers]
                raise

    def _settle(self, work: Any, error: RuntimeError) -> None:
        """The work ended in the very moment the wait ran out, or with an error: only a second look tells."""
        try:
            work.wait(_SLICE)
        except RuntimeError:
            why = str(error).partition("]")[2].strip() or str(error)
            raise LinkFailed(why.partition(". This is typically")[0]) from None
