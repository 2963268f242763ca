"""The callback, called in the order in which Hugging Face's and Lightning's trainers call theirs."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from trainmaster.train.callbacks import TrainmasterCallback


def test_hugging_face_reports_and_saves_and_stops_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINMASTER_REPORT", str(tmp_path / "report"))
    before = signal.getsignal(signal.SIGTERM)
    callback = TrainmasterCallback()
    state = SimpleNamespace(is_world_process_zero=True, global_step=7)
    control = SimpleNamespace(should_save=False, should_training_stop=False)
    assert callback.on_init_end(None, state, control) is None
    callback.on_train_begin(None, state, control, model=None)
    callback.on_log(None, state, control, logs={"eval_accuracy": 0.5, "loss": 1.5, "total_flos": 9})
    callback.on_step_end(None, state, control)
    assert not control.should_save and not control.should_training_stop
    os.kill(os.getpid(), signal.SIGTERM)
    callback.on_step_end(None, state, control)
    assert control.should_save and control.should_training_stop
    callback.on_train_end(None, state, control)
    assert signal.getsignal(signal.SIGTERM) is before
    told = json.loads((tmp_path / "report").read_text())
    assert (told["step"], told["val_accuracy"], told["loss"]) == (7, 0.5, 1.5) and "total_flos" not in told


def test_lightning_reports_and_saves_once_and_stops_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINMASTER_REPORT", str(tmp_path / "report"))
    callback = TrainmasterCallback(str(tmp_path))
    saved: list[str] = []

    def save(path: str) -> None:
        saved.append(path)
        Path(path).touch()

    strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)
    trainer = SimpleNamespace(
        should_stop=False, save_checkpoint=save, is_global_zero=True, global_step=20, current_epoch=1,
        callback_metrics={"val_loss": 0.25}, strategy=strategy,
    )  # fmt: skip
    assert callback.checkpoint is None
    callback.setup(trainer, None, stage="fit")
    callback.on_fit_start(trainer, None)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Lightning's own
    callback.on_train_start(trainer, None)
    callback.on_train_batch_end(trainer, None, None, None, 0)
    assert not saved
    os.kill(os.getpid(), signal.SIGTERM)
    callback.on_train_batch_end(trainer, None, None, None, 1)
    callback.on_train_batch_end(trainer, None, None, None, 2)
    callback.on_train_epoch_end(trainer, None)
    callback.on_fit_end(trainer, None)
    assert trainer.should_stop and saved == [callback.checkpoint]
    told = json.loads((tmp_path / "report").read_text())
    assert (told["step"], told["epoch"], told["val_loss"]) == (20, 1, 0.25)


def test_told_before_the_first_batch_lightning_exchanges_nothing_in_its_handler(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    callback = TrainmasterCallback(str(tmp_path))
    broadcasts: list[int] = []
    connector = SimpleNamespace(_sigterm_notifier_fn=lambda number, frame: broadcasts.append(number))
    callback.on_fit_start(SimpleNamespace(_signal_connector=connector), None)
    handlers = [connector._sigterm_notifier_fn, signal.getsignal(signal.SIGTERM)]  # as Lightning joins them
    signal.signal(signal.SIGTERM, lambda number, frame: [handler(number, frame) for handler in handlers])
    os.kill(os.getpid(), signal.SIGTERM)
    assert callback.leaving and not broadcasts
    callback.on_fit_end(None, None)
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_is_no_callback_is_no_attribute() -> None:
    assert not hasattr(TrainmasterCallback(), "something")
