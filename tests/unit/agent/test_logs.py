"""Tailing: offsets, bounds, fairness, the end, acknowledgements. No waiting: the clock is a number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.nodes import run_id

from trainmaster.agent.logs import ANSWER, CHUNK, LogTail
from trainmaster.domain.ids import RunId
from trainmaster.domain.run import LogChunk, Stream
from trainmaster.ports import LogFile

A, B = run_id("a"), run_id("b")
OUT, ERR, PROGRESS = Stream.STDOUT, Stream.STDERR, Stream.PROGRESS


class Spool:
    """Runs with their streams in one folder, a tail over them and a hand-moved clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 100.0
        self.streams: tuple[Stream, ...] = (OUT, ERR)
        self.tail = LogTail(self.files, lambda: 5.0, lambda: self.now)

    def files(self, run: RunId) -> Mapping[Stream, LogFile]:
        return {stream: LogFile(str(self.folder / f"{run}-{stream}")) for stream in self.streams}

    def write(self, run: RunId, data: bytes, stream: Stream = OUT) -> None:
        with (self.folder / f"{run}-{stream}").open("ab") as file:
            file.write(data)

    def collect(self, after_s: float = 1.0) -> list[LogChunk]:
        self.now += after_s
        return list(self.tail.collect())


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


def brief(chunks: list[LogChunk]) -> list[tuple[str, str, int, bytes, bool]]:
    return [(chunk.run.task, chunk.stream.value, chunk.offset, chunk.data, chunk.last) for chunk in chunks]


def test_new_bytes_are_sent_once(spool: Spool) -> None:
    spool.tail.follow(A)
    assert spool.collect() == []
    spool.write(A, b"one")
    assert brief(spool.collect()) == [("t-a", "STDOUT", 0, b"one", False)]
    spool.tail.confirm({})
    assert spool.collect() == []
    spool.write(A, b"two")
    assert brief(spool.collect()) == [("t-a", "STDOUT", 3, b"two", False)]


def test_the_end_of_every_stream_is_told_once(spool: Spool) -> None:
    spool.tail.follow(A)
    spool.write(A, b"x")
    spool.tail.end(A)
    assert brief(spool.collect()) == [("t-a", "STDOUT", 0, b"x", True), ("t-a", "STDERR", 0, b"", True)]
    assert not spool.tail.stored(A)
    spool.tail.confirm({})
    assert spool.tail.stored(A)
    assert spool.collect() == []
    assert spool.tail.next_due() is None


def test_chunks_and_answers_are_bounded_and_lose_nothing(spool: Spool) -> None:
    spool.streams = (OUT,)
    content = bytes(range(256)) * (3 * ANSWER // 256 + 7)
    spool.write(A, content)
    spool.tail.end(A)
    got, answers = b"", 0
    while not spool.tail.stored(A):
        chunks = spool.collect(0.0)
        assert sum(len(chunk.data) for chunk in chunks) <= ANSWER
        for chunk in chunks:
            assert len(chunk.data) <= CHUNK
            assert chunk.offset == len(got)
            got += chunk.data
        spool.tail.confirm({})
        answers += 1
    assert got == content
    assert answers >= 3


def test_a_chatty_run_starves_nobody(spool: Spool) -> None:
    spool.streams = (OUT,)
    quiet = [run_id(f"q{n}") for n in range(8)]
    for run in (A, *quiet):
        spool.tail.follow(run)
        spool.write(run, b"x" * (10 * CHUNK if run == A else CHUNK))
    seen: set[RunId] = set()
    for _ in range(4):
        seen |= {chunk.run for chunk in spool.collect(0.0)}
        spool.tail.confirm({})
    assert seen == {A, *quiet}


def test_a_lost_answer_is_sent_again_but_nothing_stored_is(spool: Spool) -> None:
    spool.write(A, b"one")
    spool.tail.follow(A)
    spool.collect()
    spool.tail.confirm({})
    spool.write(A, b"two")
    first = brief(spool.collect())
    spool.tail.rewind({}, new_caller=False)
    assert brief(spool.collect()) == first == [("t-a", "STDOUT", 3, b"two", False)]


def test_a_new_caller_is_sent_what_its_acks_do_not_cover(spool: Spool) -> None:
    spool.write(A, b"0123456789")
    spool.tail.end(A)
    spool.collect()
    spool.tail.confirm({})
    spool.tail.rewind({(A, OUT): 4}, new_caller=True)
    assert brief(spool.collect()) == [
        ("t-a", "STDOUT", 4, b"456789", True),
        ("t-a", "STDERR", 0, b"", True),
    ]


def test_acks_hold_for_runs_found_after_a_restart(spool: Spool) -> None:
    spool.write(A, b"0123456789")
    spool.tail.rewind({(A, OUT): 10}, new_caller=True)
    spool.tail.end(A)
    assert brief(spool.collect())[0] == ("t-a", "STDOUT", 10, b"", True)


def test_less_acknowledged_than_sent_is_sent_again(spool: Spool) -> None:
    spool.write(A, b"0123456789")
    spool.tail.end(A)
    spool.collect()
    spool.tail.confirm({(A, OUT): 6})
    assert not spool.tail.stored(A)
    assert brief(spool.collect()) == [("t-a", "STDOUT", 6, b"6789", True)]


def test_progress_comes_in_whole_lines_until_the_end(spool: Spool) -> None:
    spool.streams = (PROGRESS,)
    spool.tail.follow(A)
    spool.write(A, b'{"loss": 1}\n{"lo', PROGRESS)
    assert brief(spool.collect()) == [("t-a", "PROGRESS", 0, b'{"loss": 1}\n', False)]
    spool.tail.confirm({})
    assert spool.collect() == []
    spool.tail.end(A)
    assert brief(spool.collect()) == [("t-a", "PROGRESS", 12, b'{"lo', True)]


def test_silent_runs_are_looked_at_less_and_less(spool: Spool) -> None:
    spool.tail.follow(A)
    gaps = []
    for _ in range(12):
        due = spool.tail.next_due()
        assert due is not None
        gaps.append(due - spool.now)
        spool.collect(max(due - spool.now, 0.0))
    assert gaps[1] < 0.05 and gaps[-1] == 0.25
    spool.write(A, b"x")
    spool.collect()
    due = spool.tail.next_due()
    assert due is not None and due - spool.now == pytest.approx(0.02)


def test_slices_of_a_shared_file(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    path.write_bytes(b"aaabbbbcc")
    places = {A: LogFile(str(path), 0, 3), B: LogFile(str(path), 3, 7)}
    tail = LogTail(lambda run: {OUT: places[run]}, lambda: 0.0, lambda: 0.0)
    tail.end(A)
    tail.end(B)
    assert brief(list(tail.collect())) == [
        ("t-a", "STDOUT", 0, b"aaa", True),
        ("t-b", "STDOUT", 0, b"bbbb", True),
    ]


def test_dropped_runs_are_not_followed(spool: Spool) -> None:
    spool.write(A, b"x")
    spool.tail.follow(A)
    spool.tail.drop(A)
    assert spool.collect() == [] and spool.tail.stored(A)
