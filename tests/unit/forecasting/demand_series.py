"""Series for tests: the real ones where the data is at hand, and a made one with a known shape."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from trainmaster.forecasting import Series

ROOT = Path(__file__).resolve().parents[3]
A5M_START = datetime(2005, 6, 7, 6, 57, tzinfo=UTC).timestamp()
A5M_LAST = datetime(2005, 7, 29, 11, 17, tzinfo=UTC).timestamp()
"""True starts of the first and the last sample: the published spacing of 300 s is wrong (see its README)."""


def data_folder() -> Path:
    """Where the demand series lie; skips the test that asks when they do not."""
    base = Path(os.environ.get("TRAINMASTER_TEST_DATA", ROOT.parent / "shared" / "data"))
    for folder in (base / "forecast", base, ROOT.parent.parent / "shared" / "data" / "forecast"):
        if (folder / "A5M.csv").exists():
            return folder
    pytest.skip(
        "the demand series are missing: set TRAINMASTER_TEST_DATA to the folder that holds forecast/A5M.csv"
    )


def column(name: str) -> np.ndarray:
    return np.loadtxt(data_folder() / name, delimiter=",", skiprows=1, usecols=1)


def isp() -> Series:
    """The ISP's five-minute traffic at its true spacing of 305.2 s."""
    values = column("A5M.csv")
    return Series(values, (A5M_LAST - A5M_START) / (values.size - 1), A5M_START)


def weekly(rows: int, step_s: float = 3600.0, seed: int = 0, noise: float = 0.05, **kwargs: object) -> Series:
    """Volume with a daily and a weekly shape and multiplicative noise, starting on Monday 2024-01-01 UTC."""
    start = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
    hours = np.arange(rows) * step_s / 3600.0
    shape = 100 + 50 * np.sin(2 * np.pi * (hours % 24) / 24) - 40 * ((hours // 24) % 7 >= 5)
    values = shape * np.exp(noise * np.random.default_rng(seed).standard_normal(rows))
    return Series(values, step_s, start, **kwargs)  # type: ignore[arg-type]
