"""``trainmaster plan``."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from trainmaster.cli.plan import app

runner = CliRunner()


@pytest.fixture
def graph(tmp_path):
    path = tmp_path / "g.json"
    result = runner.invoke(
        app, ["generate", "--tasks", "80", "--height", "10", "--ccr", "2", "-o", str(path)]
    )
    assert result.exit_code == 0, result.output
    return path


def test_run_plans_draws_and_prints(graph, tmp_path):
    for name in ("out.svg", "out.html"):
        picture = tmp_path / name
        result = runner.invoke(app, ["run", str(graph), "-p", "4", "-a", "heft", "--gantt", str(picture)])
        assert result.exit_code == 0 and "makespan" in result.output
        assert "<svg" in picture.read_text()
    result = runner.invoke(app, ["run", str(graph), "-p", "4", "-a", "tdpatd", "--json"])
    facts = json.loads(result.stdout)
    assert facts["algorithm"] == "tdpatd" and len(facts["placements"]) == 80 + facts["copies"]
    assert facts["gap"] == pytest.approx(facts["makespan"] / facts["lower_bound"] - 1)


def test_compare_and_bounds(graph):
    names = "serial,heft,etf"
    result = runner.invoke(app, ["compare", str(graph), str(graph), "--algorithms", names, "--json"])
    rows = json.loads(result.stdout)
    assert [row["algorithm"] for row in rows] == names.split(",") * 2
    assert runner.invoke(app, ["compare", str(graph), "--algorithms", names]).exit_code == 0
    found = json.loads(runner.invoke(app, ["bounds", str(graph), "--json"]).stdout)
    assert found["best"] == max(found[key] for key in ("area", "path", "join", "combined"))
    assert found["best"] <= min(row["makespan"] for row in rows)
    assert "path" in runner.invoke(app, ["bounds", str(graph)]).output


def test_generate_prints_without_a_file():
    result = runner.invoke(app, ["generate", "--tasks", "5", "--seed", "3"])
    assert len(json.loads(result.stdout)["work"]) == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "no-such-file"],
        ["run", "@", "-a", "magic"],
        ["run", "@", "-p", "0"],
        ["run", "@", "--ports", "triple"],
        ["run", "@", "--gantt", "/no/such/folder/x.svg"],
        ["bounds", "@", "-p", "-1"],
        ["generate", "--tasks", "0"],
        ["generate", "--tasks", "9", "-o", "/no/such/folder/x.json"],
        ["compare", "@", "--algorithms", "heft,"],
    ],
)
def test_bad_requests_say_why_and_end_with_2(graph, arguments):
    result = runner.invoke(app, [str(graph) if a == "@" else a for a in arguments])
    assert result.exit_code == 2
    assert "trainmaster:" in result.stderr
