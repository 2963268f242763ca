"""How much accuracy training still gains, from one value an epoch."""

from __future__ import annotations

from collections.abc import Sequence

from trainmaster.domain.errors import TrainmasterError
from trainmaster.domain.learned import Learned, Phase, Point
from trainmaster.policies.histories import Remembering


class BadBeta(TrainmasterError):
    """β is no sensible increase of accuracy per epoch."""

    code = "bad-beta"
    status = 422

    def __init__(self, beta: float) -> None:
        super().__init__(
            f"β is {beta}, which is not an increase of accuracy per epoch between 0 and 0.1",
            remedy="the RLPTO paper recommends 0.0001 to 0.0003",
            beta=beta,
        )


def check_beta(beta: float) -> None:
    """Raises BadBeta."""
    if not 0 < beta <= 0.1:
        raise BadBeta(beta)


def gain_per_epoch(values: Sequence[float], window: int) -> float | None:
    """The mean increase over the last `window` epochs; None with fewer than two values.

    `window` 1 is the RLPTO paper's va (equation 5), a single difference, which fires on noise: over k epochs
    the same noise weighs 1/k. With fewer than window + 1 values: over those there are.
    """
    if len(values) < 2:
        return None
    back = min(window, len(values) - 1)
    return (values[-1] - values[-1 - back]) / back


def settled(values: Sequence[float], beta: float, window: int) -> bool:
    """stop(β): does accuracy neither rise nor fall by β per epoch any more, over `window` epochs, nor by 2β
    over the last two? A fall is no convergence: it may be what joining workers cost."""
    if len(values) <= window:
        return False
    last = (values[-1] - values[-3]) / 2 if window > 2 else 0.0
    return abs(values[-1] - values[-1 - window]) / window < beta and abs(last) < 2 * beta


def least_gain(values: Sequence[float], window: int) -> float | None:
    """The smallest mean increase over `window` epochs so far; None with fewer than window + 1 values."""
    return min(
        ((values[at] - values[at - window]) / window for at in range(window, len(values))), default=None
    )


def has_gained_less(values: Sequence[float], beta: float, window: int) -> bool:
    """Has less than `beta` per epoch ever been gained? Once it has, a spurt changes nothing."""
    return any(values[at] - values[at - window] < beta * window for at in range(window, len(values)))


def tends_to_converge(learned: Learned, beta: float, window: int) -> bool:
    """By its accuracies (`has_gained_less`), or by what the training's own convergence rule has said."""
    return learned.phase is not Phase.NONE or has_gained_less(accuracies(learned), beta, window)


def accuracies(learned: Learned) -> Sequence[float]:
    """The latest accuracy of each epoch that was reported, in their order; reports without `epoch` count as
    one each."""
    return _ACCURACIES(learned.points)


def _accuracies(points: tuple[Point, ...]) -> tuple[float, ...]:
    values: list[float] = []
    last: float | None = None
    for point in points:
        if point.accuracy is None:
            continue
        if values and point.epoch is not None and point.epoch == last:
            values[-1] = point.accuracy
        else:
            values.append(point.accuracy)
        last = point.epoch
    return tuple(values)


_ACCURACIES = Remembering(_accuracies)
