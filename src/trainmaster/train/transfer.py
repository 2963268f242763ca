"""Samples from members that have the data set to those that have not: the other way of partitioning data.

All that have data give, over sockets of their own, each to about as many others. A worker asks one of them
for the samples of its share, and for those it expects to need next while it still works. What it gets are
tensors, read as such and nothing else.
"""

from __future__ import annotations

import io
import json
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import torch

from trainmaster.train.communicator import LinkFailed
from trainmaster.train.data import Samples

_CONNECT_S = 5.0
_SLICE_S = 0.02  # between two looks around
_HEAD = struct.Struct("<q")


class Giver:
    """Serves the samples of the `batches` loop this worker is in, in threads, until the process ends."""

    def __init__(self, address: str) -> None:
        self._socket = socket.create_server((address, 0))
        self.address = f"{address}:{self._socket.getsockname()[1]}"
        self._now: tuple[str, Samples] | None = None
        threading.Thread(target=self._accept, name="samples", daemon=True).start()

    def offer(self, loop: str, samples: Samples) -> None:
        """From now on those of this loop."""
        self._now = (loop, samples)

    def _accept(self) -> None:
        while True:
            peer, _ = self._socket.accept()
            threading.Thread(target=self._serve, args=(peer,), name="samples of one", daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = peer.makefile("rwb")
            while (head := stream.read(_HEAD.size)) and len(head) == _HEAD.size:
                asked = json.loads(stream.read(_HEAD.unpack(head)[0]))
                now = self._now
                if now is None or now[0] != asked["loop"]:
                    return
                buffer = io.BytesIO()
                torch.save(now[1].take(torch.tensor(asked["indices"], dtype=torch.int64)), buffer)
                content = buffer.getbuffer()
                stream.write(_HEAD.pack(len(content)))
                stream.write(content)
                stream.flush()


class Taker:
    """Asks a giver. `look` is called while we wait and raises LinkFailed to give up."""

    def __init__(self, address: str, size: int, loop: str, look: Callable[[], None]) -> None:
        host, _, port = address.rpartition(":")
        self.size = size
        self._loop = loop
        self._look = look
        self._expected: list[int] | None = None  # asked for, and not yet read
        try:
            self._socket = socket.create_connection((host, int(port)), timeout=_CONNECT_S)
        except OSError as error:
            raise LinkFailed(f"cannot reach the member that has the data: {error}") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(_SLICE_S)

    def take(self, indices: torch.Tensor) -> Any:
        """The collated batch of these samples. Raises LinkFailed."""
        wanted = indices.tolist()
        if self._expected is not None and self._expected != wanted:
            self._answer()
        if self._expected is None:
            self._ask(wanted)
        return torch.load(io.BytesIO(self._answer()), weights_only=True)

    def expect(self, indices: torch.Tensor) -> None:
        """Ask ahead for what the next `take` probably wants."""
        if self._expected is None and len(indices):
            try:
                self._ask(indices.tolist())
            except LinkFailed:
                self._expected = None  # the next `take` will meet the same

    def close(self) -> None:
        self._socket.close()

    def _ask(self, indices: list[int]) -> None:
        content = json.dumps({"loop": self._loop, "indices": indices}).encode()
        self._expected = indices
        try:
            self._socket.settimeout(None)  # a question is short: it fits what the system buffers
            self._socket.sendall(_HEAD.pack(len(content)) + content)
            self._socket.settimeout(_SLICE_S)
        except OSError as error:
            raise LinkFailed(f"the member that has the data is gone: {error}") from None

    def _answer(self) -> bytes:
        self._expected = None
        return self._read(_HEAD.unpack(self._read(_HEAD.size))[0])

    def _read(self, size: int) -> bytes:
        content = bytearray(size)
        view, have = memoryview(content), 0
        while have < size:
            try:
                count = self._socket.recv_into(view[have:])
            except TimeoutError:
                self._look()
                continue
            except OSError as error:
                raise LinkFailed(f"the member that has the data is gone: {error}") from None
            if not count:
                raise LinkFailed("the member that has the data is gone")
            have += count
        return bytes(content)
