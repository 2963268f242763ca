"""What every mode of training stands on: the group, this worker's state, and bringing one to the other."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from trainmaster.train.checkpoint import Checkpoints, Writer
from trainmaster.train.clock import process_clock
from trainmaster.train.communicator import LinkFailed
from trainmaster.train.context import Context
from trainmaster.train.convergence import Progress, Rule
from trainmaster.train.errors import ModelMismatch, ServersLost
from trainmaster.train.gpu import Gpu, gpu_of
from trainmaster.train.membership import Group, Left, Told
from trainmaster.train.pace import Pace
from trainmaster.train.position import NOTHING, Position
from trainmaster.train.replica import Replica
from trainmaster.train.sampler import split
from trainmaster.train.transfer import Giver
from trainmaster.train.uplink import Uplink

TERMINATED = 143  # 128 + TERM


@dataclass(frozen=True, slots=True)
class Options:
    """See `trainmaster.train.task`."""

    seed: int = 0
    not_finite: str = "raise"
    checkpoint_s: float = 60.0
    hang_s: float = 10.0
    between_s: float = 300.0
    convergence: Rule | None = None
    max_steps: int | None = None
    mode: str = "sync"
    average_every: int = 10
    shares: str = "speed"
    servers: int = 1
    data: str = "reference"
    backend: str = "auto"


class Core:
    """One worker's training."""

    def __init__(self, context: Context, options: Options) -> None:
        self.context = context
        self.options = options
        self.clock = process_clock()
        self.uplink = Uplink(context)
        self.pace = Pace(options.hang_s, options.between_s, self.clock)
        self.group = Group(context, self.pace, self.uplink, self.clock)
        self.replica = Replica()
        self.position = Position()
        self.progress = Progress(options.convergence)
        self.stopping = False  # this worker was told to
        self.accumulating = False  # gradients of several steps are being added up
        self.giver: Giver | None = None  # of this worker's data to others
        self.whole = True  # it has all of the state, the optimizer's too
        self.gpu: Gpu | None = None  # that all of the model is on
        self._nccl = options.backend == "auto"
        self._checkpoints = Checkpoints(context.checkpoints) if context.checkpoints else None
        self._writer = Writer(self._checkpoints, self._unsaved) if self._checkpoints is not None else None
        self._saved = 0  # the clock of the newest checkpoint of ours
        self._saved_at = self.clock.monotonic()
        self._announced = False

    # --- belonging -----------------------------------------------------------------------------------------

    def ensure(self) -> None:
        """Be in a generation whose members have the same state. Ends the process if told to leave or stop."""
        if self.group.link is None:
            self.change()

    def change(self) -> None:
        """Enter the next generation, however many tries it takes."""
        if not self._announced:
            self._announced = True
            self.gpu = gpu_of(self.replica.device)
            self._resume()
            self.group.announce()
        while True:
            try:
                self.group.enter(lambda: self.stopping)
                self._agree()
                break
            except LinkFailed as failed:
                self.group.broken(failed)
            except Left:
                self.group.close()
                raise SystemExit(0) from None
            except Told:
                self.save()
                self.close()
                raise SystemExit(TERMINATED) from None
        self.pace.restart()
        if self.context.group:
            self.uplink.tell("joined", generation=self.group.generation, step=self.position.step)

    def _agree(self) -> None:
        """Compare what the members have, and bring those who are behind up to date."""
        link, group = self.group.link, self.group
        assert link is not None
        mine = {
            "clock": self.position.clock,
            "model": self.replica.signature(),
            "holds": group.position < (group.holders(group.size) or group.size),
            "whole": self.whole,
            "gpu": self.gpu.identity if self.gpu is not None and self._nccl else "",
        }
        group.begin()
        said = [json.loads(text) for text in link.gather(json.dumps(mine))]
        if any(one["model"] != said[0]["model"] for one in said):
            self._differ()
        if not any(one["whole"] for one in said):
            group.close()
            raise ServersLost("all servers, and the worker that stood by, were lost at once")
        best = max(one["clock"] for one in said if one["whole"])
        source = next(at for at, one in enumerate(said) if one["whole"] and one["clock"] == best)
        behind = [one["clock"] != best or (one["holds"] and not one["whole"]) for one in said]
        if group.size > 1 and (best == NOTHING or any(behind)):
            self._spread(source, behind=best == NOTHING or behind[group.position])
        if self.position.clock == NOTHING:
            self.position.clock = 0
        if self.gpu is not None and group.size > 1 and all(one["gpu"] for one in said):
            self._accelerate(self.gpu, [one["gpu"] for one in said])

    def _accelerate(self, gpu: Gpu, places: Sequence[str]) -> None:
        """Leave the detour through host memory out, if it can be. All members try, or none of them does."""
        if len(set(places)) < len(places):
            why = "workers share a GPU"
        else:
            why = self.group.accelerate(gpu)
            self._nccl = not why  # it would happen again in every generation
        if why:
            warnings.warn(f"gradients are exchanged through host memory, not by NCCL: {why}", stacklevel=2)

    def _differ(self) -> None:
        assert self.group.link is not None
        lists = [json.loads(text) for text in self.group.link.gather(json.dumps(self.replica.describe()))]
        try:
            self.replica.compare(lists[0])
        except ModelMismatch:
            self.group.close()
            raise
        others = [rank for rank, one in zip(self.group.members, lists, strict=True) if one != lists[0]]
        raise LinkFailed("the model of some members differs from the leader's", tuple(others))

    def _spread(self, source: int, behind: bool) -> None:
        """Send the state of the member at `source` to those behind."""
        link, group = self.group.link, self.group
        assert link is not None
        sends = group.position == source
        content = self.capture() if sends else b""
        length = torch.tensor([len(content)], dtype=torch.int64)
        group.begin()
        link.broadcast(length, source)
        if sends:
            sent = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        else:
            sent = torch.empty(int(length), dtype=torch.uint8)
        group.begin()
        link.broadcast(sent, source)
        if behind and not sends:
            self.become(sent.numpy().tobytes(), random_too=False)
            # Another worker's random numbers would make equal dropout masks here.
            mixed = (self.options.seed, self.position.clock, self.context.rank)
            torch.manual_seed(hash(mixed) % 2**63)
            random.seed(str(mixed))

    # --- state ---------------------------------------------------------------------------------------------

    def capture(self) -> bytes:
        """All that training has changed."""
        return self.replica.capture(
            {
                "position": self.position.dump(),
                "accumulating": self.accumulating,
                "progress": self.progress.dump(),
            }
        )

    def become(self, content: bytes, random_too: bool) -> None:
        """Go to what was captured. Raises StateUnfit."""
        extra = self.replica.restore(content, random_too=random_too)
        self.position.load(extra["position"])
        self.accumulating = extra["accumulating"]
        self.whole = True
        self.progress.load(extra["progress"])

    def _resume(self) -> None:
        content = self._checkpoints.newest() if self._checkpoints is not None else None
        if content is not None:
            self.become(content, random_too=True)

    def save(self) -> None:
        """Begin to write a checkpoint, if there is where and what. A full disk is told and ends nothing."""
        if self._writer is not None and self.position.clock > self._saved and self.whole:
            self._writer.begin(self.position.clock, self.capture())
            self._saved = self.position.clock
        self._saved_at = self.clock.monotonic()

    def close(self) -> None:
        """Let go of the others, and finish what is being saved."""
        self.group.close()
        if self._writer is not None:
            self._writer.wait()

    def _unsaved(self, error: OSError) -> None:
        self.uplink.tell("unsaved", step=self.position.step, why=str(error))

    @property
    def over(self) -> bool:
        """Whether training converged, was stopped, or took all its steps; the same on all members."""
        return self.progress.over or self.capped

    @property
    def capped(self) -> bool:
        return self.options.max_steps is not None and self.position.step >= self.options.max_steps

    def tell_shares(
        self,
        members: Sequence[int],
        weights: Sequence[float],
        counts: Sequence[int],
        seconds: Sequence[float],
        samples_s: float,
    ) -> None:
        """Tell the scheduler who does how much from now on, and how fast each was in the latest step."""
        speeds = [round(done / max(spent, 1e-9), 1) for done, spent in zip(counts, seconds, strict=True)]
        self.uplink.tell(
            "shares",
            generation=self.group.generation,
            step=self.position.step,
            shares=dict(zip(map(str, members), split(sum(counts), weights), strict=True)),
            speeds=dict(zip(map(str, members), speeds, strict=True)),
            step_s=round(self.pace.step_s, 6),
            samples_s=samples_s,
        )

    def computed(self) -> None:
        """Wait until what this worker's part of the step launched is done, so that it is timed."""
        if self.gpu is not None:
            self.gpu.wait()

    # --- after an agreement --------------------------------------------------------------------------------

    def turn(self, stop: bool, newest: int) -> None:
        """All members are here after the same step: stop, save or change generation, as was agreed."""
        if (stop or newest > self.group.generation) and self.group.link is not None:
            self.group.begin()
            self.group.link.part()
        if stop:
            if self.group.leads:
                self.save()
            self.close()
            raise SystemExit(TERMINATED)
        if newest > self.group.generation:
            self.change()
        due = self.clock.monotonic() - self._saved_at >= self.options.checkpoint_s
        if due and self.group.leads and not (self._writer is not None and self._writer.busy):
            self.save()
