"""Reporting, and leaving in good order, for scripts whose loop is Lightning's or Hugging Face's.

    trainer = transformers.Trainer(..., callbacks=[TrainmasterCallback()])
    trainer = lightning.Trainer(..., callbacks=[TrainmasterCallback()])

Neither library is imported: both call their callbacks by name, and Hugging Face's own `TrainerCallback` holds
nothing but empty methods. When Trainmaster sends TERM, before a resize by restart or a preemption, the
trainer saves at the end of the step and stops; the script resumes from its checkpoint when it is started
again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from trainmaster.train.report import report

_LIGHTNING = "trainmaster.ckpt"


class TrainmasterCallback:
    """One callback for both. `folder`, for Lightning's checkpoint, is the task's own unless given.

    Made in the main thread, where it takes TERM over from the start of `fit` until training ends. `leaving`
    says afterwards whether that was why; the processes of a distributed training leave together. Before that,
    while it imports or waits for the others, a process ends by TERM at once; those left alone wait as long as
    torch does, but for Trainmaster, which ends them with the attempt.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.leaving = False
        self._folder = folder or os.environ.get("TRAINMASTER_CHECKPOINT_DIR", "")
        self._before: Any = None
        self._handles = False

    @property
    def checkpoint(self) -> str | None:
        """Lightning's checkpoint of an earlier attempt, for `trainer.fit(model, ckpt_path=...)`."""
        path = Path(self._folder, _LIGHTNING)
        return str(path) if self._folder and path.exists() else None

    # --- Hugging Face --------------------------------------------------------------------------------------

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        self.leaving = _any_of(self.leaving, args.device if args is not None else "cpu")
        if self.leaving:
            control.should_save = control.should_training_stop = True
        return control

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            report(step=state.global_step, **_metrics(logs or {}, "eval_"))

    # --- Lightning -----------------------------------------------------------------------------------------

    def on_train_batch_end(self, trainer: Any, *args: Any, **kwargs: Any) -> None:
        if trainer.should_stop:
            return
        self.leaving = trainer.strategy.reduce_boolean_decision(self.leaving, all=False)
        if self.leaving:
            if self._folder:
                trainer.save_checkpoint(str(Path(self._folder, _LIGHTNING)))
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Any, *args: Any) -> None:
        if trainer.is_global_zero:
            values = _metrics(trainer.callback_metrics, "")
            report(step=trainer.global_step, **{**values, "epoch": trainer.current_epoch})

    def on_fit_start(self, trainer: Any, *args: Any) -> None:
        self._take_over()
        # Lightning puts a handler of its own before ours next. It broadcasts to the other processes, whatever
        # they are at: told to leave at different steps, or only one, they would wait for each other for good.
        connector = getattr(trainer, "_signal_connector", None)
        if self._handles and connector is not None:
            connector._sigterm_notifier_fn = _nothing

    def on_train_start(self, *args: Any) -> None:
        # Should that handler have been there all the same, it would end the process at the next batch, with
        # exit code 0 and nothing saved.
        if self._handles:
            signal.signal(signal.SIGTERM, self._terminated)

    def on_fit_end(self, *args: Any) -> None:
        self._give_back()

    # --- both ----------------------------------------------------------------------------------------------

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        self._take_over()

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        self._give_back()

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Every other `on_…`, and `setup` and `teardown`, do nothing."""
        if name.startswith("on_") or name in ("setup", "teardown"):
            return _nothing
        raise AttributeError(name)

    @property
    def state_key(self) -> str:
        return type(self).__qualname__

    @property
    def _legacy_state_key(self) -> str:  # Lightning looks for it when it loads a checkpoint
        return self.state_key

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass

    def _take_over(self) -> None:
        if not self._handles and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._terminated)
            self._handles = True

    def _give_back(self) -> None:
        if self._handles:
            signal.signal(signal.SIGTERM, self._before)
            self._handles = False

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        self.leaving = True


def _metrics(values: Any, prefix: str) -> dict[str, Any]:
    """Hugging Face's `eval_accuracy` is `val_accuracy` here, as the scheduler knows it."""
    return {
        f"val_{name.removeprefix(prefix)}" if prefix and name.startswith(prefix) else name: value
        for name, value in values.items()
        if name not in ("step", "total_flos")
    }


def _any_of(leaving: bool, device: Any) -> bool:
    """Whether any process of a distributed training is to leave: TERM reaches them in different steps."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return leaving
    import torch

    flag = torch.tensor(float(leaving), device=device)
    distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
    return bool(flag)


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None
