"""`trainmaster forecast FILE.csv`: how much work comes, how sure that is, how well it would have done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from trainmaster.forecasting import Backtest, Prediction, Series

STEPS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def forecast(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="CSV: time,value, or value alone, or event times.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="auto, or a model by name (an unknown name lists them).")
    ] = "auto",
    horizon: Annotated[int, typer.Option(min=1, help="Rows to forecast.")] = 24,
    backtest: Annotated[
        str | None, typer.Option(help="Also test on the past: last-third, or a number of last rows.")
    ] = None,
    level: Annotated[float, typer.Option(help="Share of actuals meant to stay below the upper bound.")] = 0.9,
    step: Annotated[
        str | None, typer.Option(help="Length of a row, such as 5min, 305.2s, 1h, 1d; read from the times.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Start of the first row (ISO 8601), for files without times.")
    ] = None,
    zone: Annotated[str, typer.Option(help="Time zone whose days and weeks count.")] = "UTC",
    events: Annotated[bool, typer.Option("--events", help="The file holds epoch seconds of events.")] = False,
    duplicates: Annotated[str, typer.Option(help="Rows of one moment: error, sum, mean or last.")] = "error",
    holidays: Annotated[
        Path | None, typer.Option(help="File with one holiday (YYYY-MM-DD) per line; they count as Sundays.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Write an SVG chart here.")] = None,
    live: Annotated[
        bool, typer.Option("--live", help="The volume of the running service, and the nodes it calls for.")
    ] = False,
    apply: Annotated[
        bool | None,
        typer.Option("--apply/--advise", help="With --live: drain and wake nodes by it, or only show it."),
    ] = None,
) -> None:
    """Forecast a series from a CSV file, with bounds, and test the forecast on the past; or, with --live, the
    service's own volume.
    """
    if live:
        from trainmaster.cli.forecast_live import show

        show(context, horizon, apply, json_)
        return
    if file is None or apply is not None:
        wrong = "--apply and --advise need --live" if file is not None else "name a file, or use --live"
        typer.echo(f"error: {wrong}", err=True)
        raise typer.Exit(2)
    # numpy and the models load only here: the command line must start fast.
    import json

    from trainmaster.forecasting import ForecastError, predict
    from trainmaster.forecasting import backtest as run_backtest
    from trainmaster.forecasting import model as named

    try:
        series = _load(file, step, start, zone, events, duplicates, holidays)
        chosen = named(model)
        first = _first(backtest, len(series))
        tested = None if backtest is None else run_backtest(chosen, series, first, level)
        coming = predict(series, horizon, chosen, level)
    except (ForecastError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    if plot is not None:
        plot.write_text(_chart(series, coming, tested), encoding="utf-8")
    report = _report(series, coming, tested, model)
    typer.echo(json.dumps(report, indent=2) if json_ else _text(report, coming))


def _load(
    file: Path,
    step: str | None,
    start: str | None,
    zone: str,
    moments: bool,
    duplicates: str,
    holidays: Path | None,
) -> Series:
    from trainmaster.forecasting import events, table

    with file.open(newline="", encoding="utf-8-sig") as lines:
        columns = table.read(lines, zone, moments=moments)
    return table.to_series(
        columns,
        zone=zone,
        step_s=None if step is None else seconds(step),
        start_s=0.0 if start is None else events.epoch_seconds([_moment(start)], zone)[0],
        duplicates=duplicates,  # type: ignore[arg-type]  # checked by to_series
        holidays=frozenset() if holidays is None else _dates(holidays),
    )


def seconds(text: str) -> float:
    """A duration such as 5min, 305.2s, 1h or 1d in seconds; raises BadParameter."""
    from trainmaster.forecasting.errors import BadParameter

    number = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = text[len(number) :].strip() or "s"
    try:
        length = float(number) * STEPS[unit]
    except (ValueError, KeyError) as error:
        raise BadParameter("step", text, "a number with s, min, h or d, such as 5min") from error
    if not length > 0:
        raise BadParameter("step", text, "longer than 0 s")
    return length


def _moment(text: str) -> Any:
    from datetime import datetime

    from trainmaster.forecasting.errors import BadParameter

    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise BadParameter("start", text, "an ISO 8601 time, such as 2026-03-01T00:00") from error


def _dates(file: Path) -> frozenset[Any]:
    from datetime import date

    from trainmaster.forecasting.errors import BadRow

    days = set()
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        text = line.split("#")[0].strip()
        if not text:
            continue
        try:
            days.add(date.fromisoformat(text))
        except ValueError as error:
            raise BadRow(number, text, "a date such as 2026-12-25") from error
    return frozenset(days)


def _first(backtest: str | None, rows: int) -> int | None:
    """First test row; None for the last third."""
    from trainmaster.forecasting.errors import BadParameter

    if backtest is None or backtest == "last-third":
        return None
    if not backtest.isdigit() or not 0 < int(backtest) < rows:
        raise BadParameter("backtest", backtest, f"last-third, or a number of rows from 1 to {rows - 1}")
    return rows - int(backtest)


def _report(series: Series, coming: Prediction, tested: Backtest | None, asked: str) -> dict[str, Any]:
    report: dict[str, Any] = {
        "model": {"asked": asked, "used": coming.model},
        "series": {
            "rows": len(series),
            "gaps": int((series.values != series.values).sum()),
            "step_s": series.step_s,
            "start": _iso(float(series.starts(0)), series.zone),
            "end": _iso(series.end_s, series.zone),
            "zone": series.zone,
        },
        "level": coming.tau,
        "forecast": [
            {"start": _iso(float(t), series.zone), "point": _plain(p), "lower": _plain(a), "upper": _plain(b)}
            for t, p, a, b in zip(coming.starts, coming.point, coming.lower, coming.upper, strict=True)
        ],
        "backtest": None,
    }
    if tested is not None:
        from trainmaster.forecasting import backtest, model

        floor = backtest(model("persistence"), series, tested.first, tested.tau)
        report["backtest"] = {
            "first_row": tested.first,
            **_measures(tested),
            "coverage": _plain(tested.coverage),
            "persistence": _measures(floor),
        }
    return report


def _measures(tested: Backtest) -> dict[str, float | int | None]:
    numbers: dict[str, float | int | None] = {k: _plain(v) for k, v in tested.accuracy.as_dict().items()}
    return {**numbers, "rows": tested.accuracy.rows}


def _plain(value: float) -> float | None:
    """A JSON number; null for NaN, which JSON does not have."""
    number = float(value)
    return number if number == number and abs(number) != float("inf") else None


def _iso(moment: float, zone: str) -> str:
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    return datetime.fromtimestamp(round(moment), UTC).astimezone(ZoneInfo(zone)).isoformat()


def _text(report: dict[str, Any], coming: Prediction) -> str:
    from trainmaster.forecasting.svg import short

    series, used = report["series"], report["model"]["used"]
    lines = [
        f"{series['rows']} {'row' if series['rows'] == 1 else 'rows'} of {series['step_s']:g} s, "
        f"{series['gaps']} missing, "
        f"{series['start']} to {series['end']}; model: {used}",
        f"{'start':<28}{'forecast':>12}{'lower':>12}{'upper':>12}",
    ]
    for row in report["forecast"]:
        cells = "".join(
            f"{'-' if row[k] is None else short(row[k]):>12}" for k in ("point", "lower", "upper")
        )
        lines.append(f"{row['start']:<28}{cells}")
    tested = report["backtest"]
    if tested:
        floor = tested["persistence"]
        lines.append("")
        lines.append(
            f"{'one step, rows: ' + str(tested['rows']):<28}{report['model']['asked']:>12}{'persistence':>12}"
        )
        for key, label in (("mape", "MAPE %"), ("wmape", "wMAPE %"), ("mase", "MASE"), ("r2", "R²")):
            cells = "".join(
                f"{'-' if m[key] is None else format(m[key], '.3f'):>12}" for m in (tested, floor)
            )
            lines.append(f"{label:<28}{cells}")
        share = "-" if tested["coverage"] is None else f"{100 * tested['coverage']:.1f} %"
        lines.append(f"{f'below the upper bound (asked {100 * coming.tau:g} %)':<40}{share:>12}")
    return "\n".join(lines)


def _chart(series: Series, coming: Prediction, tested: Backtest | None) -> str:
    import numpy as np

    from trainmaster.forecasting.svg import Band, Line, chart

    shown = min(len(series), max(3 * coming.point.size, 168))
    past = np.atleast_1d(series.starts(np.arange(len(series) - shown, len(series))))
    lines = [Line("observed", past, series.values[-shown:]), Line("forecast", coming.starts, coming.point)]
    if tested is not None:
        rows = np.arange(max(tested.first, len(series) - shown), len(series))
        lines.append(
            Line(
                "forecast in the test",
                np.atleast_1d(series.starts(rows)),
                tested.forecast[rows - tested.first],
                True,
            )
        )
    band = Band(f"one-sided {100 * coming.tau:g} % bounds", coming.starts, coming.lower, coming.upper)
    return chart(f"Forecast by {coming.model}", lines, [band], zone=series.zone)
