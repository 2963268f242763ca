"""Errors of training a policy."""

from __future__ import annotations

from trainmaster.domain.errors import TrainmasterError


class BadTraining(TrainmasterError):
    """A setting of the training is out of its range."""

    code = "bad-training"
    status = 422

    def __init__(self, name: str, value: object, wanted: str) -> None:
        super().__init__(f"{name}: {value!r} is not {wanted}", remedy=f"give {wanted}", name=name)


class NoTorch(TrainmasterError):
    """PyTorch is needed to train a policy, and to nothing else about one."""

    code = "no-torch"
    status = 422
    remedy = "pip install 'trainmaster[train]'; policies that are trained already run without it"
