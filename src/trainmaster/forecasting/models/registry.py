"""Models by name."""

from __future__ import annotations

from collections.abc import Callable

from trainmaster.forecasting.errors import UnknownModel
from trainmaster.forecasting.models.base import Model
from trainmaster.forecasting.models.combine import Auto, Mean, Stack
from trainmaster.forecasting.models.naive import Persistence, SeasonalNaive
from trainmaster.forecasting.models.ridge import Ridge
from trainmaster.forecasting.models.smoothing import Smoothing
from trainmaster.forecasting.models.theta import Theta
from trainmaster.forecasting.models.weekly_median import WeeklyMedian

DEFAULT = "auto"


def members() -> tuple[Model, ...]:
    """The models that `mean`, `stack` and `auto` combine, the strongest on long series first."""
    return (Ridge(), WeeklyMedian(), Theta(), Smoothing())


def floors() -> tuple[Model, ...]:
    """The models that need no fitting."""
    return (Persistence(), SeasonalNaive())


def _lsp() -> Model:
    from trainmaster.forecasting.models.lsp import Lsp  # needs torch and statsmodels: only when chosen

    return Lsp()


def _gru() -> Model:
    from trainmaster.forecasting.models.gru import Gru

    return Gru()


def _arima() -> Model:
    from trainmaster.forecasting.models.arima import Arima

    return Arima()


_MAKERS: dict[str, Callable[[], Model]] = {
    "auto": lambda: Auto(members(), floors()),
    "mean": lambda: Mean(members()),
    "stack": lambda: Stack(members()),
    "ridge": Ridge,
    "weekly_median": WeeklyMedian,
    "theta": Theta,
    "smoothing": Smoothing,
    "seasonal_naive": SeasonalNaive,
    "persistence": Persistence,
    "lsp": _lsp,
    "gru": _gru,
    "arima": _arima,
}


def names() -> tuple[str, ...]:
    """Names of all models, the default first."""
    return tuple(_MAKERS)


def model(name: str = DEFAULT) -> Model:
    """The model called `name` with its default settings; raises UnknownModel."""
    if name not in _MAKERS:
        raise UnknownModel(name, names())
    return _MAKERS[name]()
