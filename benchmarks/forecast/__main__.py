"""Measure forecasting and sizing against the bars of their issue, and write the results page's tables.

Usage: python -m benchmarks.forecast [--no-paper] [--out docs/results]
Prints one JSON object as its last line. --no-paper leaves out GRU, ARIMA and LSP (torch, statsmodels).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.forecast import accuracy, data, pages, sizing
from trainmaster.forecasting import Series, backtest, last_third, model, score
from trainmaster.policies.sizing import SizingLimits
from trainmaster.policies.sizing.backtest import oracle


def bar(value: float, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    """A measured value against its limits."""
    holds = (low is None or value >= low) and (high is None or value <= high)
    return {"value": round(float(value), 4), "at_least": low, "at_most": high, "holds": bool(holds)}


def paper(series: dict[str, Series], tables: dict[str, Any], out: Path) -> dict[str, Any]:
    """LSP as published, its halves, Figure 5, and the forecast its sizing uses."""
    import torch

    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for name in ("A5M", "A1H", "A1D repaired"):
        tables[name].update(accuracy.table(series[name], accuracy.PAPER))
        say(f"{name}: LSP {tables[name]['lsp']['accuracy']:.2f}")
    fine = series["A5M"]
    first = last_third(fine)
    lines = {n: model(n).rolling(fine, first) for n in ("lsp", "persistence")}
    found["splits"] = accuracy.splits(fine, lines, first)
    pages.save(out, "forecast-figure5.svg", pages.figure_5(fine, lines, first, 4.0))
    hourly = {n: tables["A1H"][n]["r2"] for n in ("lsp", "persistence", "auto")}
    found["r2_one_hour"] = hourly
    days = series["A1D repaired"]
    low = last_third(days)
    ahead = np.full(len(days), np.nan)
    ahead[low:] = model("lsp").rolling(days, low)
    found["daily"] = ahead
    found["daily_accuracy"] = score(days.values[low:], ahead[low:]).accuracy
    return found


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-paper", action="store_true")
    parser.add_argument("--out", type=Path, default=data.ROOT / "docs" / "results")
    options = parser.parse_args()
    series = data.isp()
    tables = {}
    for name, one in series.items():
        tables[name] = accuracy.table(one, accuracy.OURS)
        say(f"{name}: auto {tables[name]['auto']['accuracy']:.2f}")
    published = None if options.no_paper else paper(series, tables, options.out)
    coverage = {n: accuracy.coverage(series[n]) for n in ("A5M", "A1H", "A1H repaired")}
    leak = accuracy.leak()
    running = accuracy.running_day(series["A5M"], series["A1D repaired"])
    jobs = accuracy.philly()
    leads = accuracy.ahead(series["A1H repaired"])
    cost = accuracy.cost(series["A5M"])
    say("sizing")
    days, hours = series["A1D repaired"], series["A1H repaired"]
    lsp_daily = None if published is None else published["daily"]
    daily = sizing.compare(days, lsp_daily)
    hourly = sizing.compare(hours, None, hold=2)
    formula = sizing.seeds(days, sizing.rolled(days, "auto") if lsp_daily is None else lsp_daily)
    figure6 = sizing.figure_6(days, sizing.rolled(days, "auto") if lsp_daily is None else lsp_daily)
    text = tabulate(
        tables, coverage, leads, leak, running, jobs, cost, daily, hourly, formula, figure6, published
    )
    pages.save(options.out, "forecast-tables.md", text)
    draw(options.out, series, formula, figure6)
    a5m, floor = tables["A5M"]["auto"], tables["A5M"]["persistence"]
    chosen = next(v for k, v in daily.items() if k.startswith("conformal, tuned"))
    worst = max(abs(v - float(t)) for levels in coverage.values() for t, v in levels.items())
    bars = {
        "A5M accuracy": bar(a5m["accuracy"], 97.3),
        "A5M MAPE below persistence, per cent": bar(100 * (1 - a5m["mape"] / floor["mape"]), 12.0),
        "A1H accuracy": bar(tables["A1H"]["auto"]["accuracy"], 96.4),
        "A1H repaired accuracy, strict": bar(tables["A1H repaired"]["auto"]["accuracy"], 96.9),
        "A1D repaired accuracy": bar(tables["A1D repaired"]["auto"]["accuracy"], 94.0),
        "A1D re-forecast at noon": bar(running["12:00"], 97.5),
        "one-sided coverage, largest miss in points": bar(100 * worst, None, 2.0),
        "conformal nodes over oracle, tuned on the past": bar(chosen["nodes_over_oracle"], None, 1.12),
        "conformal late work, per cent": bar(chosen["late_percent"], None, 0.0),
        "fit and forecast on A5M, CPU seconds": bar(cost["fit_and_forecast_cpu_s"], None, 1.0),
        "import, CPU seconds": bar(cost["import_cpu_s"], None, 0.5),
    }
    if published is not None:
        bars["LSP on A5M, Figure 5's 97.1"] = bar(tables["A5M"]["lsp"]["accuracy"], 96.9, 97.2)
    report = {
        "benchmark": "forecast",
        "bars": bars,
        "persistence_on_A5M": floor["accuracy"],
        "splits": None if published is None else published["splits"],
        "r2_one_hour": None if published is None else published["r2_one_hour"],
        "coverage": coverage,
        "further_ahead": leads,
        "leak": leak,
        "running_day": running,
        "philly": jobs,
        "cost": cost,
        "sizing_daily": daily,
        "sizing_hourly": hourly,
        "formula_from_three_seeds": formula,
        "accuracy": {s: {m: v["accuracy"] for m, v in t.items()} for s, t in tables.items()},
    }
    print(json.dumps(report))


def tabulate(
    tables: dict[str, Any],
    coverage: dict[str, Any],
    leads: dict[str, Any],
    leak: dict[str, float],
    running: dict[str, float],
    jobs: dict[str, Any],
    cost: dict[str, Any],
    daily: dict[str, Any],
    hourly: dict[str, Any],
    formula: dict[str, Any],
    figure6: dict[str, Any],
    published: dict[str, Any] | None,
) -> str:
    """The page of tables."""
    number, table = pages.number, pages.markdown
    parts = [
        "# Forecasting and sizing: tables\n\nWritten by `python -m benchmarks.forecast`; read them with "
        "[forecast.md](forecast.md).\n",
        "## Accuracy, one step ahead, rolling origin, last third\n",
        pages.accuracy(tables),
    ]
    if published is not None:
        parts.append("## Figure 5's 97.1: accuracy on A5M by split\n")
        parts.append(table(["split", "LSP", "persistence"], [
            [k, number(v["lsp"]), number(v["persistence"])] for k, v in published["splits"].items()
        ]))  # fmt: skip
    parts.append("## One-sided bounds of the default model: share of actuals below, per cent\n")
    levels = ["0.8", "0.9", "0.95"]
    parts.append(table(["series", *levels], [
        [k, *(number(100 * v[t], 1) for t in levels)] for k, v in coverage.items()
    ]))  # fmt: skip
    parts.append("## Further ahead (default model, repaired A1H, every seventh hour of the test)\n")
    parts.append(table(["hours ahead", "100 − MAPE", "below 90 % bound"], [
        [k, number(v["accuracy"]), number(100 * v["coverage_90"], 1)] for k, v in leads.items()
    ]))  # fmt: skip
    parts.append("## What a leak of up to five minutes would have added (ridge, repaired hours)\n")
    parts.append(table(["samples", "100 − MAPE"], [
        ["as recorded, strict", number(leak["strict"])],
        ["interpolated onto the clock beforehand", number(leak["careless"])],
    ]))  # fmt: skip
    parts.append("## The day's total, forecast anew while it runs (repaired A1D)\n")
    parts.append(table(["at", "100 − MAPE"], [[k, number(v)] for k, v in running.items()]))
    parts.append("## Philly job counts\n")
    for name, rows in jobs.items():
        parts.append(f"### {name}\n")
        parts.append(table(["model", "wMAPE", "MASE", "below 90 % bound"], [
            [k, number(v["wmape"], 1), number(v["mase"], 3), number(100 * v["coverage_90"], 1)]
            for k, v in rows.items()
        ]))  # fmt: skip
    parts.append("## Sizing once a day, repaired A1D (17 days)\n")
    parts.append(pages.sizing(daily))
    parts.append("## Sizing every hour, repaired A1H (417 hours, shrinking after two wants)\n")
    parts.append(pages.sizing(hourly))
    parts.append("## The paper's formula from three starting sizes (equation 3, repaired A1D)\n")
    parts.append(pages.sizing(formula))
    parts.append("## Figure 6: work per node and day, in units of what a node can do\n")
    parts.append(table(["allocation", "node-days", "mean", "lowest", "peak"], [
        [k, number(days, 0), number(v["mean"]), number(v["lowest"]), number(v["peak"])]
        for (k, v), days in zip(figure6["rows"].items(), figure6["node_days"].values(), strict=True)
    ]))  # fmt: skip
    parts.append("## Cost\n")
    parts.append(table(["what", "seconds"], [
        ["fit and forecast of the default model on A5M, CPU", number(cost["fit_and_forecast_cpu_s"])],
        ["the same with bounds, CPU", number(cost["with_bounds_cpu_s"])],
        ["import trainmaster.forecasting, CPU", number(cost["import_cpu_s"])],
    ]))  # fmt: skip
    return "\n".join(parts)


def draw(out: Path, series: dict[str, Series], formula: dict[str, Any], figure6: dict[str, Any]) -> None:
    """Charts into `out`."""
    days, hours = series["A1D repaired"], series["A1H repaired"]
    start = float(days.starts(last_third(days)))
    demand = np.asarray(days.values)
    capacity = float(demand[: last_third(days)].max()) / sizing.COVERING
    needed = oracle(demand[last_third(days) :], capacity, SizingLimits(0, sizing.NODES))
    pages.save(
        out,
        "forecast-hours.svg",
        pages.band(hours, backtest(model(), hours), "Bits per hour, one hour ahead", 7),
    )
    pages.save(out, "forecast-figure6.svg", pages.figure_6(figure6, start))
    pages.save(out, "forecast-seeds.svg", pages.seeds(formula, needed, start))


if __name__ == "__main__":
    main()
