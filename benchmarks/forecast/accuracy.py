"""Accuracy, coverage and cost of the models, one step ahead, rolling origin, last third."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks.forecast import data
from trainmaster.forecasting import Series, backtest, last_third, model, predict, reforecast, score
from trainmaster.forecasting.metrics import naive_scale
from trainmaster.forecasting.models.ridge import Ridge
from trainmaster.forecasting.series import rows_ended

OURS = (
    "persistence", "seasonal_naive", "weekly_median", "theta", "smoothing", "ridge", "mean", "stack", "auto"
)  # fmt: skip
PAPER = ("gru", "arima", "lsp")


def table(series: Series, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Measures of each model on the last third, with CPU seconds of the whole back-test."""
    out = {}
    for name in names:
        began = time.process_time()
        found = backtest(model(name), series)
        cost = time.process_time() - began
        out[name] = {**found.accuracy.as_dict(), "coverage_90": found.coverage, "cpu_s": cost}
    return out


def splits(series: Series, forecasts: dict[str, np.ndarray], first: int) -> dict[str, dict[str, float]]:
    """Accuracy (100 − MAPE) on the last third, fifth and tenth, from forecasts of rows first.. ."""
    out: dict[str, dict[str, float]] = {}
    for label, share in (("last third", 1 / 3), ("last 20 %", 0.2), ("last 10 %", 0.1)):
        low = len(series) - int(len(series) * share)
        out[label] = {n: score(series.values[low:], f[low - first :]).accuracy for n, f in forecasts.items()}
    return out


def coverage(series: Series) -> dict[str, float]:
    """Share of actuals below the one-sided bound of the default model, per level."""
    return {str(tau): backtest(model(), series, tau=tau).coverage for tau in (0.8, 0.9, 0.95)}


def leak() -> dict[str, float]:
    """The ridge on clock hours: strict, and flattered by samples interpolated beforehand."""
    strict, careless = data.isp()["A1H repaired"], data.careless_hours()
    return {
        "strict": backtest(Ridge(), strict).accuracy.accuracy,
        "careless": backtest(Ridge(), careless).accuracy.accuracy,
    }


def running_day(fine: Series, days: Series) -> dict[str, float]:
    """Accuracy of the day's total forecast anew at each hour of the day, over the last third."""
    first = last_third(days)
    out = {}
    for hour in (0, 6, 9, 12, 15, 18):
        found = []
        for day in range(first, len(days)):
            now = float(days.starts(day)) + hour * 3600
            found.append(reforecast(fine.until(rows_ended(fine, now)), now).total)
        out[f"{hour:02}:00"] = score(days.values[first:], np.array(found)).accuracy
    return out


def ahead(series: Series, horizon: int = 24, every: int = 7) -> dict[str, dict[str, float]]:
    """Accuracy and coverage of `predict` further ahead, by lead, from every `every`-th test row."""
    points, uppers, actuals = [], [], []
    for origin in range(last_third(series), len(series) - horizon, every):
        found = predict(series.until(origin), horizon)
        points.append(found.point)
        uppers.append(found.upper)
        actuals.append(series.values[origin : origin + horizon])
    point, upper, actual = np.array(points), np.array(uppers), np.array(actuals)
    out = {}
    for low, high in ((0, 1), (1, 6), (6, 12), (12, horizon)):
        p, u, a = (table[:, low:high].ravel() for table in (point, upper, actual))
        out[f"{low + 1}–{high}" if high - low > 1 else str(high)] = {
            "accuracy": score(a, p).accuracy,
            "coverage_90": float(np.mean(a <= u)),
        }
    return out


def philly() -> dict[str, Any]:
    """wMAPE and MASE of job counts beside persistence: nothing is promised on them."""
    out: dict[str, Any] = {}
    for name, series in data.philly().items():
        first = last_third(series)
        season = 7 if series.civil else 24
        scale = naive_scale(series.values[:first], season)
        rows = {}
        for which in ("persistence", "seasonal_naive", "weekly_median", "ridge", "mean", "auto"):
            found = backtest(model(which), series)
            again = score(found.actual, found.forecast, scale)
            rows[which] = {"wmape": again.wmape, "mase": again.mase, "coverage_90": found.coverage}
        out[name] = rows
    return out


def cost(fine: Series) -> dict[str, Any]:
    """CPU seconds of fit plus forecast of the default model, and of the import, in a fresh process."""
    model().forecast(fine, 1)  # warm caches of the zone tables and of the linear algebra
    began = time.process_time()
    model().forecast(fine, 1)
    once = time.process_time() - began
    began = time.process_time()
    predict(fine, 1)
    bounds = time.process_time() - began
    code = (
        "import time, sys; a = time.process_time(); w = time.perf_counter(); "
        "import trainmaster.forecasting; "
        "print(time.process_time() - a, time.perf_counter() - w, "
        "int(bool({'torch', 'statsmodels', 'scipy', 'pandas'} & set(sys.modules))))"
    )
    rounds = [
        [float(x) for x in subprocess.check_output([sys.executable, "-c", code], text=True).split()]
        for _ in range(3)
    ]
    return {
        "fit_and_forecast_cpu_s": once,
        "with_bounds_cpu_s": bounds,
        "import_cpu_s": min(r[0] for r in rounds),
        "import_wall_s": min(r[1] for r in rounds),
        "heavy_modules_loaded": bool(rounds[0][2]),
    }
