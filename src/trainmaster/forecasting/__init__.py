"""Task-volume forecasting: how much work comes, and how sure that is.

Everything here is pure and needs numpy only; the models `lsp`, `gru` and `arima` of the RLPTO paper load
torch and statsmodels when they are chosen.
"""

from trainmaster.forecasting.backtest import Backtest, backtest, last_third
from trainmaster.forecasting.conformal import Conformal
from trainmaster.forecasting.errors import ForecastError
from trainmaster.forecasting.events import count
from trainmaster.forecasting.intraday import Intraday, reforecast
from trainmaster.forecasting.metrics import Accuracy, score
from trainmaster.forecasting.models.base import Model
from trainmaster.forecasting.models.registry import model, names
from trainmaster.forecasting.predict import Prediction, predict
from trainmaster.forecasting.resample import on_clock
from trainmaster.forecasting.series import Series, group

__all__ = [
    "Accuracy",
    "Backtest",
    "Conformal",
    "ForecastError",
    "Intraday",
    "Model",
    "Prediction",
    "Series",
    "backtest",
    "count",
    "group",
    "last_third",
    "model",
    "names",
    "on_clock",
    "predict",
    "reforecast",
    "score",
]
