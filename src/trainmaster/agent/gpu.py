"""GPU gauges through NVML. Where there is no driver, there are no gauges and no complaint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Gpus:
    """The devices of one node; `devices` are their indexes, None for all of the machine.

    Utilisation is of the whole device whoever uses it, so the work of outsiders shows.
    """

    def __init__(self, devices: Sequence[int] | None = None, nvml: Any = None) -> None:
        self._nvml = nvml
        self._handles: list[Any] = []
        try:
            if nvml is None:
                import pynvml

                self._nvml = pynvml
            self._nvml.nvmlInit()
            numbers = range(self._nvml.nvmlDeviceGetCount()) if devices is None else devices
            self._handles = [self._nvml.nvmlDeviceGetHandleByIndex(number) for number in numbers]
        except Exception:  # no library, no driver, no such device: NVML has a type for each
            self._handles = []

    def __len__(self) -> int:
        return len(self._handles)

    def use(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Per device the busy part of the last sampling period and the used part of its memory, both 0..1."""
        busy, memory = [], []
        for handle in self._handles:
            busy.append(self._part(lambda h=handle: self._nvml.nvmlDeviceGetUtilizationRates(h).gpu / 100))
            memory.append(self._part(lambda h=handle: self._memory(h)))
        return tuple(busy), tuple(memory)

    def _memory(self, handle: Any) -> float:
        info = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        return float(info.used / info.total) if info.total else 0.0

    def _part(self, ask: Any) -> float:
        try:
            return min(max(float(ask()), 0.0), 1.0)
        except Exception:  # a device that fell off the bus, or one that does not measure this
            return 0.0
