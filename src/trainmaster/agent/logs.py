"""Tailing the logs of a node's runs: from the last acknowledged offset, in bounded chunks, to the end.

The files are looked at again and again only for runs that are alive, soon after they wrote and rarely while
they are silent. What was sent counts as stored once the caller confirms the answer that carried it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from trainmaster.domain.ids import RunId
from trainmaster.domain.run import LogChunk, Stream
from trainmaster.ports import LogFile

CHUNK = 256 * 1024  # bytes of one stream in one poll
ANSWER = 1024 * 1024  # bytes of all streams in one poll
_BUSY_S = 0.02
_SILENT_S = 0.25


@dataclass(slots=True)
class _Stream:
    file: LogFile
    sent: int = 0
    stored: int = 0
    sent_last: bool = False


@dataclass(slots=True)
class _Tail:
    run: RunId
    streams: dict[Stream, _Stream] = field(default_factory=dict)
    ended: bool = False
    due: float = 0.0  # monotonic
    interval: float = _BUSY_S


class LogTail:
    """The logs of all runs of a node that are not stored to their end yet.

    `files` says where the streams of a run lie; `clock` and `monotonic` are for tests.
    """

    def __init__(
        self,
        files: Callable[[RunId], Mapping[Stream, LogFile]],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._clock = clock
        self._monotonic = monotonic
        self._tails: dict[RunId, _Tail] = {}  # those with something left to send; the next to serve first
        self._sent: dict[RunId, _Tail] = {}  # sent to the end, not confirmed
        self._done: dict[RunId, _Tail] = {}  # stored to the end
        self._in_flight: list[tuple[_Tail, Stream]] = []
        self._acks: Mapping[tuple[RunId, Stream], int] = {}  # where to begin with what is not opened yet

    def follow(self, run: RunId) -> None:
        """Begin to tail a run; one already followed changes nothing."""
        if not self._known(run):
            self._tails[run] = _Tail(run)

    def end(self, run: RunId) -> None:
        """The run has ended: what its files hold now is all there will be."""
        files = self._files(run)
        if files and not self._known(run) and all(file.end == file.start for file in files.values()):
            return  # a function that wrote nothing, as most do: there is nothing to tail or to confirm
        self.follow(run)
        tail = self._tails.get(run)
        if tail is not None and not tail.ended:
            tail.ended = True
            tail.due = 0.0

    def wake(self, run: RunId) -> bool:
        """Look at a run's files now. False if it is not followed."""
        tail = self._tails.get(run)
        if tail is not None:
            tail.due = 0.0
        return tail is not None

    def stored(self, run: RunId) -> bool:
        """True once every stream is confirmed to its end (or the run is not followed)."""
        return run not in self._tails and run not in self._sent

    def drop(self, run: RunId) -> None:
        for place in (self._tails, self._sent, self._done):
            place.pop(run, None)

    def confirm(self, acks: Mapping[tuple[RunId, Stream], int]) -> None:
        """The caller stored what the last answer carried, where `acks` do not say less of a stream."""
        for tail, name in self._in_flight:
            stream = tail.streams[name]
            ack = acks.get((tail.run, name))
            if ack is not None and ack < stream.sent:
                stream.sent, stream.sent_last = ack, False
                tail.due = self._monotonic() + _BUSY_S
                self._tails[tail.run] = tail
                self._sent.pop(tail.run, None)
            stream.stored = stream.sent
        self._in_flight.clear()
        self._done.update(self._sent)
        self._sent.clear()

    def rewind(self, acks: Mapping[tuple[RunId, Stream], int], new_caller: bool) -> None:
        """The last answer may be lost, or the caller is a new one: send again what `acks` do not cover.

        An old caller's confirmations still hold; of what a new one has, `acks` tell everything.
        """
        self._in_flight.clear()
        for place in (self._sent, self._done):
            self._tails.update(place)
            place.clear()
        self._acks = acks
        for tail in self._tails.values():
            tail.due = 0.0
            for name, stream in tail.streams.items():
                ack = acks.get((tail.run, name), 0)
                stream.stored = ack if new_caller else max(stream.stored, ack)
                stream.sent = stream.stored
                stream.sent_last = False

    def next_due(self) -> float | None:
        """Monotonic time at which looking again makes sense; None while no run can write."""
        return min((tail.due for tail in self._tails.values()), default=None)

    def collect(self) -> tuple[LogChunk, ...]:
        """Read what is new, at most `ANSWER` bytes, in turn over the runs."""
        now, chunks, room = self._monotonic(), list[LogChunk](), ANSWER
        for run in list(self._tails):
            tail = self._tails[run]
            if tail.due > now:
                continue
            took = self._read(tail, room, chunks)
            room -= took
            del self._tails[run]
            if tail.ended and all(stream.sent_last for stream in tail.streams.values()):
                self._sent[run] = tail
                continue
            self._tails[run] = tail  # behind the others, so that a chatty run starves nobody
            if took:
                tail.interval = _BUSY_S
                tail.due = now if room <= 0 or took >= CHUNK or tail.ended else now + _BUSY_S
            elif not tail.ended:
                tail.interval = min(tail.interval * 1.5, _SILENT_S)
                tail.due = now + tail.interval
            if room <= 0:
                break
        return tuple(chunks)

    def _read(self, tail: _Tail, room: int, chunks: list[LogChunk]) -> int:
        if not tail.streams or tail.ended:
            self._locate(tail)
        took = 0
        for name, stream in tail.streams.items():
            if stream.sent_last:
                continue
            size = _size(stream.file)
            data = b""
            if stream.sent < size and took < room:
                want = min(CHUNK, size - stream.sent, room - took)
                data = _read(stream.file, stream.sent, want)
                if name is Stream.PROGRESS and not tail.ended and len(data) < CHUNK:
                    data = data[: data.rfind(b"\n") + 1]  # a report is taken whole
                took += len(data)
            last = tail.ended and stream.sent + len(data) >= size
            if data or last:
                chunks.append(LogChunk(tail.run, name, stream.sent, data, self._clock(), last))
                stream.sent += len(data)
                stream.sent_last = last
                self._in_flight.append((tail, name))
        return took

    def _locate(self, tail: _Tail) -> None:
        for name, file in self._files(tail.run).items():
            stream = tail.streams.get(name)
            if stream is None:
                offset = self._acks.get((tail.run, name), 0)
                tail.streams[name] = _Stream(file, offset, offset)
            else:
                stream.file = file

    def _known(self, run: RunId) -> bool:
        return run in self._tails or run in self._sent or run in self._done


def _size(file: LogFile) -> int:
    if file.end is not None:
        return file.end - file.start
    try:
        return max(os.stat(file.path).st_size - file.start, 0)
    except FileNotFoundError:
        return 0


def _read(file: LogFile, offset: int, limit: int) -> bytes:
    try:
        fd = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(fd, limit, file.start + offset)
    finally:
        os.close(fd)


def read(file: LogFile, offset: int, limit: int) -> bytes:
    """At most `limit` bytes of a stream from `offset`; empty at and beyond its end."""
    return _read(file, offset, max(min(limit, _size(file) - offset), 0))
