"""When the leader tells how fast its group is."""

from __future__ import annotations

import pytest

from trainmaster.train import tally
from trainmaster.train.tally import FIRST_STEPS, Tally


def test_it_tells_after_the_first_steps_and_then_now_and_then() -> None:
    one = Tally()
    assert [one.step(64, False) for _ in range(FIRST_STEPS)] == [False] * (FIRST_STEPS - 1) + [True]
    assert one.take() > 0
    assert not one.step(64, False), "not again so soon"
    assert not one.step(64, True), "not even after a change"


def test_a_change_is_told_before_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "SOONEST_S", 0.0)
    one = Tally()
    assert one.step(64, True) and one.take() > 0
    assert not one.step(64, False)
    assert one.step(64, True)
