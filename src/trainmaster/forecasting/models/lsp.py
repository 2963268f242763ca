"""LSP, the forecast of the RLPTO paper: long- and short-period task-volume prediction."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting.errors import BadParameter
from trainmaster.forecasting.models.arima import Arima
from trainmaster.forecasting.models.gru import Gru
from trainmaster.forecasting.series import Series

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lsp:
    """y = α · GRU(last seven values) + (1 − α) · ARIMA(previous weeks), RLPTO equation 1, α = 0.6.

    α near 0 leans on the long term, near 1 on the short term. Raises BadParameter for α outside [0, 1],
    MissingExtra without torch and statsmodels.
    """

    alpha: float = 0.6
    gru: Gru = field(default_factory=Gru)
    arima: Arima = field(default_factory=Arima)

    def __post_init__(self) -> None:
        if not 0.0 <= self.alpha <= 1.0:
            raise BadParameter("alpha", self.alpha, "from 0 to 1")

    @property
    def name(self) -> str:
        return "lsp"

    def forecast(self, history: Series, horizon: int) -> FloatArray:
        short = self.gru.forecast(history, horizon)
        long = self.arima.forecast(history, horizon)
        return self.alpha * short + (1 - self.alpha) * long

    def rolling(self, series: Series, first: int) -> FloatArray:
        short = self.gru.rolling(series, first)
        long = self.arima.rolling(series, first)
        return self.alpha * short + (1 - self.alpha) * long
