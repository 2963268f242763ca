"""Log bytes cut into rows. Pure: what a stream holds and new chunks in, rows to store and the new state out.

A row holds whole lines, at most ROW_BYTES of them. The line that has not ended yet waits in the stream's
`tail`. A line longer than ROW_BYTES becomes several rows: the first begins it (`goes_on`), the others
`follow`, and no other line shares a row with them. So every line begins in exactly one row that does not
follow, and a page of lines needs to look at nothing else.

A progress bar redraws one line for hours, with returns instead of newlines. Once the tail is longer than
REDRAWN_BYTES it is cut after its last return, as if the line ended there: the tail is written anew with
every commit and must stay small, and people see the bar move.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from trainmaster.domain.run import LogChunk

ROW_BYTES = 64 * 1024

REDRAWN_BYTES = 4 * 1024

# Chunks of one commit read within this time share a row, and with it its time.
COALESCE_S = 1.0


@dataclass(frozen=True, slots=True)
class StreamState:
    """How far a stream is stored. `next`: offset of the next byte wanted; `tail`: the unfinished line.

    `follows`: rows already hold the beginning of that line. `time`: when the latest byte was read.
    """

    next: int = 0
    tail: bytes = b""
    follows: bool = False
    time: float = 0.0
    closed: bool = False


@dataclass(frozen=True, slots=True)
class LogRow:
    """Bytes of one stream to be stored as one row; see `schema.log`."""

    start: int
    data: bytes
    lines: int
    follows: bool
    goes_on: bool
    time: float


def absorb(
    state: StreamState, chunks: Iterable[LogChunk], keep: bool = True
) -> tuple[StreamState, list[LogRow]]:
    """Take chunks of one stream in. With `keep` false only the offset moves (PROGRESS).

    What was stored before is trimmed off; a chunk beyond a gap is left out, and will be sent again because
    the offset wanted does not move. A closed stream takes nothing more.
    """
    rows: list[LogRow] = []
    fresh: list[bytes] = []
    began = 0.0
    for chunk in sorted(chunks, key=lambda c: c.offset):
        if state.closed or chunk.offset > state.next:
            break
        if fresh and chunk.time - began > COALESCE_S:
            state = _cut(state, fresh, rows, began)
            fresh = []
        data = chunk.data[state.next - chunk.offset :]
        if data:
            if keep:
                if not fresh:
                    began = chunk.time
                fresh.append(data)
            state = replace(state, next=state.next + len(data), time=chunk.time)
        if chunk.last:
            state = replace(state, closed=True)
    if fresh or (state.closed and state.tail):
        state = _cut(state, fresh, rows, began or state.time)
    return state, rows


def _cut(state: StreamState, fresh: list[bytes], rows: list[LogRow], time: float) -> StreamState:
    """Append whole lines of tail plus fresh bytes to `rows`; the rest is the new tail."""
    data = b"".join((state.tail, *fresh)) if fresh else state.tail
    base = state.next - len(data)
    follows = state.follows
    at = 0
    while at < len(data):
        limit = at + ROW_BYTES
        newline = data.find(b"\n", at, limit) if follows else data.rfind(b"\n", at, limit)
        if newline >= 0:
            end, goes_on = newline + 1, False
        elif (
            len(data) - at > REDRAWN_BYTES
            and (redrawn := data.rfind(b"\r", at, min(limit, len(data) - 1))) > at
        ):
            # Not the very last byte: a newline may follow it.
            end, goes_on = redrawn + 1, False
        elif len(data) - at > ROW_BYTES:
            end, goes_on = _boundary(data, at, limit), True
        elif state.closed:
            end, goes_on = len(data), False
        else:
            break
        piece = data[at:end]
        lines = 0 if follows else max(piece.count(b"\n"), 1)
        rows.append(LogRow(base + at, piece, lines, follows, goes_on, time))
        follows = goes_on
        at = end
    return replace(state, tail=data[at:], follows=follows)


def _boundary(data: bytes, at: int, limit: int) -> int:
    """The largest end up to `limit` that does not cut a UTF-8 character in two."""
    for back in range(min(4, limit - at)):
        if limit - back >= len(data) or data[limit - back] & 0xC0 != 0x80:
            return limit - back
    return limit


def as_text(data: bytes) -> tuple[str, bytes | None]:
    """The readable text of a row, and its bytes where the text cannot give them back exactly."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace").replace("\0", "\ufffd"), data
    if "\0" in text:
        return text.replace("\0", "\ufffd"), data
    return text, None
