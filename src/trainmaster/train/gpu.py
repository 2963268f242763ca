"""A worker's GPU, and the NCCL group that exchanges between such without a detour through host memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch._C._distributed_c10d import ErrorType
from torch.distributed import Store, is_nccl_available

ENDING = timedelta(seconds=60)  # how long NCCL may take to end a group

# What happens to a group that fails is decided here: torch's own watchdog would end the process.
_SETTINGS = {
    "TORCH_NCCL_ASYNC_ERROR_HANDLING": "0",
    "TORCH_NCCL_BLOCKING_WAIT": "0",
    "TORCH_NCCL_ENABLE_MONITORING": "0",
}


class Gpu:
    """One GPU, as a worker that trains on it needs it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @property
    def identity(self) -> str:
        """Which one it is, among all there are; empty if this torch has no NCCL."""
        return str(torch.cuda.get_device_properties(self.device).uuid) if is_nccl_available() else ""

    def wait(self) -> None:
        """Until all that was launched on it is done: what was computed is charged to who computed it."""
        torch.cuda.current_stream(self.device).synchronize()

    def connect(self, store: Store, position: int, size: int) -> Any:
        """A connected group of so many, this worker at `position`. Blocks until all are there.

        Raises RuntimeError where NCCL cannot do it.
        """
        from torch.distributed import ProcessGroupNCCL

        options = ProcessGroupNCCL.Options()
        options._timeout = ENDING
        with _settings():  # they are read as the group is made
            group = ProcessGroupNCCL(store, position, size, options)
        group.eager_connect_single_device(self.device)
        return group

    def order(self, work: Any) -> Callable[[], bool]:
        """Let what comes next on the GPU wait for `work`. Returns what tells whether it is done."""
        work.wait()  # of the stream, not of this thread
        done = torch.cuda.Event()
        done.record(torch.cuda.current_stream(self.device))
        return done.query

    def failed(self, group: Any) -> bool:
        """Whether NCCL knows of an error, such as a broken connection."""
        return bool(group.get_error() != ErrorType.SUCCESS)


def device_of(tensors: Sequence[torch.Tensor]) -> torch.device:
    """Where all of them lie; the CPU if they are on several devices."""
    devices = {tensor.device for tensor in tensors}
    return devices.pop() if len(devices) == 1 else torch.device("cpu")


def gpu_of(device: torch.device) -> Gpu | None:
    """The GPU that `device` is; None if it is none, or not one that NCCL knows."""
    return Gpu(device) if device.type == "cuda" else None


@contextmanager
def _settings() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _SETTINGS}
    os.environ.update(_SETTINGS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
