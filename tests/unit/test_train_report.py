"""`trainmaster.train.report`: what it writes, and that training never suffers from it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

from trainmaster.train import report

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lines:
    path = tmp_path / "progress.jsonl"
    monkeypatch.setenv("TRAINMASTER_REPORT", str(path))
    return lambda: [json.loads(line) for line in path.read_text().splitlines()]


def test_one_line_per_call_with_time_and_counted_steps(lines: Lines) -> None:
    report(epoch=1, loss=0.5)
    report(epoch=2, loss=0.25)
    first, second = lines()
    assert (first["step"], first["epoch"], first["loss"]) == (1, 1, 0.5)
    assert (second["step"], second["epoch"], second["loss"]) == (2, 2, 0.25)
    assert second["t"] >= first["t"] > 1e9


def test_an_explicit_step_is_kept_and_counting_goes_on_from_it(lines: Lines) -> None:
    report(step=40, loss=1.0)
    report(loss=0.9)
    report(step=41.5, loss=0.8)
    assert [line["step"] for line in lines()] == [40, 41, 41.5]


def test_scalars_of_other_libraries_and_values_json_lacks(lines: Lines) -> None:
    report(
        f32=numpy.float32(0.5), i64=numpy.int64(7), zero_d=numpy.array(2.0), yes=True, big=2**70,
        nan=float("nan"), up=float("inf"), down=numpy.float64("-inf"),
    )  # fmt: skip
    (line,) = lines()
    assert line["f32"] == 0.5 and line["i64"] == 7 and line["zero_d"] == 2.0
    assert line["yes"] == 1 and line["big"] == float(2**70)
    assert (line["nan"], line["up"], line["down"]) == ("NaN", "Infinity", "-Infinity")
    assert float(line["down"]) == float("-inf")


def test_torch_scalars(lines: Lines) -> None:
    torch = pytest.importorskip("torch")
    report(loss=torch.tensor(0.25, requires_grad=True), hits=torch.tensor(3))
    (line,) = lines()
    assert (line["loss"], line["hits"]) == (0.25, 3)


def test_what_is_no_number_is_left_out_and_the_rest_stays(lines: Lines) -> None:
    report(loss=0.5, name="adam", several=numpy.zeros(3), nothing=None, t=9.0)
    (line,) = lines()
    assert set(line) == {"t", "step", "loss", "t_"}
    assert line["t_"] == 9.0


def test_outside_trainmaster_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRAINMASTER_REPORT", raising=False)
    monkeypatch.chdir(tmp_path)
    report(loss=1.0)
    assert list(tmp_path.iterdir()) == []


class _Nasty:
    def item(self) -> float:
        raise RuntimeError("device lost")


def test_it_never_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINMASTER_REPORT", str(tmp_path / "missing" / "progress.jsonl"))
    report(loss=1.0)
    monkeypatch.setenv("TRAINMASTER_REPORT", "/dev/full")
    report(loss=1.0)
    good = tmp_path / "progress.jsonl"
    monkeypatch.setenv("TRAINMASTER_REPORT", str(good))
    report(step="four", loss=1.0)  # type: ignore[arg-type]
    report(loss=_Nasty(), accuracy=0.5)
    assert [json.loads(line)["accuracy"] for line in good.read_text().splitlines()] == [0.5]


def test_threads_and_forked_children_never_mix_lines(lines: Lines) -> None:
    def many() -> None:
        for _ in range(200):
            report(loss=0.123456789, accuracy=0.987654321)

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    script = "from trainmaster.train import report\nfor _ in range(200): report(loss=0.5, padding=1/3)"
    children = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
    assert [child.wait(30) for child in children] == [0, 0]
    written = lines()
    assert len(written) == 1200
    assert sorted(line["step"] for line in written if "accuracy" in line) == list(range(1, 801))


def test_a_signal_handler_may_report_while_a_report_is_written(lines: Lines) -> None:
    handled = threading.Event()

    def handler(*_: object) -> None:
        report(stopped=1)
        handled.set()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        while not handled.is_set():
            report(loss=1.0)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert sum("stopped" in line for line in lines()) == 1


def test_importing_it_loads_nothing_else_of_ours() -> None:
    script = (
        "import sys, trainmaster.train\n"
        "print(sorted(m for m in sys.modules if m.startswith('trainmaster')))\n"
        "print(sorted({'numpy', 'torch', 'asyncio', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    ours, others = done.stdout.splitlines()
    parts = ("callbacks", "clock", "convergence", "errors", "report")
    assert ours == str(["trainmaster", "trainmaster.train", *(f"trainmaster.train.{part}" for part in parts)])
    assert others == "[]"
