"""How far training has come, as a value that workers compare, send and store."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

NOTHING = -1  # the clock of a worker that has no state yet


@dataclass(slots=True)
class Position:
    """`clock` counts every agreement (steps and ends of epochs); the larger clock is further on.

    `step` counts optimizer steps of the whole training. `part` is the ordinal of the `batches` loop within
    the epoch, `index` the next step in it (the next sample, where workers average models). `parts` is how
    many the epoch before had: it tells a worker that comes late that an epoch has no batches left for it.
    """

    clock: int = NOTHING
    step: int = 0
    epoch: int = 0
    part: int = 0
    index: int = 0
    parts: int = 1

    @property
    def batches_done(self) -> bool:
        """Every batch of the epoch is done, as far as one can tell; only its end is left."""
        return self.index == 0 and self.part >= self.parts

    def step_done(self, steps: int, of: int) -> None:
        """`steps` more steps are committed, of a part that has `of` in all."""
        self.clock += 1
        self.step += steps
        self.index += steps
        if self.index >= of:
            self.part, self.index = self.part + 1, 0

    def round_done(self, steps: int, samples: int, of: int) -> None:
        """A round of `steps` steps is over, which took `samples` of the `of` samples of a part."""
        self.clock += 1
        self.step += steps
        self.index += samples
        if self.index >= of:
            self.part, self.index = self.part + 1, 0

    def epoch_done(self) -> None:
        self.clock += 1
        self.parts = max(self.part, 1)
        self.epoch, self.part, self.index = self.epoch + 1, 0, 0

    def dump(self) -> dict[str, int]:
        return asdict(self)

    def load(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(self, name, int(value))
