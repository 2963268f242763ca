"""What training code imports. It stands alone, and loads torch only once a task is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainmaster.train.callbacks import TrainmasterCallback
from trainmaster.train.convergence import RawBeta, Rule, Smoothed
from trainmaster.train.errors import (
    DataLost,
    ModelMismatch,
    NotFinite,
    ServersLost,
    StateUnfit,
    TrainingError,
    UnevenStep,
    WrongUse,
)
from trainmaster.train.report import report

if TYPE_CHECKING:
    from trainmaster.train.session import Task

__all__ = [
    "DataLost",
    "ModelMismatch",
    "NotFinite",
    "RawBeta",
    "ServersLost",
    "Smoothed",
    "StateUnfit",
    "TrainingError",
    "TrainmasterCallback",
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
    mode: str = "sync",
    average_every: int = 10,
    shares: str = "speed",
    servers: int = 1,
    data: str = "reference",
    backend: str = "auto",
) -> Task:
    """A training task, for a `with` statement: alone, or a member of the group Trainmaster started it in.

    `seed` decides the order of the samples. `not_finite`: "raise" NotFinite at NaN or infinite gradients,
    or "skip" such steps. The leader writes a checkpoint every `checkpoint_s` seconds. Workers that keep the
    others waiting for `hang_s` seconds (or ten times the slowest recent step, if that is longer) are hung;
    between epochs for `between_s`. `convergence` judges a validation metric given to `t.report` after an
    epoch's batches, `val_accuracy` by default: at a plateau the scheduler may take workers away, and when
    nothing more is gained the epochs end; None never ends them early. `max_steps` caps the optimizer steps
    of the whole training. `mode`: "sync", all work on one global batch, or "local_sgd", each trains on its
    own part with batches of its own and models are averaged after `average_every` steps, or
    "parameter_server", where the first `servers` members hold the state and the others compute gradients.
    `shares`: by measured "speed", or "equal". `data`: by "reference", each worker reads its samples from a
    data set it opens itself, or "transfer", workers that give None to `t.batches` get theirs from the first
    member that has a data set. `backend`: "auto", NCCL where each worker has its model on a GPU of its own
    and gloo from host memory elsewhere, or always "gloo". Raises WrongUse.
    """
    from trainmaster.train.core import Options
    from trainmaster.train.session import Task

    if not_finite not in ("raise", "skip"):
        raise WrongUse(f"not_finite is 'raise' or 'skip', not {not_finite!r}")
    if max_steps is not None and max_steps < 1:
        raise WrongUse(f"max_steps is at least 1, not {max_steps}")
    if mode not in ("sync", "local_sgd", "parameter_server"):
        raise WrongUse(f"mode is 'sync', 'local_sgd' or 'parameter_server', not {mode!r}")
    if data not in ("reference", "transfer"):
        raise WrongUse(f"data is 'reference' or 'transfer', not {data!r}")
    if servers < 1:
        raise WrongUse(f"servers is at least 1, not {servers}")
    if shares not in ("speed", "equal") or average_every < 1:
        raise WrongUse("shares is 'speed' or 'equal', and average_every at least 1")
    if backend not in ("auto", "gloo"):
        raise WrongUse(f"backend is 'auto' or 'gloo', not {backend!r}")
    options = Options(
        seed, not_finite, checkpoint_s, hang_s, between_s, convergence, max_steps, mode, average_every,
        shares, servers, data, backend,
    )  # fmt: skip
    return Task(options)
