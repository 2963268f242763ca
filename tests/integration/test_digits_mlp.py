"""The demo's training program: it learns, resumes exactly where it was, and leaves when told to.

Only one test starts it as a program of its own, as every start loads torch anew.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from trainmaster.train.examples import digits_mlp


class Run:
    """Calls the program in this process, with a task's folder as Trainmaster sets it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, folder: Path | None, *words: str) -> tuple[int, str]:
        for name, value in variables(folder).items():
            self._monkeypatch.setenv(name, value)
        code = digits_mlp.main(words)
        return code, self._capsys.readouterr().out


def variables(folder: Path | None) -> dict[str, str]:
    if folder is None:
        return {}
    folder.mkdir(exist_ok=True)
    return {
        "TRAINMASTER_CHECKPOINT_DIR": str(folder),
        "TRAINMASTER_REPORT": str(folder / "progress.jsonl"),
    }


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    for name in ("TRAINMASTER_CHECKPOINT_DIR", "TRAINMASTER_REPORT"):
        monkeypatch.delenv(name, raising=False)
    before = signal.getsignal(signal.SIGTERM)
    yield Run(monkeypatch, capsys)
    signal.signal(signal.SIGTERM, before)


def reports(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("hidden", [1, 2, 3])
def test_it_learns_and_reports_every_epoch(run: Run, tmp_path: Path, hidden: int) -> None:
    code, said = run(tmp_path / "a", "--hidden", str(hidden), "--epochs", "12")
    assert code == 0
    told = reports(tmp_path / "a")
    assert [line["epoch"] for line in told] == list(range(1, 13))
    assert told[-1]["loss"] < told[0]["loss"] and told[-1]["accuracy"] > 0.85
    assert all(line["samples_per_s"] > 0 for line in told)
    assert re.search(r"^epoch 12/12  loss \d\.\d{4}  accuracy 0\.\d{4}  \d+ samples/s$", said, re.MULTILINE)


def test_told_to_leave_it_saves_at_once_and_later_ends_as_if_nothing_had_been(
    run: Run, tmp_path: Path
) -> None:
    words = ("--hidden", "2", "--epochs", "4", "--seed", "5")
    assert run(tmp_path / "whole", *words)[0] == 0

    cut = tmp_path / "cut"
    program = subprocess.Popen(
        [sys.executable, "-m", digits_mlp.__name__, *words, "--step-delay", "0.05"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables(cut)},
    )
    assert program.stdout is not None
    for line in program.stdout:
        if line.startswith("epoch 2/4"):
            break
    program.send_signal(signal.SIGTERM)
    said, _ = program.communicate(timeout=60)
    assert program.returncode == 143
    assert "told to leave in epoch 3" in said

    code, said = run(cut, *words)
    assert code == 0
    assert "resumed after epoch 2" in said
    assert [line["epoch"] for line in reports(cut)] == [1, 2, 3, 4]
    whole, resumed = reports(tmp_path / "whole")[-1], reports(cut)[-1]
    assert (resumed["loss"], resumed["accuracy"]) == (whole["loss"], whole["accuracy"])


def test_a_finished_training_started_again_ends_at_once(run: Run, tmp_path: Path) -> None:
    for _ in range(2):
        code, said = run(tmp_path / "a", "--epochs", "1")
        assert code == 0 and "done: accuracy" in said
    assert len(reports(tmp_path / "a")) == 1


def test_a_damaged_checkpoint_or_one_of_another_network_starts_afresh(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "digits_mlp.pt").write_bytes(b"no checkpoint")
    code, said = run(folder, "--epochs", "1")
    assert code == 0 and "cannot be read" in said
    code, said = run(folder, "--epochs", "1", "--hidden", "2")
    assert code == 0 and "another network" in said
    assert len(reports(folder)) == 2


def test_without_trainmaster_it_is_an_ordinary_program(run: Run) -> None:
    code, said = run(None, "--epochs", "1")
    assert code == 0 and "epoch 1/1" in said


def test_nonsense_is_refused(run: Run) -> None:
    with pytest.raises(SystemExit) as refused:
        run(None, "--hidden", "4")
    assert refused.value.code == 2
