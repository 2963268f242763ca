"""Push and pull of a parameter server: gradients to the servers, weights back to the workers.

The flat vector is divided among the servers: server i sums the i-th part of the gradients and sends out the
i-th part of the weights. Between the two, the holders of the state (the servers, and one worker that stands
by) exchange their parts of the sums, so that each of them makes the whole optimizer step. Floating-point
buffers, such as the statistics of BatchNorm, become their mean over the workers, weighted as gradients are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from trainmaster.train.communicator import Communicator
from trainmaster.train.reduction import SUM, Reduction


class Push(Reduction):
    """Sums the gradients where the state is held."""

    def __init__(
        self, parameters: list[nn.Parameter], buffers: list[torch.Tensor], on_backward: Callable[[], None]
    ) -> None:
        super().__init__(parameters, on_backward)
        self._buffers = buffers
        self._weights = [parameter.detach() for parameter in parameters]
        self._flat_weights = torch.empty(0)
        self._flat_buffers = torch.empty(0)
        self.servers = 1  # of this generation
        self.weight = 0.0  # of this worker's buffers

    def renew(self) -> None:
        super().renew()
        self._flat_weights, self._flat_buffers = torch.empty(0), torch.empty(0)

    def _exchange(self, link: Communicator, flat: torch.Tensor, flag_at: int) -> bool:
        gradients = flat[: self._total]
        self._gather(link, gradients)
        if self._buffers:
            self._flat_buffers = pack(self._flat_buffers, self._buffers, self._dtype, flat.device)
            self._flat_buffers.mul_(self.weight)
            self._gather(link, self._flat_buffers)
        holds = link.inner is not None
        if holds and not bool(torch.isfinite(gradients.sum())):
            flat[self._total + flag_at] += SUM
        link.sum(flat[self._total :])
        if holds and self._buffers:
            unpack(self._flat_buffers, self._buffers)
        return holds

    def pull(self, link: Communicator) -> None:
        """Take over the servers' weights. Raises LinkFailed; the weights may then be of two steps."""
        tensors = [*self._weights, *self._buffers]
        place = link.place(self._device)
        flat = self._flat_weights = pack(self._flat_weights, tensors, self._dtype, place)
        for server, part in enumerate(self._parts(flat)):
            link.broadcast(part, server)
        if link.inner is None:
            unpack(flat, tensors)

    def _gather(self, link: Communicator, flat: torch.Tensor) -> None:
        """Sum a vector on all holders."""
        parts = self._parts(flat)
        for server, part in enumerate(parts):
            link.reduce(part, server)
        if link.inner is not None:
            for server, part in enumerate(parts):
                link.inner.broadcast(part, server)

    def _parts(self, flat: torch.Tensor) -> list[torch.Tensor]:
        return [part for part in flat.tensor_split(self.servers) if part.numel()]


def pack(
    flat: torch.Tensor, tensors: list[torch.Tensor], dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """The tensors one after another in a vector on `device`: `flat`, if it fits."""
    sizes = [tensor.numel() for tensor in tensors]
    if flat.numel() != sum(sizes) or flat.device != device:
        flat = torch.empty(sum(sizes), dtype=dtype, device=device)
    views = [view.view_as(one) for view, one in zip(flat.split(sizes), tensors, strict=True)]
    with torch.no_grad():
        torch._foreach_copy_(views, tensors)
    return flat


def unpack(flat: torch.Tensor, tensors: list[torch.Tensor]) -> None:
    """The inverse of `pack`."""
    views = flat.split([tensor.numel() for tensor in tensors])
    with torch.no_grad():
        torch._foreach_copy_(tensors, [view.view_as(one) for view, one in zip(views, tensors, strict=True)])
