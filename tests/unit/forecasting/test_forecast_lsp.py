"""LSP as published: the mixture, its halves, and what happens without their packages."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from demand_series import weekly
from numpy.testing import assert_allclose, assert_array_equal

from trainmaster.forecasting import Series, model
from trainmaster.forecasting.errors import BadParameter, MissingExtra, TooShort
from trainmaster.forecasting.leakage import check_causal


def test_lsp_mixes_six_tenths_gru_with_four_tenths_arima() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("statsmodels")
    from trainmaster.forecasting.models.arima import Arima
    from trainmaster.forecasting.models.gru import Gru
    from trainmaster.forecasting.models.lsp import Lsp

    series = weekly(24 * 28)
    gru, arima = Gru(epochs=2), Arima(order=(1, 0, 0))
    first = 24 * 27
    mixed = Lsp(gru=gru, arima=arima)
    assert mixed.alpha == 0.6
    assert_allclose(
        mixed.rolling(series, first), 0.6 * gru.rolling(series, first) + 0.4 * arima.rolling(series, first)
    )
    assert_allclose(
        mixed.forecast(series, 3), 0.6 * gru.forecast(series, 3) + 0.4 * arima.forecast(series, 3)
    )
    with pytest.raises(BadParameter, match="alpha"):
        Lsp(alpha=1.5)


def test_the_gru_learns_a_clear_shape_and_repeats_itself() -> None:
    pytest.importorskip("torch")
    from trainmaster.forecasting.models.gru import Gru

    rows = 600
    series = Series(100 + 30 * np.sin(np.arange(rows) / 4))
    gru = Gru(epochs=30)
    found = gru.rolling(series, 500)
    assert np.mean(np.abs(found / series.values[500:] - 1)) < 0.03
    assert_array_equal(found, gru.rolling(series, 500))
    assert not np.array_equal(found, Gru(epochs=30, seed=1).rolling(series, 500))
    assert gru.forecast(series, 5).shape == (5,)
    with pytest.raises(TooShort):
        gru.forecast(Series(np.ones(10)), 1)


def test_the_gru_leaves_the_global_generator_alone() -> None:
    torch = pytest.importorskip("torch")
    from trainmaster.forecasting.models.gru import Gru

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Gru(epochs=1).forecast(weekly(100), 1)
    assert torch.equal(torch.rand(3), expected)


def test_arima_reads_previous_weeks_by_the_clock() -> None:
    pytest.importorskip("statsmodels")
    from trainmaster.forecasting.models.arima import Arima

    series = weekly(24 * 7 * 5, noise=0.02)
    truth = weekly(24 * 7 * 5 + 24 * 8, noise=0.0).values[-24 * 8 :]
    found = Arima().forecast(series, 24 * 8)
    assert np.mean(np.abs(found / truth - 1)) < 0.04
    plain = Arima(season="none").rolling(series, 24 * 30)
    seasonal = Arima().rolling(series, 24 * 30)
    actual = series.values[24 * 30 :]
    assert np.abs(seasonal - actual).mean() < np.abs(plain - actual).mean()
    with pytest.raises(TooShort):
        Arima().forecast(Series(np.ones(5)), 1)


def test_neither_half_looks_ahead() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("statsmodels")
    from trainmaster.forecasting.models.arima import Arima
    from trainmaster.forecasting.models.gru import Gru

    series = weekly(24 * 23)
    assert check_causal(Gru(epochs=1), series, [24 * 22, 24 * 23 - 1]) == 2
    assert check_causal(Arima(), series, [24 * 22]) == 1


@pytest.mark.parametrize(("name", "package"), [("gru", "torch"), ("arima", "statsmodels")])
def test_a_missing_package_is_named_with_its_extra(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = package if package == "torch" else "statsmodels.tsa.arima.model"
    monkeypatch.setitem(sys.modules, blocked, None)
    with pytest.raises(MissingExtra, match=r"trainmaster\[forecast\]") as caught:
        model(name).forecast(weekly(100), 1)
    assert caught.value.package == package
