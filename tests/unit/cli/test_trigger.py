"""`trainmaster trigger`, which needs no service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trainmaster.cli.main import run


def test_preview_shows_both_clocks(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["trigger", "preview", "--cron", "30 2 * * *", "--zone", "Europe/Berlin", "-n", "2"]
    assert run([*words, "--after", "2026-10-24T20:00+00:00", "--fold", "both", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["utc"] for one in told] == ["2026-10-25 00:30:00", "2026-10-25 01:30:00"]
    assert [one["local"] for one in told] == ["2026-10-25 02:30:00"] * 2
    assert [one["offset"] for one in told] == ["+0200", "+0100"]


def test_check_says_yes_and_no_by_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tasks.toml"
    short = '[[task]]\nname = "short"\nevery = "10s"\ncost = "4s"\n'
    long = '[[task]]\nname = "long"\ncron = "* * * * *"\ncost = "20s"\ndeadline = "50s"\n'
    file.write_text(short + long)
    # Alone on a worker the long one delays the short one past its deadline; if it yields it does not.
    assert run(["trigger", "check", str(file), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["feasible"] is False
    assert run(["trigger", "check", str(file), "--preemptive", "--order", "dm", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["feasible"] is True
    assert told["responses"] == {"short": 4.0, "long": 36.0}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["preview", "--cron", "0 0 31 2 *"], "Bad day-of-month"),
        (["preview", "--cron", "@daily", "--zone", "Mars/Olympus"], "no time zone"),
        (["preview"], "one only"),
        (["preview", "--every", "soon"], "not a duration"),
        (["check", "nowhere.toml"], "No such file"),
    ],
)
def test_bad_input_is_refused_with_a_remedy(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["trigger", *words]) == 2
    assert said in capsys.readouterr().err
