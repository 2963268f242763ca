"""When the leader tells how fast its group is."""

from __future__ import annotations

from trainmaster.train.tally import FIRST_STEPS, Tally


def test_it_tells_after_the_first_steps_and_at_every_change() -> None:
    tally = Tally()
    told = [tally.step(64, urgent=False) for _ in range(FIRST_STEPS)]
    assert told == [False] * (FIRST_STEPS - 1) + [True]
    assert tally.take() > 0
    assert not tally.step(64, urgent=False), "not again so soon"
    assert tally.step(64, urgent=True)
    assert tally.take() > 0
