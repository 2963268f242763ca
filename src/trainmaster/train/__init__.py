"""What training code imports. It stands alone, and loads torch only once a task is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainmaster.train.convergence import RawBeta, Rule, Smoothed
from trainmaster.train.errors import (
    ModelMismatch,
    NotFinite,
    StateUnfit,
    TrainingError,
    UnevenStep,
    WrongUse,
)
from trainmaster.train.report import report

if TYPE_CHECKING:
    from trainmaster.train.session import Task

__all__ = [
    "ModelMismatch",
    "NotFinite",
    "RawBeta",
    "Smoothed",
    "StateUnfit",
    "TrainingError",
    "UnevenStep",
    "WrongUse",
    "report",
    "task",
]

_CONVERGENCE = Smoothed()


def task(
    *,
    seed: int = 0,
    not_finite: str = "raise",
    checkpoint_s: float = 60.0,
    hang_s: float = 10.0,
    between_s: float = 300.0,
    convergence: Rule | None = _CONVERGENCE,
    max_steps: int | None = None,
) -> Task:
    """A training task, for a `with` statement: alone, or a member of the group Trainmaster started it in.

    `seed` decides the order of the samples. `not_finite`: "raise" NotFinite at NaN or infinite gradients,
    or "skip" such steps. The leader writes a checkpoint every `checkpoint_s` seconds. Workers that keep the
    others waiting for `hang_s` seconds (or ten times the slowest recent step, if that is longer) are hung;
    between epochs for `between_s`. `convergence` judges a validation metric given to `t.report` after an
    epoch's batches, `val_accuracy` by default: at a plateau the scheduler may take workers away, and when
    nothing more is gained the epochs end; None never ends them early. `max_steps` caps the optimizer steps
    of the whole training. Raises WrongUse.
    """
    from trainmaster.train.core import Options
    from trainmaster.train.session import Task

    if not_finite not in ("raise", "skip"):
        raise WrongUse(f"not_finite is 'raise' or 'skip', not {not_finite!r}")
    if max_steps is not None and max_steps < 1:
        raise WrongUse(f"max_steps is at least 1, not {max_steps}")
    return Task(Options(seed, not_finite, checkpoint_s, hang_s, between_s, convergence, max_steps))
