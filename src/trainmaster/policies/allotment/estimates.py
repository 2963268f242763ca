"""What policies make of a claim: seconds per unit of progress by worker count, and how much is left."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trainmaster.domain.learned import Point, Speed
from trainmaster.policies.base import Claim
from trainmaster.policies.histories import Remembering

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[Any]

_REMEMBERED = 4096  # fits; each is a function of what was measured alone, and most is known from before

_AMDAHL = 0.1  # serial share taken for a task nothing was measured of


def log_speeds(claim: Claim) -> tuple[float, ...]:
    """log(1 / seconds) of each of `seconds_each`."""
    return _LOGS(seconds_each(claim))


def seconds_each(claim: Claim) -> tuple[float, ...]:
    """Seconds per unit of progress with 1..most workers: known, else fitted to what was measured."""
    if claim.known is not None:
        return _INVERSES(claim.known.rates)
    return fitted_seconds(claim)


def fitted_seconds(claim: Claim) -> tuple[float, ...]:
    """a + b/w + c·(w − 1) ≥ 0 by non-negative least squares over the measured speeds.

    a: what does not shrink with more workers, b: what they share, c: synchronisation (Optimus' model of a
    synchronous step at a fixed batch, its equation 4, without parameter servers). Errors are relative,
    weighted by the number of reports (at most 10). With a single worker count measured, Amdahl with a serial
    share of `_AMDAHL`; with none, the same with 1 s.
    """
    return _FITS(claim.learned.speeds, claim.most)


def _fitted(measured: tuple[Speed, ...], most: int) -> tuple[float, ...]:
    speeds = [speed for speed in measured if speed.rate > 0]
    if len(speeds) < 2:
        unit = 1.0
        if speeds:
            unit = 1 / speeds[0].rate / (_AMDAHL + (1 - _AMDAHL) / speeds[0].workers)
        return tuple(unit * (_AMDAHL + (1 - _AMDAHL) / count) for count in range(1, most + 1))
    rows = []
    for speed in speeds:
        weight = math.sqrt(min(speed.reports, 10)) * speed.rate
        terms = (weight, weight / speed.workers, weight * (speed.workers - 1))
        rows.append((terms, weight / speed.rate))
    a, b, c = least_squares(rows)
    return tuple(max(a + b / count + c * (count - 1), 1e-12) for count in range(1, most + 1))


Row = tuple[tuple[float, float, float], float]
# Of equally good fits the first: a pair explains two measurements exactly, so does each of the others.
_SUPPORTS = ((0, 1), (1, 2), (0, 2), (1,), (0,), (0, 1, 2))


def least_squares(rows: Sequence[Row]) -> tuple[float, float, float]:
    """x ≥ 0 with the least Σ (terms · x − target)²: the best free solution on one of its possible supports.

    With three unknowns these are few enough to try them all (the last alone explains no speed of one worker
    and is left out), which takes a fifth of what a general solver takes.
    """
    squares = [[sum(row[i] * row[j] for row, _ in rows) for j in range(3)] for i in range(3)]
    sides = [sum(row[i] * target for row, target in rows) for i in range(3)]
    whole = sum(target * target for _, target in rows)
    best, least = (0.0, 0.0, 0.0), math.inf
    for support in _SUPPORTS if len(rows) > 2 else _SUPPORTS[:-1]:
        found = _solved([[squares[i][j] for j in support] for i in support], [sides[i] for i in support])
        if found is None or min(found) < 0:
            continue
        error = whole - sum(x * sides[i] for i, x in zip(support, found, strict=True))
        if error < least - 1e-12 * whole:
            values = dict(zip(support, found, strict=True))
            best, least = (values.get(0, 0.0), values.get(1, 0.0), values.get(2, 0.0)), error
    return best


def _solved(matrix: list[list[float]], side: list[float]) -> list[float] | None:
    """By elimination; the matrix is symmetric and not negative. None where it is singular."""
    size = len(side)
    tiny = 1e-12 * max(matrix[i][i] for i in range(size))
    for k in range(size):
        if matrix[k][k] <= tiny:
            return None
        for i in range(k + 1, size):
            factor = matrix[i][k] / matrix[k][k]
            side[i] -= factor * side[k]
            for j in range(k, size):
                matrix[i][j] -= factor * matrix[k][j]
    found = [0.0] * size
    for k in reversed(range(size)):
        rest = side[k] - sum(matrix[k][j] * found[j] for j in range(k + 1, size))
        found[k] = rest / matrix[k][k]
    return found


def remaining(claim: Claim) -> float:
    """Progress that is left: known, else by the loss curve; 1 if nothing can be said."""
    if claim.known is not None and claim.known.remaining is not None:
        return claim.known.remaining
    return remaining_by_loss(claim)


def loss_curve(claim: Claim) -> tuple[float, float, float] | None:
    """(a, b, c) ≥ 0 of loss(k) = 1/(a·k + b) + c (Optimus, equation 1), or None below three points.

    For each of a few floors c below the least loss, 1/(loss − c) is linear in k: non-negative least squares,
    later thirds of the history weighted 4 and 16 times the first; the floor with the least error is taken.
    """
    return _LOSSES(claim.learned.points)


def _loss_curve(measured: tuple[Point, ...]) -> tuple[float, float, float] | None:
    import numpy as np

    points = [(p.step, p.loss) for p in measured if p.loss is not None]
    if len(points) < 3:
        return None
    steps, losses = np.array(points, dtype=float).T
    weight = np.repeat([1.0, 4.0, 16.0], -(-len(points) // 3))[: len(points)]
    lowest = float(losses.min())
    if lowest <= 0:
        return None
    floors = np.array([[0.0], [0.25], [0.5], [0.75], [0.9], [0.97], [0.99]]) * lowest
    slope, start = _lines(steps, 1 / (losses - floors), weight**2)
    lines = slope * steps + start
    with np.errstate(divide="ignore"):
        errors = np.sum(weight * (1 / lines + floors - losses) ** 2, axis=1)
    errors[(lines <= 0).any(axis=1)] = np.inf
    best = int(errors.argmin())
    if not np.isfinite(errors[best]):
        return None
    return float(slope[best, 0]), float(start[best, 0]), float(floors[best, 0])


def _lines(x: FloatArray, y: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slopes and starts ≥ 0 of the least weighted squares through each row of y > 0; two columns.

    Two unknowns: where the free optimum has one below zero, the constrained one has it at zero.
    """
    import numpy as np

    sum_1, sum_x, sum_xx = weight.sum(), weight @ x, weight @ (x * x)
    sum_y, sum_xy = (y @ weight)[:, None], (y @ (weight * x))[:, None]
    spread = max(sum_1 * sum_xx - sum_x**2, 1e-300)
    slope = (sum_1 * sum_xy - sum_x * sum_y) / spread
    start = (sum_xx * sum_y - sum_x * sum_xy) / spread
    flat, through = slope < 0, start < 0
    slope, start = (
        np.where(flat, 0.0, np.where(through, sum_xy / max(sum_xx, 1e-300), slope)),
        np.where(flat, sum_y / sum_1, np.where(through, 0.0, start)),
    )
    return slope, start


def _largest_drop(points: tuple[Point, ...]) -> float:
    losses = [point.loss for point in points if point.loss is not None]
    return max((a - b for a, b in itertools.pairwise(losses)), default=0.0)


def _first_loss(points: tuple[Point, ...]) -> float:
    return max((p.loss for p in points if p.loss is not None), default=1.0) or 1.0


_FITS = Remembering(_fitted, _REMEMBERED)
_INVERSES = Remembering(lambda rates: tuple(1 / rate for rate in rates), _REMEMBERED)
_LOGS = Remembering(lambda seconds: tuple(-math.log(each) for each in seconds), _REMEMBERED)
_LOSSES = Remembering(_loss_curve)
_DROPS = Remembering(_largest_drop)
_FIRSTS = Remembering(_first_loss)


def largest_drop(claim: Claim) -> float:
    """The largest fall of the loss from one report to the next; 0 if it never fell."""
    return _DROPS(claim.learned.points)


def remaining_by_loss(claim: Claim, still: float = 0.005) -> float:
    """Steps until a tenth more of all steps so far lowers the loss by less than `still` of its first
    value."""
    curve = loss_curve(claim)
    if curve is None or curve[0] <= 0:
        return 1.0
    a, b, _ = curve
    step = claim.learned.points[-1].step
    # The loss falls by a·d/(a·k + b)² over d steps; solve for the k at which that is `still` of the first.
    d = max(step / 10, 1.0)
    end = (math.sqrt(a * d / (still * _FIRSTS(claim.learned.points))) - b) / a
    return max(end - step, 1.0)
