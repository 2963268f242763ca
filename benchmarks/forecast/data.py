"""The series measured on, and where they come from (their README names sources and licences)."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from trainmaster.forecasting import Series, group, on_clock

ROOT = Path(__file__).resolve().parents[2]
A5M_START = datetime(2005, 6, 7, 6, 57, tzinfo=UTC).timestamp()
A5M_LAST = datetime(2005, 7, 29, 11, 17, tzinfo=UTC).timestamp()
DAY = 86400.0


def folder() -> Path:
    """The folder with the series; raises FileNotFoundError naming the remedy."""
    candidates = [Path(os.environ["TRAINMASTER_TEST_DATA"])] if "TRAINMASTER_TEST_DATA" in os.environ else []
    candidates += [ROOT.parent / "shared" / "data", ROOT.parent.parent / "shared" / "data"]
    for base in candidates:
        for place in (base / "forecast", base):
            if (place / "A5M.csv").exists():
                return place
    raise FileNotFoundError("no demand series: let TRAINMASTER_TEST_DATA be the folder with forecast/A5M.csv")


def column(name: str) -> np.ndarray:
    return np.loadtxt(folder() / name, delimiter=",", skiprows=1, usecols=1)


def a5m() -> Series:
    """Five-minute traffic at its true spacing: first sample 7 June 06:57, last 29 July 11:17 (local)."""
    values = column("A5M.csv")
    return Series(values, (A5M_LAST - A5M_START) / (values.size - 1), A5M_START)


def isp() -> dict[str, Series]:
    """The series of the RLPTO paper and their repaired forms, by name."""
    fine = a5m()
    hourly = group(fine, 12)
    return {
        "A5M": fine,
        "A1H": hourly,
        "A1H repaired": on_clock(fine, 3600.0),
        "A1D": group(hourly.with_values(hourly.values), 24),
        "A1D repaired": on_clock(fine, DAY, civil=True),
    }


def careless_hours() -> Series:
    """Clock hours over five-minute rows that had been interpolated onto the clock: leaks up to 5 minutes."""
    fine = Series(column("A5M_clock.csv"), 300.0, datetime(2005, 6, 7, 7, tzinfo=UTC).timestamp())
    return group(fine, 12)


def philly() -> dict[str, Series]:
    """Job submissions of the Philly cluster per hour and per day (3 October to 14 December 2017)."""
    values = column("philly_jobs_hourly.csv")
    start = datetime(2017, 10, 3, tzinfo=UTC).timestamp()
    hours = Series(values, 3600.0, start)
    days = Series(values.reshape(-1, 24).sum(axis=1), DAY, start, civil=True)
    return {"Philly jobs per hour": hours, "Philly jobs per day": days}
