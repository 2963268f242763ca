"""A training of a profiled application."""

from __future__ import annotations

from collections.abc import Mapping

from trainmaster.policies.base import Foreknowledge
from trainmaster.simulator.profiles import Application, compact, local_batch
from trainmaster.simulator.training import Crew

STEPS = "steps"  # known rates are optimizer steps per second, `remaining` the steps still to make
GOODPUT = "goodput"  # known rates are base-batch steps per second: speed times statistical efficiency
_CANDIDATES = 12  # batches tried where the batch adapts


class Profiled:
    """Trains an application to the end of its last epoch; progress is in steps of the base batch.

    `batch`: the total batch, whatever the number of workers; None lets it follow the workers, always the one
    of the greatest goodput (Pollux, section 3.2), with the true curves. `tells`: what `known` speaks of;
    `remaining`: it also says how much is left.
    """

    def __init__(
        self, app: Application, batch: int | None, tells: str = GOODPUT, remaining: bool = True
    ) -> None:
        self._app, self._batch, self._tells, self._tells_rest = app, batch, tells, remaining
        self._done = 0.0
        self.epoch = 0
        self._crew = Crew((1,))
        self._rate: float | None = None
        self._rates: dict[int, tuple[float, ...]] = {}

    resumes = True

    @property
    def done(self) -> float:
        return self._done

    def crew(self, crew: Crew) -> None:
        self._crew, self._rate = crew, None

    def rate(self) -> float:
        if self._rate is None:
            goodput, _ = best(self._app, self._crew.shape, self.epoch, self._batch)
            self._rate = goodput * self._crew.pace
        return self._rate

    def ahead(self) -> float:
        return float(self._app.ends[self.epoch]) - self._done

    def advance(self, progress: float) -> None:
        self._done += progress
        if self._done >= self._app.ends[self.epoch] * (1 - 1e-12):
            self._done = float(self._app.ends[self.epoch])
            self.epoch += 1
            self._rate = None

    def back_to(self, done: float) -> None:
        self._done = done
        while self.epoch and self._app.ends[self.epoch - 1] > done:
            self.epoch -= 1
        self._rate = None

    @property
    def over(self) -> bool:
        return self.epoch >= self._app.epochs

    def metrics(self) -> Mapping[str, float]:
        batch = self._batch if self._batch is not None else self._app.base
        metric = self._app.metric(batch, self.epoch)
        found = {"epoch": float(self.epoch)}
        return found if metric is None else {**found, "metric": metric}

    def known(self, most: int) -> Foreknowledge | None:
        app, batch, epoch = self._app, self._batch, min(self.epoch, self._app.epochs - 1)
        if self._tells == STEPS:
            if batch is None:
                return None
            rates = _step_rates(app, batch, most)
            left = app.steps_after(batch, app.epochs - 1) - app.steps_after(batch, epoch)
            return Foreknowledge(rates, max(left, 1.0) if self._tells_rest else None)
        rates = goodputs(app, epoch, batch, most)
        return Foreknowledge(rates, float(app.ends[-1]) - self._done if self._tells_rest else None)


def best(app: Application, shape: tuple[int, ...], epoch: int, batch: int | None) -> tuple[float, int]:
    """(goodput in base-batch steps per second, total batch) on a placement in an epoch."""
    cache: dict[object, tuple[float, int]] = app.__dict__.setdefault("_best_goodputs", {})
    key = (shape, epoch, batch)
    found = cache.get(key)
    if found is None:
        tries = [batch] if batch is not None else _batches(app, sum(shape))
        found = cache[key] = max((_goodput(app, shape, epoch, b), b) for b in tries)
    return found


def _goodput(app: Application, shape: tuple[int, ...], epoch: int, batch: int) -> float:
    workers = sum(shape)
    atomic, extra = local_batch(app, batch, workers)
    step, sync = app.step_s(shape, atomic)
    seconds = step + (step - sync) * extra
    return app.efficiency(workers * atomic * (extra + 1), epoch) / seconds


def _batches(app: Application, workers: int) -> list[int]:
    """Candidates from the smallest the workers can share to the largest validated, in equal ratios."""
    low = max(app.base, app.least_local * workers)
    if low >= app.most_batch:
        return [app.most_batch - app.most_batch % workers]
    ratio = (app.most_batch / low) ** (1 / (_CANDIDATES - 1))
    wanted = {-(-round(low * ratio**k) // workers) * workers for k in range(_CANDIDATES)}
    return sorted(batch for batch in wanted if low <= batch <= app.most_batch) or [low]


def goodputs(app: Application, epoch: int, batch: int | None, most: int) -> tuple[float, ...]:
    """Goodput with 1..most workers, compactly placed on nodes of 4."""
    most = min(most, most_workers(app, batch))
    return tuple(best(app, compact(w), epoch, batch)[0] for w in range(1, most + 1))


def most_workers(app: Application, batch: int | None) -> int:
    """More than this would leave a worker less than the application's smallest share of a batch."""
    return max((batch or app.most_batch) // app.least_local, 1)


def _step_rates(app: Application, batch: int, most: int) -> tuple[float, ...]:
    cache: dict[object, tuple[float, ...]] = app.__dict__.setdefault("_step_rates", {})
    found = cache.get((batch, most))
    if found is None:
        rates = []
        for workers in range(1, most + 1):
            atomic, extra = local_batch(app, batch, workers)
            step, sync = app.step_s(compact(workers), atomic)
            rates.append(1 / (step + (step - sync) * extra))
        found = cache[(batch, most)] = tuple(rates)
    return found
