"""The life file: one winner, whole lines, a lock that tells the living from the dead."""

from __future__ import annotations

import os
from pathlib import Path

from trainmaster.runners import life


def test_only_one_claim_wins_and_nothing_else_remains(tmp_path: Path) -> None:
    first = life.claim(str(tmp_path), life.line("claim", {"pid": 1}))
    second = life.claim(str(tmp_path), life.line("claim", {"pid": 2}))
    assert first is not None and second is None
    assert life.read(str(tmp_path)) == {"claim": {"pid": 1}}
    assert [path.name for path in tmp_path.iterdir()] == ["life"]
    os.close(first)


def test_nobody_has_begun_what_has_no_life(tmp_path: Path) -> None:
    assert life.read(str(tmp_path)) is None
    assert not life.held(str(tmp_path))


def test_the_lock_tells_whether_the_claimer_lives(tmp_path: Path) -> None:
    fd = life.claim(str(tmp_path), b"")
    assert fd is not None
    assert life.held(str(tmp_path))
    os.close(fd)
    assert not life.held(str(tmp_path))


def test_half_a_line_does_not_count(tmp_path: Path) -> None:
    content = life.line("claim", {"pid": 1}) + b'{"started":{"pi'
    assert life.parse(content) == {"claim": {"pid": 1}}
    rest = b"\n" + life.line("exit", {"code": 0})
    assert life.parse(content + rest) == {"claim": {"pid": 1}, "exit": {"code": 0}}


def test_the_first_word_on_a_matter_counts() -> None:
    content = life.line("exit", {"code": 0}) + life.line("exit", {"code": 9})
    assert life.parse(content) == {"exit": {"code": 0}}


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "stop"
    life.put(str(path), b"10")
    life.put(str(path), b"2.5")
    assert path.read_bytes() == b"2.5"
    assert [item.name for item in tmp_path.iterdir()] == ["stop"]


def test_a_process_is_named_by_pid_and_start_time() -> None:
    assert life.start_time(os.getpid()) == life.start_time(os.getpid())
    assert life.start_time(2**22 + 1) is None


def test_a_hint_to_nobody_is_dropped(tmp_path: Path) -> None:
    fifo = tmp_path / "hints"
    life.hint(str(fifo), b"x\n")
    os.mkfifo(fifo)
    life.hint(str(fifo), b"x\n")
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    life.hint(str(fifo), b"y\n")
    assert os.read(reader, 100) == b"y\n"
    os.close(reader)
