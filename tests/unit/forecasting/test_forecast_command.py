"""The forecast command: text, JSON, chart, errors; and charts by themselves."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import typer
from demand_series import weekly
from typer.testing import CliRunner

from trainmaster.cli.forecast import forecast, seconds
from trainmaster.forecasting.errors import BadParameter
from trainmaster.forecasting.svg import MAX_POINTS, Band, Line, chart, short, thinned

app = typer.Typer()
app.command()(forecast)
runner = CliRunner()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [f"{1704067200 + 3600 * i},{v:.3f}" for i, v in enumerate(weekly(24 * 28).values)]
    path = tmp_path / "jobs.csv"
    path.write_text("time,jobs\n" + "\n".join(rows) + "\n")
    return path


def test_json_holds_forecast_bounds_and_the_back_test(file: Path) -> None:
    result = runner.invoke(app, [str(file), "--horizon", "3", "--backtest", "last-third", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["series"]["rows"] == 672
    assert next(row["start"] for row in report["forecast"]) == "2024-01-29T00:00:00+00:00"
    assert all(row["lower"] <= row["point"] <= row["upper"] for row in report["forecast"])
    tested = report["backtest"]
    assert tested["rows"] == 224
    assert tested["mape"] < tested["persistence"]["mape"]
    assert 0.8 < tested["coverage"] <= 1


def test_text_names_the_model_and_compares_with_persistence(file: Path) -> None:
    result = runner.invoke(
        app, [str(file), "--model", "weekly_median", "--horizon", "2", "--backtest", "100"]
    )
    assert result.exit_code == 0, result.output
    assert "model: weekly_median" in result.stdout
    assert "persistence" in result.stdout
    assert "2024-01-29T01:00:00+00:00" in result.stdout


def test_a_plot_is_a_well_formed_picture(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.svg"
    result = runner.invoke(app, [str(file), "--plot", str(target), "--backtest", "last-third"])
    assert result.exit_code == 0, result.output
    root = ElementTree.fromstring(target.read_text())
    assert root.tag.endswith("svg")
    assert "observed" in target.read_text()


def test_event_times_and_holidays(tmp_path: Path) -> None:
    events, days = tmp_path / "events.csv", tmp_path / "holidays.txt"
    events.write_text("\n".join(str(1704067200 + 1800 * i) for i in range(24 * 2 * 3)))
    days.write_text("2024-01-04  # a day off\n\n")
    arguments = [str(events), "--events", "--step", "1h", "--holidays", str(days), "--horizon", "1", "--json"]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["series"]["rows"] == 72
    assert report["forecast"][0]["point"] == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("", [], "no finite value"),
        ("2024-01-01,-4\n", [], "cannot be negative"),
        ("2024-01-01,1\n2024-01-01,2\n", [], "duplicates="),
        ("1\n2\n3\n", ["--model", "oracle"], "choose one of"),
        ("1\n2\n3\n", ["--zone", "Moon"], "IANA"),
        ("1\n2\n3\n", ["--step", "soon"], "such as 5min"),
        ("1\n2\n3\n", ["--start", "soon"], "ISO 8601"),
        ("1\n2\n3\n", ["--backtest", "most"], "last-third"),
        ("1\n2\n3\n", ["--level", "1.5"], "between 0 and 1"),
    ],
)
def test_bad_input_ends_with_a_remedy(tmp_path: Path, text: str, arguments: list[str], message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    result = runner.invoke(app, [str(path), *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    result = runner.invoke(app, [str(tmp_path / "none.csv")])
    assert result.exit_code == 2
    assert "none.csv" in result.stderr


def test_durations() -> None:
    assert [seconds(t) for t in ("30", "305.2s", "5min", "1h", "1d")] == [30.0, 305.2, 300.0, 3600.0, 86400.0]
    with pytest.raises(BadParameter):
        seconds("-1h")


def test_charts_break_lines_at_gaps_and_escape_text() -> None:
    x = np.arange(5.0)
    text = chart(
        "a < b & c", [Line("l<1>", x, np.array([1, 2, np.nan, 4, 5.0]))], [Band("b", x, x, x + 1)], zone=None
    )
    ElementTree.fromstring(text)
    assert "a &lt; b &amp; c" in text
    line = next(p for p in text.splitlines() if p.startswith("<path"))
    assert line.count("M") == 2
    assert "prefers-color-scheme:dark" in text


def test_charts_of_a_single_point_and_of_steps() -> None:
    one = chart("one", [Line("p", np.array([0.0]), np.array([0.0]))])
    ElementTree.fromstring(one)
    stepped = chart("s", [Line("p", np.arange(3.0), np.array([1.0, 2.0, 1.0]), steps=True)], zone=None)
    path = next(p for p in stepped.splitlines() if p.startswith("<path"))
    assert path.count("L") == 4


def test_long_lines_are_thinned_but_keep_their_peaks() -> None:
    x = np.arange(100_000.0)
    y = np.zeros(100_000)
    y[54_321], y[54_322] = 9.0, -9.0
    kept_x, kept_y = thinned(x, y)
    assert kept_x.size <= MAX_POINTS
    assert (kept_y.max(), kept_y.min()) == (9.0, -9.0)
    assert (np.diff(kept_x) >= 0).all()


def test_short_numbers() -> None:
    assert [short(v) for v in (0.25, 12.0, 1234.0, 3.5e6, 1.2e12)] == ["0.25", "12", "1.23k", "3.5M", "1.2T"]
