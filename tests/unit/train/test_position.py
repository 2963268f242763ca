"""Where training is, and what a worker that comes late makes of it."""

from __future__ import annotations

from trainmaster.train.position import Position


def test_an_epoch_is_over_for_a_late_worker_once_all_its_parts_are() -> None:
    position = Position(clock=0)
    assert not position.batches_done
    position.step_done(3, 4)
    assert not position.batches_done
    position.step_done(1, 4)
    assert position.batches_done, "an epoch has one part until one was seen to have more"
    position.step_done(2, 2)
    position.epoch_done()
    assert (position.epoch, position.parts) == (1, 2)
    position.step_done(4, 4)
    assert not position.batches_done, "the second part is still to come"


def test_a_position_travels_whole() -> None:
    position = Position(clock=7, step=5, epoch=2, part=1, index=3, parts=2)
    other = Position()
    other.load(position.dump())
    assert other == position
