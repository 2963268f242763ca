"""The command line without a service: help, usage errors, exit codes, and what is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainmaster.cli.errors import report
from trainmaster.cli.main import COMMANDS, run
from trainmaster.cli.priority import read_change
from trainmaster.domain.errors import InvalidTask, StoreFull, StoreUnavailable, UnknownTask


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No service, no configuration, no terminal of the tester's."""
    for name in [name for name in os.environ if name.startswith("TRAINMASTER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRAINMASTER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


def test_help_lists_every_command_within_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    told = capsys.readouterr().out
    for name, entry in COMMANDS.items():
        assert (f" {name} " in told) == entry.exists(), name
    assert max(map(len, told.splitlines())) <= 80


@pytest.mark.parametrize("name", [name for name, entry in COMMANDS.items() if entry.exists()])
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    told = capsys.readouterr().out
    assert f"trainmaster {name}" in told
    assert max(map(len, told.splitlines())) <= 80


def test_help_loads_no_server_and_no_numbers() -> None:
    script = (
        "import sys, trainmaster.cli.main as m; m.run(['--help']); "
        "heavy = {'fastapi', 'sqlalchemy', 'numpy', 'pydantic', 'uvicorn', 'httpx2', 'asyncio'}; "
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from trainmaster import __version__

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"trainmaster {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words", "remedy"),
    [
        (["taks"], "did you mean 'tasks'", "trainmaster --help"),
        (["submit", "--gpu", "1"], "no such option: --gpu", "trainmaster submit --help"),
        (["submit", "train.py"], "not a task file", "submit -- train.py"),
        (["submit", "none.toml"], "there is no file none.toml", "after `--`"),
        (["submit", "--set", "gpu=1", "--", "a"], "did you mean gpus?", "known fields"),
        (["submit", "--arguments", "{", "--function", "a:b"], "arguments: not JSON", "write it like"),
        (["submit", "--env", "NO_SUCH_VARIABLE", "--", "a"], "is not set here", "NO_SUCH_VARIABLE=value"),
        (["submit", "--deadline", "soon", "--", "a"], "neither a duration nor a time", "10m"),
        (["priority", "t-1", "+"], "not a change of priority", "write +1"),
        (["logs", "t-1", "--rank", "x"], "not a worker", "or all"),
        (["tasks", "--state", "runing"], "not one of", "trainmaster tasks --help"),
        (["show"], "missing argument", "trainmaster show --help"),
        (["up", "--shares", "a"], "not a list of numbers", "4,2,1,1"),
        (["up", "--port", "70000"], "port", "correct it"),
        (["up", "--config", "none.toml"], "cannot be read", "check the path"),
    ],
)
def test_wrong_usage_is_one_line_with_a_remedy_and_exit_code_2(
    arguments: list[str], words: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    told = capsys.readouterr()
    first, *rest = told.err.splitlines()
    assert first.startswith("error: ")
    assert words.lower() in first.lower()
    assert remedy in rest[0]
    assert rest[0].startswith("  ")
    assert "Traceback" not in told.err + told.out


@pytest.mark.parametrize(
    "arguments", [["tasks"], ["nodes", "--json"], ["show", "t-1"], ["top"], ["submit", "--", "true"]]
)
def test_no_service_is_exit_code_3_and_says_how_to_start_one(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 3
    told = capsys.readouterr()
    assert "no service runs here" in told.err
    assert "`trainmaster up`" in told.err
    assert told.out == ""


def test_nobody_at_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--url", "http://127.0.0.1:1", "--token", "x", "tasks"]) == 3
    assert "no service answers at http://127.0.0.1:1" in capsys.readouterr().err


def test_a_service_that_was_killed_is_told_from_one_that_never_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "data").mkdir()
    kept = {"url": "http://127.0.0.1:1", "token": "x", "pid": gone.pid}
    (tmp_path / "data" / "credentials.json").write_text(json.dumps(kept))
    assert run(["tasks"]) == 3
    assert f"the service (pid {gone.pid}) is not running any more" in capsys.readouterr().err


def test_down_without_a_service_is_done_already(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["down"]) == 0
    assert "no service runs" in capsys.readouterr().out


def test_doctor_names_a_wrong_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "trainmaster.toml").write_text("poort = 1")
    assert run(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "there is no setting 'poort'" in told
    assert "did you mean 'port'?" in told
    assert "1 thing to mend" in told


def test_doctor_finds_readable_credentials_and_a_damaged_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "credentials.json").write_text("{}")
    (data / "credentials.json").chmod(0o644)
    (data / "trainmaster.db").write_bytes(b"this is no database" * 100)
    assert run(["doctor", "--json"]) == 1
    found = {one["check"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["versions"]["verdict"] == "ok"
    assert found["credentials"]["verdict"] == "fail"
    assert found["credentials"]["remedy"] == f"chmod 600 {data}/credentials.json"
    assert found["database"]["verdict"] == "fail"
    assert "not a database" in found["database"]["text"]
    assert found["data folder"]["verdict"] == "ok"


@pytest.mark.parametrize(
    ("word", "change"),
    [
        ("+2", {"bumps": 2}),
        ("-1", {"bumps": -1}),
        ("3", {"priority": 3.0}),
        ("=-1.5", {"priority": -1.5}),
        ("Highest", {"urgency": "highest"}),
    ],
)
def test_a_change_of_priority(word: str, change: dict[str, object]) -> None:
    assert read_change(word) == change


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidTask("x"), 2),
        (UnknownTask("x"), 2),
        (StoreUnavailable("x"), 3),
        (StoreFull("x"), 3),
        (KeyboardInterrupt(), 130),
        (OSError(13, "Permission denied", "/x"), 2),
        (ZeroDivisionError("x"), 3),
    ],
)
def test_every_error_has_an_exit_code_and_no_traceback(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(error) == code
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert told.startswith("error: ") or isinstance(error, KeyboardInterrupt)
