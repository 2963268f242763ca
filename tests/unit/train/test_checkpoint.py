"""Checkpoints that are written beside training."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from trainmaster.train.checkpoint import Checkpoints, Writer


def fail(error: OSError) -> None:
    raise AssertionError(error)


def test_each_is_whole_and_the_newest_two_stay(tmp_path: Path) -> None:
    checkpoints = Checkpoints(str(tmp_path))
    writer = Writer(checkpoints, fail)
    for clock in (1, 2, 10):
        writer.begin(clock, b"x" * clock)
    writer.wait()
    assert checkpoints.newest() == b"x" * 10
    assert len(list(tmp_path.iterdir())) == 2


def test_one_that_cannot_be_written_is_told_and_the_one_before_stays(tmp_path: Path) -> None:
    told: list[OSError] = []
    checkpoints = Checkpoints(str(tmp_path))
    writer = Writer(checkpoints, told.append)
    writer.begin(1, b"one")
    writer.wait()
    (tmp_path / "checkpoint-000000000002").mkdir()  # in the way
    writer.begin(2, b"two")
    writer.wait()
    assert len(told) == 1
    with pytest.warns(UserWarning, match="cannot be read"):
        assert checkpoints.newest() == b"one"
    assert not list(tmp_path.glob("*.part"))


def test_what_a_killed_worker_left_half_written_is_removed_in_time(tmp_path: Path) -> None:
    checkpoints = Checkpoints(str(tmp_path))
    for age_s in (0.0, 7200.0):
        part = tmp_path / f"checkpoint-000000000001.{int(age_s)}.part"
        part.touch()
        os.utime(part, (time.time() - age_s,) * 2)
    checkpoints.save(2, b"two")
    assert [path.name for path in tmp_path.glob("*.part")] == ["checkpoint-000000000001.0.part"]
