"""What can go wrong in a group, as types. Each carries its fields and names the remedy."""

from __future__ import annotations

from typing import Any, ClassVar


class TrainingError(RuntimeError):
    """Base of all errors of `trainmaster.train`. `fields` holds what it is about."""

    code: ClassVar[str] = "training-failed"
    remedy: ClassVar[str] = ""

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(f"{message} ({self.remedy})" if self.remedy else message)
        self.fields = fields


class NotFinite(TrainingError):
    """The gradients of a step are NaN or infinite. Fields: `step`, `epoch`, `workers` (where it began)."""

    code = "not-finite"
    remedy = "lower the learning rate or clip gradients; train.task(not_finite='skip') leaves such steps out"


class ModelMismatch(TrainingError):
    """This worker's model is not the leader's. Fields: `parameter`, `here`, `leader`."""

    code = "model-mismatch"
    remedy = "build the same model with the same options on every worker"


class UnevenStep(TrainingError):
    """Some workers called backward in a step and others did not. Fields: `step`, `without`."""

    code = "uneven-step"
    remedy = "call backward once on every worker for every batch that t.batches gives"


class ServersLost(TrainingError):
    """All members that held the optimizer's state are gone; the weights alone are not enough to go on."""

    code = "servers-lost"
    remedy = (
        "the next attempt resumes from the newest checkpoint; task(servers=2) survives more deaths at once"
    )


class DataLost(TrainingError):
    """Samples are transferred between members, and no member of this generation has the data set."""

    code = "data-lost"
    remedy = "give the data set to more workers, or share it and use task(data='reference')"


class StateUnfit(TrainingError):
    """A checkpoint or another worker's state does not fit the objects given to prepare. Field: `problem`."""

    code = "state-unfit"
    remedy = "prepare the same objects in the same order, or remove the checkpoints of the older script"


class WrongUse(TrainingError):
    """A call that makes no sense where it stands."""

    code = "wrong-use"
    remedy = "see docs/how-to/elastic-training.md"
