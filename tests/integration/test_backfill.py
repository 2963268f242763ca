"""Back-fill where retention has deleted what fired: refused, for a due time fires once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trainmaster.domain.firing import Firing, FiringOutcome, Trigger
from trainmaster.domain.ids import TriggerId, UserName
from trainmaster.domain.task import TaskSpec
from trainmaster.domain.trigger import Interval, InvalidTrigger, Timing
from trainmaster.ports import Batch
from trainmaster.service.triggers import TriggerDesk
from trainmaster.store import SqlStore


class Hand:
    """A clock that stands."""

    def now(self) -> float:
        return 1_000.0


async def test_what_fired_and_is_forgotten_is_not_made_up_for(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/store.db")
    await store.open()
    unused: Any = None  # a plan asks the store alone
    desk = TriggerDesk(unused, store, Hand(), 1, unused, unused)
    made = Trigger(
        TriggerId("g-1"), "each", UserName("me"), Timing(Interval(10_000)), TaskSpec("t", command=("true",))
    )
    made = replace(made, next_ms=1_010_000)
    fired = [Firing(made.id, due, FiringOutcome.FIRED, due / 1000) for due in (300_000, 310_000, 600_000)]
    missed = Firing(made.id, 100_000, FiringOutcome.MISSED, 100.0)
    try:
        await store.commit(Batch(triggers=[made], firings=[*fired, missed]))
        plan = await desk.plan_backfill(made, 290_000, 330_000)
        assert (plan.dues, plan.fired) == ((290_000, 320_000), 2)
        await store.expire(tasks_before=0.0, records_before=500.0, logs_before=0.0, limit=100)
        for since, until in ((290_000, 330_000), (0, 900_000), (310_000, 320_000)):
            with pytest.raises(InvalidTrigger, match="00:05:00 UTC to 1970-01-01 00:05:10 UTC is not kept"):
                await desk.plan_backfill(made, since, until)
        assert (await desk.plan_backfill(made, 90_000, 120_000)).dues == (90_000, 100_000, 110_000)
        plan = await desk.plan_backfill(made, 590_000, 620_000)
        assert (plan.dues, plan.fired) == ((590_000, 610_000), 1)
    finally:
        await store.close()
