"""Fixtures of the forecasting tests."""

from __future__ import annotations

import pytest
from demand_series import isp, weekly

from trainmaster.forecasting import Series


@pytest.fixture(scope="session")
def a5m() -> Series:
    return isp()


@pytest.fixture
def hourly() -> Series:
    return weekly(24 * 7 * 5)
