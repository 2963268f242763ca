"""The native group as training code sees it."""

from __future__ import annotations

import json
import math
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from trainmaster.train.communicator import LinkFailed
from trainmaster.train.context import Context
from trainmaster.train.convergence import Phase
from trainmaster.train.core import TERMINATED, Core, Options
from trainmaster.train.data import Augment, Increment
from trainmaster.train.errors import WrongUse
from trainmaster.train.feed import Feed
from trainmaster.train.modes.local_sgd import LocalSgd
from trainmaster.train.modes.parameter_server import ParameterServer
from trainmaster.train.modes.sync import Sync
from trainmaster.train.report import report as write_report

_MODES: dict[str, type[LocalSgd | Sync]] = {
    "sync": Sync,
    "local_sgd": LocalSgd,
    "parameter_server": ParameterServer,
}


class Task:
    """One worker of a training task. Made by `trainmaster.train.task`."""

    def __init__(self, options: Options, context: Context | None = None) -> None:
        self._core = Core(context or Context.from_environment(), options)
        self._mode: LocalSgd | Sync = _MODES[options.mode](self._core)
        self._epoch = 0  # that of the loop under way
        self._part = 0
        self._loops = 0  # loops of ours that are under way; while there is one, TERM is agreed on
        self._in_batches = False
        self._in_epoch = False
        self._reported: dict[str, float] = {}
        self._stop = False
        self._term_before: Any = None
        self._handles_term = False

    # --- beginning and end ---------------------------------------------------------------------------------

    def __enter__(self) -> Task:
        if threading.current_thread() is threading.main_thread():
            self._term_before = signal.signal(signal.SIGTERM, self._terminated)
            self._handles_term = True
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._handles_term:
            signal.signal(signal.SIGTERM, self._term_before)
            self._handles_term = False
        self._core.close()

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        self._core.stopping = True
        if not self._loops:
            raise SystemExit(TERMINATED)

    # --- what it is ----------------------------------------------------------------------------------------

    @property
    def is_leader(self) -> bool:
        """True on the one worker that reports and saves; always when alone."""
        return self._core.group.leads

    @property
    def size(self) -> int:
        """Workers of the present generation; 0 while waiting for the first."""
        return self._core.group.size

    @property
    def step(self) -> int:
        """Committed optimizer steps of the whole training."""
        return self._core.position.step

    @property
    def generation(self) -> int:
        return self._core.group.generation

    @property
    def dropped(self) -> bool:
        """After backward: this step failed and the same samples come again."""
        return self._mode.dropped

    @property
    def indices(self) -> torch.Tensor:
        """Indices of this worker's samples in the present batch; empty if it only keeps step."""
        return self._mode.indices

    # --- what it does --------------------------------------------------------------------------------------

    def prepare(self, *objects: Any) -> Any:
        """Take part with these: modules, optimizers, schedulers, scalers, anything with a state.

        Call it once, before training. Returns the same objects in the same order. Raises WrongUse.
        """
        if self._core.replica.objects:
            raise WrongUse("prepare is called once, with everything")
        for thing in objects:
            self._core.replica.add(thing, self._mode.may_step, self._mode.may_advance)
        return objects[0] if len(objects) == 1 else objects

    def epochs(self, max_epochs: int) -> Iterator[int]:
        """Numbers of the epochs that are left, from 0.

        Ends early, on all workers after the same epoch, when training has converged (see
        `trainmaster.train.task`), has taken `max_steps`, or a worker called `stop()`.
        """
        if not self._core.replica.objects:
            raise WrongUse("call prepare before epochs")
        position = self._core.position
        self._loops += 1
        try:
            self._core.ensure()
            self._tell_phase(Phase.TRAINING)
            while position.epoch < max_epochs and not self._core.over:
                self._epoch, self._part = position.epoch, 0
                # Who joins or resumes at the very end of an epoch has no batch of it, and nothing to report.
                if not position.batches_done:
                    self._in_epoch = True
                    yield self._epoch
                    self._in_epoch = False
                self._end_epoch()
            if self._core.group.leads:
                self._core.save()  # whoever comes again has nothing left to do
                self._core.uplink.tell("finished")
        finally:
            self._loops -= 1
            self._in_epoch = False

    def batches(
        self,
        dataset: Any,
        batch: int = 256,
        load_factor: float = 1.0,
        augment: Augment | None = None,
    ) -> Iterator[Any]:
        """This worker's share of every global batch of `batch` samples, each sample once per epoch.

        The gradient after backward is that of the mean loss over the global batch, if the loss is a mean over
        the share. A step that failed comes again (see `dropped`). With a `load_factor` above 1 an epoch has
        so many times as many samples: the added ones are drawn at random, and `augment(sample, generator)`,
        given a tuple of tensors, returns the changed one; what it draws from that generator is the same
        whoever trains on it. Raises WrongUse, DataLost.
        """
        if batch < 1:
            raise WrongUse(f"a batch has at least one sample, not {batch}")
        part, self._part = self._part, self._part + 1
        self._loops += 1
        self._in_batches = True
        try:
            increment = Increment(load_factor, augment, self._core.options.seed)
            feed = Feed(self._core, dataset, increment, self._epoch, part)
            try:
                yield from self._mode.batches(feed, batch, self._epoch, part)
            finally:
                feed.close()
        finally:
            self._loops -= 1
            self._in_batches = False

    def report(self, **metrics: Any) -> None:
        """Report metrics. After the batches of an epoch: the mean over the workers, once it has ended.

        Elsewhere: the leader's own values, at once.
        """
        if self._in_epoch and not self._in_batches:
            for name, value in metrics.items():
                self._reported[name] = float(value.item() if hasattr(value, "item") else value)
        elif self._core.group.leads:
            write_report(step=self._core.position.step, **metrics)

    def stop(self) -> None:
        """End training after this epoch, on all workers."""
        self._stop = True

    def _end_epoch(self) -> None:
        core, group = self._core, self._core.group
        while core.position.epoch == self._epoch:
            core.ensure()
            if core.position.epoch != self._epoch:
                break
            mine = {
                "values": self._reported,
                "works": self._mode.works(group.position),
                "end": self._stop,
                "stop": core.stopping,
                "newest": group.newest() if group.leads else 0,
            }
            core.pace.restart()
            group.begin()
            try:
                assert group.link is not None
                said = [json.loads(text) for text in group.link.gather(json.dumps(mine))]
            except LinkFailed as failed:
                group.broken(failed)
                continue
            before = core.progress.phase
            core.position.epoch_done()
            core.progress.stopped |= any(one["end"] for one in said)
            metrics = _mean(said)
            core.progress.add(metrics)
            if metrics and group.leads:
                write_report(step=core.position.step, epoch=self._epoch, **metrics)
            self._tell_phase(before)
            core.turn(any(one["stop"] for one in said), said[0]["newest"])
        self._reported = {}

    def _tell_phase(self, before: Phase) -> None:
        """Tell the scheduler of a plateau and of its end; `finished` is told when the epochs are over."""
        phase = self._core.progress.phase
        if self._core.group.leads and phase is not before and phase is not Phase.FINISHED:
            self._core.uplink.tell(phase.value)


def _mean(said: list[dict[str, Any]]) -> dict[str, float]:
    """The mean of each metric over those who report it: over those who work, if any of them does."""
    means = {}
    for name in dict.fromkeys(name for one in said for name in one["values"]):
        those = [one for one in said if name in one["values"]]
        those = [one for one in those if one["works"]] or those
        means[name] = math.fsum(one["values"][name] for one in those) / len(those)
    return means
