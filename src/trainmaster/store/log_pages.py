"""Pages of log lines.

A cursor is `row id · 65536 + line in that row`: it stays valid while the log grows, and going on from it
costs no more than the page itself. Row ids grow in the order of arrival. Reading goes in bites, each a
transaction of bounded size; a filter that matches little ends the page after PAGE_BYTES or PAGE_ROWS looked
at, with fewer lines than asked for and the cursor to go on from. Only the first 64 KB of a line are shown
and searched.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, select

from trainmaster.domain.ids import TaskId
from trainmaster.domain.run import Stream
from trainmaster.ports import LogLine, LogPage, LogQuery
from trainmaster.store import rows, schema
from trainmaster.store.database import Database
from trainmaster.store.log_match import Matches, matcher
from trainmaster.store.log_rows import as_text

LINE_BITS = 16  # a row of ROW_BYTES has at most as many lines
LINE_MASK = (1 << LINE_BITS) - 1
CUT = " … [cut: the line goes on; the download has all of it]"

PAGE_ROWS = 20_000  # rows looked at for one page
PAGE_BYTES = 16 * 1024 * 1024  # of text looked at for one page
PAGE_SECONDS = 0.25  # spent on matching text for one page
BITE_ROWS = 512
BITE_BYTES = 1024 * 1024
FEW_STREAMS = 8
MOST_UNFINISHED = 64

_L = schema.log.c
_SHOWN = tuple(s.value for s in (Stream.STDOUT, Stream.STDERR, Stream.RAW))


@dataclass(frozen=True, slots=True)
class _Row:
    """A log row that passes the filters on columns, with its text."""

    id: int
    time: float
    stream: str
    attempt: int
    rank: int
    goes_on: bool
    content: str


@dataclass(slots=True)
class _Bite:
    """Rows in the order of reading. `scanned`: the last row looked at; `end`: there are no more."""

    rows: list[_Row]
    scanned: int | None
    looked_at: int
    end: bool


async def log_page(
    database: Database,
    task: TaskId,
    query: LogQuery,
    limit: int,
    before: int | None,
    after: int | None,
    complete: bool,
) -> LogPage:
    """At most `limit` lines: forwards from `after`, backwards from `before`, or the newest ones."""
    matches = matcher(query.text, query.regex) if query.text else None
    page = _Collector(max(limit, 1), after is not None, after if after is not None else before, matches)
    sources = None
    if query.attempt is not None or query.rank is not None or query.streams:
        sources = await database.read(partial(_sources, task, query))
    # The row the cursor points into is read again: the page may go on in its middle.
    at = None if page.cursor is None else page.cursor >> LINE_BITS
    bytes_left, rows_left = PAGE_BYTES, PAGE_ROWS
    end = False
    while not end and bytes_left > 0 and rows_left > 0:
        bite = await database.read(partial(_bite, task, query, sources, page.forwards, at, page.wanted()))
        more = page.take(bite.rows) if matches is None else await asyncio.to_thread(page.take, bite.rows)
        if not more:
            break
        rows_left -= bite.looked_at
        bytes_left -= sum(len(row.content) for row in bite.rows)
        end = bite.end
        if bite.scanned is not None:
            page.passed(bite.scanned)
            at = bite.scanned + (1 if page.forwards else -1)
    if query.unfinished and end and before is None:
        page.unfinished = await database.read(partial(_unfinished, task, query, matches))
    return page.result(end, complete)


class _Collector:
    """Collects the lines of one page. `position`: the last line looked at, from where to go on."""

    def __init__(self, limit: int, forwards: bool, cursor: int | None, matches: Matches | None) -> None:
        self.limit = limit
        self.forwards = forwards
        self.cursor = cursor
        self.matches = matches
        self.lines: list[LogLine] = []
        self.position = cursor
        self.unfinished: list[LogLine] = []
        self._stop_at = time.monotonic() + PAGE_SECONDS

    def wanted(self) -> int | None:
        """How many lines the next bite should hold: one more than the page, to know if that is the end."""
        return None if self.matches else self.limit + 1 - len(self.lines)

    def passed(self, row: int) -> None:
        """Everything up to and including this row has been looked at."""
        self.position = row << LINE_BITS | (LINE_MASK if self.forwards else 0)

    def take(self, found: Sequence[_Row]) -> bool:
        """Add the lines of these rows. False once the page is full or has taken long enough."""
        for row in found:
            texts = row.content.split("\n")
            if len(texts) > 1 and not texts[-1]:
                texts.pop()
            order = range(len(texts)) if self.forwards else range(len(texts) - 1, -1, -1)
            base = row.id << LINE_BITS
            for index in order:
                here = base | index
                if self.cursor is not None and (
                    here <= self.cursor if self.forwards else here >= self.cursor
                ):
                    continue
                text = texts[index].removesuffix("\r")
                if self.matches is not None and not self.matches(text):
                    if time.monotonic() > self._stop_at:
                        self.position = here
                        return False
                    continue
                if len(self.lines) == self.limit:
                    return False
                if row.goes_on:
                    text += CUT
                self.lines.append(LogLine(here, row.time, Stream(row.stream), row.attempt, row.rank, text))
                self.position = here
                if self.matches is not None and len(self.lines) == self.limit:
                    return False
        return True

    def result(self, end: bool, complete: bool) -> LogPage:
        lines, cursor = self.lines, self.cursor
        if self.forwards:
            assert cursor is not None
            back = lines[0].cursor if lines else cursor + 1
            older = None if cursor <= 0 else back
            self._add_unfinished()
            return LogPage(lines, older, None if end else self.position, complete and end)
        lines.reverse()
        self._add_unfinished()
        newer = None if cursor is None else lines[-1].cursor if lines else cursor - 1
        return LogPage(lines, None if end else self.position, newer, complete)

    def _add_unfinished(self) -> None:
        here = self.lines[-1].cursor if self.lines else self.cursor or 0
        self.lines += [replace(line, cursor=here) for line in self.unfinished]


def _unfinished(
    task: TaskId, query: LogQuery, matches: Matches | None, connection: Connection
) -> list[LogLine]:
    """The lines whose end has not arrived, as a terminal shows them: what follows the last return.

    Not of those longer than 64 KB, of which pages hold the beginning already.
    """
    s = schema.stream.c
    statement = (
        select(s.time, s.type, s.attempt, s.rank, s.tail)
        .where(s.task == rows.plain(task), s.closed == 0, s.follows == 0, s.type.in_(_SHOWN))
        .order_by(s.time)
    )
    found = []
    for row in connection.execute(statement):
        text = as_text(bytes(row.tail))[0].rstrip("\r").rpartition("\r")[2]
        if text and _passes(row, query) and (matches is None or matches(text)):
            line = LogLine(0, row.time, Stream(row.type), row.attempt, row.rank, text, unfinished=True)
            found.append(line)
    return found[-MOST_UNFINISHED:]


def _sources(task: TaskId, query: LogQuery, connection: Connection) -> list[tuple[str, str]] | None:
    """The streams (run, type) asked for, if they are few; None: read the task's rows and filter them."""
    s = schema.stream.c
    kinds = [stream.value for stream in query.streams if stream.value in _SHOWN] or (
        [] if query.streams else _SHOWN
    )
    statement = select(s.run, s.type).where(s.task == rows.plain(task), s.type.in_(kinds))
    if query.attempt is not None:
        statement = statement.where(s.attempt == query.attempt)
    if query.rank is not None:
        statement = statement.where(s.rank == query.rank)
    found = connection.execute(statement.limit(FEW_STREAMS + 1)).all()
    return None if len(found) > FEW_STREAMS else [(run, kind) for run, kind in found]


def _bite(
    task: TaskId,
    query: LogQuery,
    sources: list[tuple[str, str]] | None,
    forwards: bool,
    at: int | None,
    wanted: int | None,
    connection: Connection,
) -> _Bite:
    """The next rows from row `at` on, until they hold `wanted` lines or BITE_BYTES."""
    conditions = (
        [(_L.task == rows.plain(task),)]
        if sources is None
        else [(_L.run == run, _L.type == kind) for run, kind in sources]
    )
    heads: list[Any] = []
    for condition in conditions:
        statement = select(_L.id, _L.time, _L.type, _L.attempt, _L.rank, _L.size, _L.lines, _L.goes_on).where(
            *condition, _L.follows == 0
        )
        if at is not None:
            statement = statement.where(_L.id >= at if forwards else _L.id <= at)
        order = _L.id if forwards else _L.id.desc()
        heads += connection.execute(statement.order_by(order).limit(BITE_ROWS)).all()
    if len(conditions) > 1:
        heads.sort(key=lambda head: head.id, reverse=not forwards)
        end = len(heads) < BITE_ROWS
        del heads[BITE_ROWS:]
    else:
        end = len(heads) < BITE_ROWS
    chosen: list[Any] = []
    held, size = 0, 0
    scanned: int | None = None
    for head in heads:
        if chosen and (size >= BITE_BYTES or (wanted is not None and held >= wanted)):
            end = False
            break
        scanned = head.id
        if _passes(head, query):
            chosen.append(head)
            size += head.size
            # Of the row the cursor points into, nobody knows here how much is left.
            held += 0 if head.id == at else head.lines
    contents = _contents(connection, [head.id for head in chosen])
    found = [
        _Row(h.id, h.time, h.type, h.attempt, h.rank, bool(h.goes_on), contents[h.id])
        for h in chosen
        if h.id in contents
    ]
    return _Bite(found, scanned, len(heads), end)


def _passes(head: Any, query: LogQuery) -> bool:
    return (
        (not query.streams or head.type in query.streams)
        and (query.attempt is None or head.attempt == query.attempt)
        and (query.rank is None or head.rank == query.rank)
        and (query.since is None or head.time >= query.since)
        and (query.until is None or head.time <= query.until)
    )


def _contents(connection: Connection, ids: list[int]) -> dict[int, str]:
    if not ids:
        return {}
    statement = select(_L.id, _L.content).where(_L.id.in_(ids))
    return {row.id: row.content for row in connection.execute(statement)}
