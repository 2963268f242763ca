"""What policies make of a claim: seconds per unit of progress by worker count, and how much is left."""

from __future__ import annotations

import math

from trainmaster.policies.base import Claim

_AMDAHL = 0.1  # serial share taken for a task nothing was measured of


def seconds_each(claim: Claim) -> tuple[float, ...]:
    """Seconds per unit of progress with 1..most workers: known, else fitted to what was measured."""
    if claim.known is not None:
        return tuple(1 / rate for rate in claim.known.rates)
    return fitted_seconds(claim)


def fitted_seconds(claim: Claim) -> tuple[float, ...]:
    """a + b/w + c·(w − 1) ≥ 0 by non-negative least squares over the measured speeds.

    a: what does not shrink with more workers, b: what they share, c: synchronisation (Optimus' model of a
    synchronous step at a fixed batch, its equation 4, without parameter servers). Errors are relative,
    weighted by the number of reports (at most 10). With a single worker count measured, Amdahl with a serial
    share of `_AMDAHL`; with none, the same with 1 s.
    """
    # Loaded only when something is fitted: an idle service has no use for them.
    import numpy as np
    from scipy.optimize import nnls

    speeds = [speed for speed in claim.learned.speeds if speed.rate > 0]
    counts = np.arange(1, claim.most + 1, dtype=float)
    if len(speeds) < 2:
        unit = 1.0
        if speeds:
            unit = 1 / speeds[0].rate / (_AMDAHL + (1 - _AMDAHL) / speeds[0].workers)
        return tuple((unit * (_AMDAHL + (1 - _AMDAHL) / counts)).tolist())
    workers = np.array([speed.workers for speed in speeds], dtype=float)
    seconds = np.array([1 / speed.rate for speed in speeds])
    weight = np.sqrt(np.minimum([speed.reports for speed in speeds], 10)) / seconds
    terms = np.column_stack([np.ones_like(workers), 1 / workers, workers - 1])
    found, _ = nnls(terms * weight[:, None], seconds * weight)
    curve = found[0] + found[1] / counts + found[2] * (counts - 1)
    return tuple(np.maximum(curve, 1e-12).tolist())


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
    import numpy as np
    from scipy.optimize import nnls

    points = [(p.step, p.loss) for p in claim.learned.points if p.loss is not None]
    if len(points) < 3:
        return None
    steps = np.array([step for step, _ in points])
    losses = np.array([loss for _, loss in points], dtype=float)
    weight = np.repeat([1.0, 4.0, 16.0], -(-len(points) // 3))[: len(points)]
    lowest = float(losses.min())
    if lowest <= 0:
        return None
    best: tuple[float, tuple[float, float, float]] | None = None
    for share in (0.0, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99):
        floor = share * lowest
        terms = np.column_stack([steps, np.ones_like(steps)])
        found, _ = nnls(terms * weight[:, None], weight / (losses - floor))
        line = terms @ found
        if (line <= 0).any():
            continue
        error = float(np.sum(weight * (1 / line + floor - losses) ** 2))
        if best is None or error < best[0]:
            best = (error, (float(found[0]), float(found[1]), floor))
    return best[1] if best else None


def remaining_by_loss(claim: Claim, still: float = 0.005) -> float:
    """Steps until a tenth more of all steps so far lowers the loss by less than `still` of its first
    value."""
    curve = loss_curve(claim)
    if curve is None or curve[0] <= 0:
        return 1.0
    a, b, _ = curve
    points = claim.learned.points
    step = points[-1].step
    first = max((p.loss for p in points if p.loss is not None), default=1.0) or 1.0
    # The loss falls by a·d/(a·k + b)² over d steps; solve for the k at which that is `still` of the first.
    d = max(step / 10, 1.0)
    end = (math.sqrt(a * d / (still * first)) - b) / a
    return max(end - step, 1.0)
