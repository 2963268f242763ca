"""The short-term half of LSP: a gated recurrent unit over the last seven values (needs torch)."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting import gaps
from trainmaster.forecasting.errors import MissingExtra, TooShort
from trainmaster.forecasting.models.base import check_horizon, log_offset, replay, volumes
from trainmaster.forecasting.series import Series

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gru:
    """A GRU that reads the last `window` values and predicts the next (RLPTO, section IV.A, equation 1).

    The paper fixes the window (seven) and nothing else. Ours: one layer of `hidden` units and a linear
    head on standardised logs, squared error, Adam with a cosine rate from `rate` to 0.

    refit_rows  how often `rolling` trains anew; None trains once, on the rows before the first forecast
    seed        of the initial weights and of the order of batches; one seed, one result on one machine

    Cost: O(rows · epochs); about ten seconds for ten thousand rows on one core. Raises MissingExtra
    without torch, TooShort below three windows of values.
    """

    window: int = 7
    hidden: int = 32
    epochs: int = 40
    batch: int = 256
    rate: float = 0.01
    seed: int = 0
    refit_rows: int | None = None
    max_rows: int = 20000

    @property
    def name(self) -> str:
        return "gru"

    def forecast(self, history: Series, horizon: int) -> FloatArray:
        check_horizon(horizon)
        history = history.tail(self.max_rows)
        offset = log_offset(history.values)
        logs = np.log(gaps.fill(history) + offset)
        net = self._train(logs)
        path = list(logs[-self.window :])
        for _ in range(horizon):
            path.append(float(net.next(np.array(path[-self.window :])[None])[0]))
        return volumes(np.array(path[self.window :]), offset)

    def rolling(self, series: Series, first: int) -> FloatArray:
        if series.known is not None and self.refit_rows is not None:
            return replay(self, series, first)
        out = np.full(max(len(series) - first, 0), np.nan)
        if out.size == 0 or not np.isfinite(series.values[:first]).any():
            return out
        offset = log_offset(series.until(first).values)
        logs = np.log(gaps.fill(series) + offset)
        fresh = logs if series.known is None else np.log(gaps.fill(series.with_values(series.known)) + offset)
        every = self.refit_rows or len(series)
        for low in range(max(first, 1), len(series), every):
            high = min(low + every, len(series))
            known = np.concatenate([logs[: low - 1], fresh[low - 1 : low]])
            try:
                net = self._train(known[-self.max_rows :])
            except TooShort:
                continue
            views = np.lib.stride_tricks.sliding_window_view(logs, self.window)
            inputs = np.array(views[low - self.window : high - self.window])
            inputs[:, -1] = fresh[low - 1 : high - 1]
            out[low - first : high - first] = volumes(net.next(inputs), offset)
        return out

    def _train(self, logs: FloatArray) -> _Net:
        if logs.size < 3 * self.window:
            raise TooShort(self.name, logs.size, 3 * self.window)
        torch = _torch()
        centre, scale = float(logs.mean()), max(float(logs.std()), 1e-6)
        scaled = (logs - centre) / scale
        views = np.lib.stride_tricks.sliding_window_view(scaled, self.window + 1)
        data = torch.from_numpy(np.ascontiguousarray(views, dtype=np.float32))
        shuffler = torch.Generator().manual_seed(self.seed)
        with torch.random.fork_rng(devices=[]):  # leave the caller's generator as it was
            torch.manual_seed(self.seed)
            cell = torch.nn.GRU(1, self.hidden, batch_first=True)
            head = torch.nn.Linear(self.hidden, 1)
        weights = [*cell.parameters(), *head.parameters()]
        adam = torch.optim.Adam(weights, lr=self.rate)
        steps = self.epochs * -(-len(data) // self.batch)
        plan = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
        for _ in range(self.epochs):
            order = torch.randperm(len(data), generator=shuffler)
            for low in range(0, len(data), self.batch):
                part = data[order[low : low + self.batch]]
                states, _ = cell(part[:, :-1, None])
                loss = torch.mean((head(states[:, -1])[:, 0] - part[:, -1]) ** 2)
                adam.zero_grad()
                loss.backward()
                adam.step()
                plan.step()
        return _Net(torch, cell, head, centre, scale)


@dataclass(frozen=True, slots=True)
class _Net:
    """A trained GRU with its standardisation."""

    torch: ModuleType
    cell: Any
    head: Any
    centre: float
    scale: float

    def next(self, windows: FloatArray) -> FloatArray:
        """Next log value after each window of logs, float64[m, window] -> float64[m]."""
        torch = self.torch
        with torch.no_grad():
            scaled = torch.from_numpy(((windows - self.centre) / self.scale).astype(np.float32))
            states, _ = self.cell(scaled[:, :, None])
            out = self.head(states[:, -1])[:, 0].numpy().astype(np.float64)
        found: FloatArray = out * self.scale + self.centre
        return found


def _torch() -> ModuleType:
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("gru", "torch") from error
    return torch
