"""Thirty days of triggers in virtual time, across a change of the clock: every firing exactly once.

1,000 triggers in five zones, for the thirty days around each of the two changes of 2026, through the same
`step` as the service. What they should have fired is read off the wall clock minute by minute, without a cron
library, by the twins of `tests/naive`.
"""

from __future__ import annotations

import random
from zoneinfo import ZoneInfo

import pytest
from tests.naive.test_firing_twins import DAYS, ZONES, Clock, changes, expected, random_line
from tests.scenario import spec

from trainmaster.domain.cluster import Node
from trainmaster.domain.commands import Launch
from trainmaster.domain.events import Event, NodeJoined, RunReported, TriggerCreated
from trainmaster.domain.firing import FiringOutcome, Trigger
from trainmaster.domain.ids import NodeId, TaskId, TriggerId, UserName
from trainmaster.domain.run import Exit, RunReport, RunState
from trainmaster.domain.task import TaskKind
from trainmaster.domain.trigger import Cron, Fold, Gap, Overlap, Timing
from trainmaster.domain.units import Resources
from trainmaster.scheduler import invariants
from trainmaster.scheduler.state import State
from trainmaster.scheduler.step import step

CALL = spec("call", command=(), kind=TaskKind.FUNCTION, function="m:f", resources=Resources(lanes=1))
PROCESS = spec("process", cpus=0.001)
TRIGGERS = 1000 // len(ZONES) // 2
MOST = 25  # firings of one trigger: what fires often has nothing more to show


class Month:
    """The scheduler's clock and one node on which everything takes a second from when it may start."""

    def __init__(self, begin: float) -> None:
        self.state = State(seed=1)
        self.now = begin
        self.fired: dict[tuple[TriggerId, int], TaskId] = {}
        self.begun: dict[TaskId, float] = {}
        self.ended: set[TaskId] = set()
        self.running: list[tuple[float, Launch]] = []  # in no order; few at a time
        self.wake: float | None = None

    def do(self, *events: Event) -> None:
        again: tuple[Event, ...] | None = events
        while again is not None:
            outcome = step(self.state, again, self.now)
            assert not outcome.refused, outcome.refused
            for key, firing in outcome.firings.items():
                assert firing.outcome is FiringOutcome.FIRED, firing
                assert key not in self.fired, f"fired twice: {key}"
                assert firing.task is not None
                self.fired[key] = firing.task
            for task in outcome.tasks.values():
                if task.ended:
                    self.ended.add(task.id)
            for command in outcome.commands:
                if isinstance(command, Launch):
                    begins = max(self.now, command.run.not_before)
                    assert command.run.id.task not in self.begun, "started twice"
                    self.begun[command.run.id.task] = begins
                    self.running.append((begins + 1, command))
            again = () if outcome.again else None
        self.wake = outcome.wake_at

    def until(self, end: float) -> None:
        while True:
            times = [at for at, _ in self.running] + ([self.wake] if self.wake is not None else [])
            following = min(times, default=end)
            if following >= end:
                self.now = end
                self.do()
                return
            self.now = following
            over = [launch for at, launch in self.running if at <= self.now]
            self.running = [(at, launch) for at, launch in self.running if at > self.now]
            self.do(
                *(
                    RunReported(
                        launch.node,
                        RunReport(launch.run.id, RunState.EXITED, self.now - 1, self.now, Exit(0)),
                    )
                    for launch in over
                )
            )


@pytest.mark.parametrize("which", [0, 1])
def test_every_firing_exactly_once(which: int) -> None:
    draw = random.Random(2026 + which)
    due: dict[TriggerId, list[int]] = {}
    made: list[Trigger] = []
    begins: list[int] = []
    for name in ZONES:
        zone = ZoneInfo(name)
        change = changes(zone)[which]
        first = change - DAYS // 2 * 86400
        begins.append(first)
        clock = Clock(zone, first)
        for number in range(TRIGGERS):
            gap, fold = draw.choice(list(Gap)), draw.choice(list(Fold))
            truth = None
            while truth is None or len(truth) > MOST:
                line, fields = random_line(draw)
                truth = expected(clock, change, fields, gap, fold)
            trigger = TriggerId(f"g-{name}-{number}")
            due[trigger] = [at * 1000 for at in truth]
            made.append(
                Trigger(
                    trigger,
                    f"{name} {number}",
                    UserName("me"),
                    Timing(Cron(line, name, gap, fold), first * 1000, (first + DAYS * 86400) * 1000 - 1),
                    draw.choice([CALL, PROCESS]),
                    seed=draw.getrandbits(63),
                    # No task is live when the next is due, so that none of these may hold anything.
                    overlap=draw.choice([Overlap.ALLOW, Overlap.SKIP, Overlap.QUEUE_ONE]),
                )
            )
    month = Month(min(begins) - 60.0)
    month.do(NodeJoined(Node(NodeId("n"), Resources(10**6, 10**12, 0, 10**6))))
    month.do(*map(TriggerCreated, made))
    for day in range((max(begins) - min(begins)) // 86400 + DAYS + 1):
        month.until(min(begins) + (day + 1) * 86400.0)
        invariants.check(month.state)
    assert set(month.fired) == {(trigger, at) for trigger, dues in due.items() for at in dues}
    assert len(month.fired) > 2000
    assert set(month.fired.values()) == set(month.begun) == month.ended
    late = [month.begun[task] - at / 1000 for (_, at), task in month.fired.items()]
    assert set(late) == {0.0}, (min(late), max(late))
