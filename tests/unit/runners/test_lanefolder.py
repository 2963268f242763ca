"""The files between agent and lane: whole lines, news once, a full disk, forgetting."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nodes import run_id
from trainmaster.domain.run import Exit, Fault, RunSpec, RunState
from trainmaster.runners import lanecall, life
from trainmaster.runners.lanefolder import LaneFolder
from trainmaster.runners.laneindex import Call, Lane
from trainmaster.runners.lanepool import LaneProcess


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[LaneFolder]:
    made = LaneFolder.create(str(tmp_path / "00000001"), {})
    yield made
    made.close()


def test_news_comes_once_and_in_whole_lines(folder: LaneFolder) -> None:
    journal = Path(folder.path) / "journal"
    with journal.open("ab", buffering=0) as lane:
        lane.write(b'{"s":"a"}\n{"d":')
        assert folder.news() == [{"s": "a"}]
        lane.write(b'"a"}\n')
        assert folder.news() == [{"d": "a"}]
    assert folder.news() == []


def test_a_torn_line_is_passed_over_alone(folder: LaneFolder) -> None:
    (Path(folder.path) / "journal").write_bytes(b'{"s":"a"}\n{"d":"a","co\n{"s":"b"}\n\n{"d":"b"}\n')
    assert folder.news() == [{"s": "a"}, {"s": "b"}, {"d": "b"}]


def test_a_full_disk_leaves_no_half_calls(folder: LaneFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.send([b'{"run":"a"}\n'])
    real = life.write

    def half(fd: int, content: bytes) -> None:
        real(fd, content[:5])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(life, "write", half)
        with pytest.raises(OSError, match="No space"):
            folder.send([b'{"run":"b"}\n'])
    folder.send([b'{"run":"c"}\n'])
    assert list(folder.inbox()) == [{"run": "a"}, {"run": "c"}]


def test_forgotten_names_are_kept(folder: LaneFolder) -> None:
    folder.forget(["a", "b"])
    folder.forget(["c"])
    assert folder.forgotten() == {"a", "b", "c"}


async def test_the_lock_shuts_out_the_lane(folder: LaneFolder) -> None:
    import fcntl

    lane = os.open(f"{folder.path}/inbox", os.O_RDONLY)
    await folder.lock()
    with pytest.raises(BlockingIOError):
        fcntl.flock(lane, fcntl.LOCK_EX | fcntl.LOCK_NB)
    folder.unlock()
    fcntl.flock(lane, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(lane)


def test_an_inbox_is_indexed_with_what_was_taken_back(folder: LaneFolder) -> None:
    def line(name: str) -> bytes:
        return lanecall.line(RunSpec(run_id(name), "function", function="m:f"), "n1")  # type: ignore[arg-type]

    names = ("kept", "gone", "dropped", "moved", "stopped")
    folder.send([line(name) for name in names])
    for message in (
        {"drop": str(run_id("dropped")), "t": 7.0},
        {"moved": str(run_id("moved"))},
        {"stop": str(run_id("stopped"))},
        {"retire": True},
    ):
        folder.send([lanecall.encode(message)])
    folder.forget([str(run_id("gone"))])
    lane = Lane(LaneProcess("00000001", folder))
    calls = {call.id.task[2:]: call for call in lane.load_inbox()}
    assert set(calls) == {"kept", "dropped", "stopped"}
    assert [lane.waiting[str(run_id(name))].id.task for name in ("kept", "stopped")] == [
        "t-kept",
        "t-stopped",
    ]
    assert len(lane.waiting) == 2 and lane.kept == 3 and not lane.open
    assert calls["dropped"].report.exit == Exit(None, Fault.NEVER_STARTED)
    assert calls["dropped"].report.ended_at == 7.0
    assert calls["stopped"].stopping


def test_a_journal_moves_calls_from_waiting_to_ended(folder: LaneFolder) -> None:
    lane = Lane(LaneProcess("00000001", folder))
    call = Call(run_id("a"), b"")
    lane.take(call)
    lane.begin({"s": str(call.id), "t": 5.0, "at": [1, 2, 3]})
    assert lane.running is call and call.report.state is RunState.RUNNING and lane.load == 1
    outcome = {
        "d": str(call.id), "t": 6.0, "code": 0, "fault": "", "detail": "", "result": "1", "to": [4, 2, 3],
    }  # fmt: skip
    assert lane.conclude(outcome) is call
    assert call.report.exit == Exit(0, result="1") and call.report.started_at == 5.0
    assert lane.load == 0 and lane.spooled == 9
    sizes = {stream.value: (file.start, file.end) for stream, file in call.logs().items()}
    assert sizes == {"STDOUT": (1, 4), "STDERR": (2, 2), "PROGRESS": (3, 3)}
