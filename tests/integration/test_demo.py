"""The demo for real: networks train, an urgent task preempts, the table tells, nothing stays behind."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from tests.docker_engine import DockerEngine
from tests.live import SOURCE, wait_until
from trainmaster.cli.main import run

pytest.importorskip("torch")
pytest.importorskip("sklearn")

ROW = re.compile(
    r"^(?P<task>(?:mlp-[123]|urgent) #\d+) +(?P<standing>normal [123]|highest) +(?P<waited>[\d.hms ]+?) +"
    r"(?P<nodes>node-[1-4](?:→[1-4])*) +(?P<ran>[\d.hms ]+?) +(?P<accuracy>0\.\d{3}|1\.000) +"
    r"(?P<state>[A-Z]+) *(?P<history>yielded ×\d)? *$",
    re.MULTILINE,
)


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TRAINMASTER_")}
    environment |= {"PYTHONPATH": str(SOURCE), "TMPDIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-m", "trainmaster.cli.main", "demo", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=folder,
        start_new_session=True,
    )


def living(folder: Path) -> list[str]:
    """Command lines of processes that still work in this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            if process.status() != psutil.STATUS_ZOMBIE and (str(folder) in line or folder in _cwd(process)):
                found.append(line)
        except psutil.Error:
            continue
    return found


def _cwd(process: psutil.Process) -> list[Path]:
    here = Path(process.cwd())
    return [here, *here.parents]


@pytest.mark.timeout(300)
def test_every_task_trains_and_the_urgent_one_preempts(tmp_path: Path) -> None:
    demo = start(tmp_path, "--tasks", "2", "--epochs", "12")
    out, err = demo.communicate(timeout=280)
    assert (demo.returncode, err) == (0, ""), out
    assert re.match(r"Trainmaster \S+  4 logical nodes .*\n  page  http://127\.0\.0\.1:\d+/\?t=tm_", out)
    rows = {row["task"]: row for row in ROW.finditer(out)}
    names = ["mlp-1 #1", "mlp-2 #2", "mlp-3 #3", "mlp-1 #4", "mlp-2 #5", "mlp-3 #6", "urgent #7"]
    assert list(rows) == names, out
    assert {row["state"] for row in rows.values()} == {"SUCCEEDED"}
    assert all(float(row["accuracy"]) > 0.8 for row in rows.values()), out
    assert len({row["nodes"] for row in rows.values()}) >= 4
    assert sum(row["history"] is not None for row in rows.values()) == 1
    epochs = re.search(r"(\S+ #\d) was interrupted at epoch (\d+) and went on with epoch (\d+)", out)
    assert epochs is not None, out
    assert rows[epochs[1]]["history"] == "yielded ×1"
    assert int(epochs[2]) <= int(epochs[3]) <= int(epochs[2]) + 2, "it resumed where it was"
    assert "7 of 7 tasks succeeded" in out
    assert "none lost" in out
    assert list(tmp_path.iterdir()) == []
    assert living(tmp_path) == []


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    demo = start(tmp_path)
    assert demo.stdout is not None
    while "started on" not in demo.stdout.readline():
        pass
    assert living(tmp_path)
    demo.send_signal(signal.SIGINT)
    _, err = demo.communicate(timeout=60)
    assert (demo.returncode, err.strip()) == (130, "interrupted; everything is stopped and removed")
    assert list(tmp_path.iterdir()) == []
    assert living(tmp_path) == []


def test_killing_it_stops_its_service(tmp_path: Path) -> None:
    demo = start(tmp_path)
    assert demo.stdout is not None
    while "started on" not in demo.stdout.readline():
        pass
    demo.kill()
    demo.communicate(timeout=10)
    wait_until(lambda: living(tmp_path) == [], "its service and tasks end", within_s=60, every_s=0.2)


def test_a_missing_extra_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    began = time.monotonic()
    assert run(["demo"]) == 2
    assert time.monotonic() - began < 5
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "error: the demo trains networks, and torch is not installed.",
        "  pip install 'trainmaster[demo]', or in a clone: make demo",
    ]


def test_without_an_engine_containers_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/none.sock")
        assert run(["demo", "--containers"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: no container engine answers at unix://")
    assert "DOCKER_HOST" in told.splitlines()[1]


@pytest.mark.needs("docker")
@pytest.mark.timeout(300)
def test_in_containers(tmp_path: Path, docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_engine.url)
    demo = start(tmp_path, "--containers", "--tasks", "1", "--epochs", "2", "--pace", "0", "--json")
    out, err = demo.communicate(timeout=280)
    assert (demo.returncode, err) == (0, ""), out
    assert [row["state"] for row in json.loads(out)] == ["SUCCEEDED"] * 4
    assert list(tmp_path.iterdir()) == []
    assert docker_engine.containers() == []
