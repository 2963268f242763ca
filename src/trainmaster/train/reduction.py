"""One flat all-reduce at the end of backward: gradients, and beside them what all must know of the step.

It happens where DDP's does, so clipping and loss scaling see reduced gradients. The reduced gradient is
Σ (nᵢ/N)·gᵢ, where gᵢ is the mean over worker i's nᵢ samples: the gradient of the mean over the global batch.
As the weights add up to one, gradients that were reduced before (accumulation, two backwards in a step) pass
through unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.autograd import Variable

from trainmaster.train.communicator import Communicator
from trainmaster.train.gpu import device_of

SUM = 2.0  # of a worker's flag: the sum is not finite; 1: its own gradients are not


@dataclass(slots=True)
class Said:
    """What one worker adds to a step, and after `reduce` what all said together."""

    stop: float = 0.0  # how many were told to stop
    newest: float = 0.0  # the newest generation the leader has seen
    idle: float = 0.0  # how many did not call backward


class Reduction:
    """Sums the gradients of `parameters`. `on_backward` is called at the end of every backward."""

    def __init__(self, parameters: list[nn.Parameter], on_backward: Callable[[], None]) -> None:
        self._parameters = parameters
        self._on_backward = on_backward
        self._queued = False
        self._device = device_of(parameters)
        self._dtype = torch.float32
        for parameter in parameters:
            self._dtype = torch.promote_types(self._dtype, parameter.dtype)
        self._sizes = [parameter.numel() for parameter in parameters]
        self._total = sum(self._sizes)
        self._flat = torch.empty(0)
        self._views: list[torch.Tensor] = []  # of the buffer, one for each parameter, in its shape
        self._hooks = [one.register_post_accumulate_grad_hook(self._touched) for one in parameters]

    def detach(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def renew(self) -> None:
        """Take a fresh buffer: an abandoned group may still write to the old one."""
        self._flat = torch.empty(0)

    def reduce(
        self, link: Communicator, position: int, size: int, weight: float, said: Said, spent_s: float
    ) -> tuple[Said, list[float], list[int]]:
        """Exchange. Returns what was said, each worker's seconds, and the positions of those not finite.

        `weight` is nᵢ/N; a worker of weight 0 adds nothing, whatever its gradients are. Gradients are written
        only once the exchange succeeded. Raises LinkFailed.
        """
        flat = self._buffer(size, link.place(self._device))
        grads = [parameter.grad for parameter in self._parameters]
        views = self._views
        self._fill(flat, grads, weight)
        finite = bool(torch.isfinite(flat[: self._total].sum())) if weight else True
        have = [0.0 if grad is None else 1.0 for grad in grads]
        spent, bad = [0.0] * size, [0.0] * size
        spent[position], bad[position] = spent_s, float(not finite)
        flat[self._total :] = torch.tensor(
            [said.stop, said.newest, said.idle, *spent, *bad, *have], dtype=flat.dtype
        )
        reduced = size == 1 or self._exchange(link, flat, 3 + size + position)
        tail = flat[self._total :].tolist()
        flags = tail[3 + size : 3 + 2 * size]
        if reduced:
            self._take(grads, views, tail[3 + 2 * size :], copy=size > 1)
            if not math.isfinite(float(flat[: self._total].sum())):
                flags[position] += SUM
        own = [at for at, flag in enumerate(flags) if flag % SUM]
        # Finite on each, but not in sum: nobody's in particular.
        return Said(*tail[:3]), tail[3 : 3 + size], own or (list(range(size)) if any(flags) else [])

    def _exchange(self, link: Communicator, flat: torch.Tensor, flag_at: int) -> bool:
        """Sum `flat`, gradients and the rest, over the members. True if the gradients are the sum now.

        `flag_at`: where in the rest, behind the gradients, this worker says that they are not finite.
        """
        link.sum(flat)
        return True

    def _take(
        self, grads: list[torch.Tensor | None], views: list[torch.Tensor], present: list[float], copy: bool
    ) -> None:
        """Write the sums to the parameters that have a gradient on any member."""
        for parameter, grad, view, count in zip(self._parameters, grads, views, present, strict=True):
            if count and grad is None:
                parameter.grad = view.to(parameter.device, parameter.dtype, copy=True)
        if copy:
            _copy([(grad, view) for grad, view in zip(grads, views, strict=True) if grad is not None])

    def _fill(self, flat: torch.Tensor, grads: list[torch.Tensor | None], weight: float) -> None:
        if not weight:
            flat.zero_()
            return
        _copy([(view, grad) for view, grad in zip(self._views, grads, strict=True) if grad is not None])
        for view, grad in zip(self._views, grads, strict=True):
            if grad is None:
                view.zero_()
        if weight != 1.0:
            flat[: self._total].mul_(weight)

    def _buffer(self, size: int, device: torch.device) -> torch.Tensor:
        length = self._total + 3 + 2 * size + len(self._parameters)
        if self._flat.numel() != length or self._flat.device != device:
            self._flat = torch.empty(length, dtype=self._dtype, device=device)
            parts = self._flat[: self._total].split(self._sizes) if self._sizes else ()
            self._views = [
                part.view(parameter.shape) for part, parameter in zip(parts, self._parameters, strict=True)
            ]
        return self._flat

    def _touched(self, parameter: nn.Parameter) -> None:
        if not self._queued:
            self._queued = True
            Variable._execution_engine.queue_callback(self._ended)

    def _ended(self) -> None:
        self._queued = False
        self._on_backward()


def _copy(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Copy the second of each pair to the first, all in one call."""
    if pairs:
        torch._foreach_copy_([to for to, _ in pairs], [source for _, source in pairs])
