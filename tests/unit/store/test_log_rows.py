"""Cutting log bytes into rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.samples import chunk
from trainmaster.domain.ids import RunId, TaskId
from trainmaster.store.log_rows import ROW_BYTES, LogRow, StreamState, absorb, as_text

R = RunId(TaskId("t-1"), 1, 0)


def feed(*parts: bytes, last: bool = False) -> tuple[StreamState, list[LogRow]]:
    """Each part in a commit of its own."""
    state, rows, offset = StreamState(), [], 0
    for n, part in enumerate(parts, 1):
        state, more = absorb(state, [chunk(R, part, offset, last=last and n == len(parts))])
        rows += more
        offset += len(part)
    return state, rows


def test_rows_hold_whole_lines_and_the_rest_waits() -> None:
    state, rows = feed(b"one\ntwo\nthr")
    assert [(row.start, row.data, row.lines) for row in rows] == [(0, b"one\ntwo\n", 2)]
    assert state == StreamState(next=11, tail=b"thr", time=50.0)
    state, rows = absorb(state, [chunk(R, b"ee\n", 11)])
    assert [(row.start, row.data) for row in rows] == [(8, b"three\n")]
    assert state.tail == b""


def test_the_last_line_needs_no_newline_once_the_stream_has_ended() -> None:
    state, rows = feed(b"one\ntw", b"o", last=True)
    assert [row.data for row in rows] == [b"one\n", b"two"]
    assert state.closed and state.tail == b"" and not rows[-1].goes_on


def test_an_empty_stream_can_end() -> None:
    state, rows = absorb(StreamState(), [chunk(R, b"", last=True)])
    assert state == StreamState(closed=True) and rows == []


def test_a_long_line_becomes_rows_of_its_own() -> None:
    _, rows = feed(b"short\n" + b"x" * (2 * ROW_BYTES + 10), b"end\nnext\n")
    shape = [(len(row.data), row.lines, row.follows, row.goes_on) for row in rows]
    assert shape == [
        (6, 1, False, False),
        (ROW_BYTES, 1, False, True),
        (ROW_BYTES, 0, True, True),
        (14, 0, True, False),
        (5, 1, False, False),
    ]


def test_a_line_of_just_one_row() -> None:
    for size, rows_expected in ((ROW_BYTES - 1, 1), (ROW_BYTES, 2)):
        _, rows = feed(b"x" * size + b"\n", last=True)
        assert len(rows) == rows_expected
        assert sum(row.lines for row in rows) == 1


def test_a_long_line_is_not_cut_inside_a_character() -> None:
    for lead in range(4):
        _, rows = feed(b"x" * lead + "🚂".encode() * ROW_BYTES, last=True)
        assert all(as_text(row.data)[1] is None for row in rows)
        assert all(len(row.data) <= ROW_BYTES for row in rows)


def test_bytes_that_only_look_like_parts_of_characters_do_not_stop_the_cut() -> None:
    _, rows = feed(b"\x80" * (ROW_BYTES * 3), last=True)
    assert [len(row.data) for row in rows] == [ROW_BYTES] * 3


def test_a_progress_bar_becomes_a_line_now_and_then() -> None:
    bar = b"".join(b"\r%5d/99999 [====>      ]" % n for n in range(1000))
    state, offset, rows = StreamState(), 0, []
    while offset < len(bar):
        state, more = absorb(state, [chunk(R, bar[offset : offset + 100], offset)])
        offset, rows = offset + 100, rows + more
        assert len(state.tail) <= 4096
    assert b"".join(row.data for row in rows) + state.tail == bar
    assert [row.lines for row in rows] == [1] * len(rows) and 3 <= len(rows) <= 10
    assert not any(row.goes_on or row.follows for row in rows)


def test_a_return_that_may_belong_to_a_newline_is_left_with_it() -> None:
    _, rows = feed(b"x" * 5000 + b"\r", b"\nnext\n")
    assert [(row.data[-6:], row.lines) for row in rows] == [(b"\nnext\n", 2)]


def test_nothing_is_taken_beyond_a_gap() -> None:
    state, rows = absorb(
        StreamState(), [chunk(R, b"c\n", 4), chunk(R, b"a\n", 0), chunk(R, b"", 9, last=True)]
    )
    assert (state.next, state.closed) == (2, False)
    assert [row.data for row in rows] == [b"a\n"]


def test_without_keeping_only_the_offset_moves() -> None:
    state, rows = absorb(StreamState(), [chunk(R, b'{"a": 1}\n'), chunk(R, b"", 9, last=True)], keep=False)
    assert (state.next, state.tail, state.closed, rows) == (9, b"", True, [])


def test_chunks_read_far_apart_do_not_share_a_row() -> None:
    parts = [chunk(R, b"a\n", 0, time=1.0), chunk(R, b"b\n", 2, time=1.5), chunk(R, b"c\n", 4, time=2.6)]
    _, rows = absorb(StreamState(), parts)
    assert [(row.data, row.time) for row in rows] == [(b"a\nb\n", 1.0), (b"c\n", 2.6)]


def test_text_is_kept_beside_bytes_it_cannot_give_back() -> None:
    assert as_text("grün\n".encode()) == ("grün\n", None)
    assert as_text(b"a\0b") == ("a\ufffdb", b"a\0b")
    assert as_text(b"\xff\0\n") == ("\ufffd\ufffd\n", b"\xff\0\n")


UNITS = [b"\n", b"\r\n", b"x", b"a line\n", "é".encode(), b"\xff", b"\0"]


@given(
    parts=st.lists(
        st.tuples(
            st.one_of(st.sampled_from(UNITS), st.binary(max_size=8)),
            st.one_of(st.integers(1, 5), st.integers(32_760, 32_775), st.integers(65_530, 70_000)),
        ),
        max_size=8,
    ),
    closes=st.booleans(),
)
def test_rows_and_tail_are_the_stream(parts: list[tuple[bytes, int]], closes: bool) -> None:
    pieces = [unit * times for unit, times in parts]
    state, rows = feed(*pieces, last=closes)
    data = b"".join(pieces)
    assert b"".join(row.data for row in rows) + state.tail == data
    offset = 0
    for row in rows:
        assert row.start == offset and 0 < len(row.data) <= ROW_BYTES
        offset += len(row.data)
        if row.follows:
            assert row.lines == 0
        else:
            assert row.lines == max(row.data.count(b"\n"), 1)
        ended = row.data.endswith((b"\n", b"\r")) or (closes and row is rows[-1])
        assert row.goes_on == (not ended)
        assert row.follows == (row is not rows[0] and rows[rows.index(row) - 1].goes_on)
    redrawn = sum(1 for row in rows if row.data.endswith(b"\r") and not (closes and row is rows[-1]))
    lines = data.count(b"\n") + (1 if data and not data.endswith(b"\n") else 0)
    waiting = 1 if state.tail and not state.follows else 0
    assert sum(row.lines for row in rows) + waiting == lines + redrawn
    assert len(state.tail) <= ROW_BYTES
