"""Tables in Markdown and charts in SVG under docs/results/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from trainmaster.forecasting import Backtest, Series
from trainmaster.forecasting.svg import Band, Line, chart


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows]) + "\n"


def number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None or value != value else f"{value:.{digits}f}"


def accuracy(tables: dict[str, dict[str, dict[str, float]]]) -> str:
    parts = []
    for name, models in tables.items():
        rows = [
            [m, number(v["accuracy"]), number(v["smape"]), number(v["wmape"]), number(v["mase"], 3),
             number(100 * v["r2"], 1), number(100 * v["coverage_90"], 1), number(v["cpu_s"], 2)]
            for m, v in models.items()
        ]  # fmt: skip
        size = next(iter(models.values()))["rows"]
        head = ["model", "100 − MAPE", "sMAPE", "wMAPE", "MASE", "R² %", "below 90 % bound", "CPU s"]
        parts.append(f"### {name} ({size} test rows)\n\n{markdown(head, rows)}")
    return "\n".join(parts)


def sizing(rows: dict[str, Any]) -> str:
    head = ["policy", "node-hours / oracle", "late work %", "power-ons"]
    return markdown(
        head,
        [
            [k, number(v["nodes_over_oracle"], 3), number(v["late_percent"]), str(v["power_ons"])]
            for k, v in rows.items()
        ],
    )


def save(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def figure_5(series: Series, lines: dict[str, np.ndarray], first: int, days: float) -> str:
    """Actual and forecasts over the last `days` days of the test."""
    shown = min(int(days * 86400 / series.step_s), len(series) - first)
    rows = np.arange(len(series) - shown, len(series))
    x = np.atleast_1d(series.starts(rows))
    drawn = [Line("observed", x, series.values[rows])]
    drawn += [Line(name, x, y[rows - first], dashed=name == "persistence") for name, y in lines.items()]
    return chart("Figure 5 again: bits per five minutes, one step ahead", drawn, zone="UTC")


def band(series: Series, tested: Backtest, title: str, days: float) -> str:
    """Observed, forecast and the one-sided bound over the last days of the test."""
    shown = min(int(days * 86400 / series.step_s), tested.actual.size)
    x = np.atleast_1d(series.starts(np.arange(len(series) - shown, len(series))))
    upper, point = tested.upper[-shown:], tested.forecast[-shown:]
    return chart(
        title,
        [Line("observed", x, tested.actual[-shown:]), Line(f"forecast ({tested.model})", x, point)],
        [Band(f"up to the {tested.tau:.0%} bound", x, point, upper)],
        zone="UTC",
    )


def figure_6(result: dict[str, Any], start: float) -> str:
    lines = []
    for name, row in result["rows"].items():
        x = start + 86400.0 * np.arange(len(row["per_day"]))
        lines.append(Line(name, x, np.array(row["per_day"]), dashed="equal" in name))
    return chart("Figure 6 again: work per node and day, in node capacities", lines, zone="UTC")


def seeds(result: dict[str, Any], needed: np.ndarray, start: float) -> str:
    x = start + 86400.0 * np.arange(needed.size)
    lines = [Line("needed", x, needed.astype(np.float64), steps=True)]
    lines += [
        Line(f"from {k.split()[0]} nodes", x, np.array(v["nodes"], dtype=np.float64), steps=True)
        for k, v in result.items()
    ]
    return chart("The paper's formula from three starting sizes: nodes on", lines, zone="UTC")
