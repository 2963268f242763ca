"""Virtual time: what happens is taken from a heap, handed to `scheduler.step`, and the answer carried out."""

from __future__ import annotations

import gc
import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from trainmaster.domain.cluster import Node
from trainmaster.domain.events import Event, NodeJoined, TaskSubmitted
from trainmaster.domain.ids import NodeId, TaskId
from trainmaster.domain.task import Elasticity, TaskSpec
from trainmaster.policies.registry import Policies
from trainmaster.scheduler.state import Limits, Outcome, State
from trainmaster.scheduler.step import step
from trainmaster.simulator.errors import BadSetting, Stalled
from trainmaster.simulator.faults import Straggler
from trainmaster.simulator.report import Report
from trainmaster.simulator.training import Training
from trainmaster.simulator.world import Costs, World


@dataclass(frozen=True, slots=True)
class Arrival:
    """A task that is submitted at `time` (seconds) and what it does when it runs."""

    time: float
    spec: TaskSpec
    training: Training


_FAULTS_ALONE = 100  # of each node, with no change of any task between them: nothing will come of it


@dataclass(frozen=True, slots=True)
class Scenario:
    """All a run depends on. The same scenario gives the same run, to the byte.

    `arrivals` must not go back in time; it is read as it is needed, so it may be endless if `until` is given.
    `faults`: events of nodes and stragglers with their times, likewise in order (`Faults.over` makes endless
    ones). `paces`: how fast nodes are, 1 if they are not named. `round_s`: decide only at multiples of it
    (news waits for the next), as schedulers that work in rounds do; 0 decides at once.
    """

    nodes: Sequence[Node]
    policies: Policies
    arrivals: Iterable[Arrival]
    costs: Costs = field(default_factory=Costs)
    faults: Iterable[tuple[float, Event | Straggler]] = ()
    paces: Mapping[NodeId, float] = field(default_factory=dict)
    round_s: float = 0.0
    until: float = math.inf
    seed: int = 0
    limits: Limits = field(default_factory=Limits)


class _Due(NamedTuple):
    time: float
    number: int  # of things due at one time the one scheduled first goes first
    call: Callable[..., Iterable[Event]]
    args: tuple[Any, ...]


class Simulation:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario, report: Report | None = None) -> None:
        if not 0 <= scenario.round_s < math.inf:
            raise BadSetting("round_s", scenario.round_s, "0 or more seconds")
        if not scenario.nodes:
            raise BadSetting("nodes", 0, "at least one node")
        self.now = 0.0
        self.state = State(seed=scenario.seed, limits=scenario.limits, policies=scenario.policies)
        self.report = report or Report()
        self.world = World(self.at, scenario.costs)
        for node, pace in scenario.paces.items():
            if not 0 < pace < math.inf:
                raise BadSetting(f"pace of {node}", pace, "a positive number")
            self.world.paces[node] = pace
        self.steps = 0
        self._scenario = scenario
        self._heap: list[_Due] = []
        self._numbers = 0
        self._arrivals = iter(scenario.arrivals)
        self._faults = iter(scenario.faults)
        self._submitted = 0

    def at(self, time: float, call: Callable[..., Iterable[Event]], *args: Any) -> None:
        """Have `call(*args)` happen then; what it returns are the events the scheduler hears of."""
        self._numbers += 1
        heapq.heappush(self._heap, _Due(time, self._numbers, call, args))

    def run(self, enough: Callable[[], bool] = lambda: False) -> Report:
        """To the end of all tasks, to `until`, or until it is `enough`, which is asked between steps. Raises
        Stalled if tasks remain that will never end."""
        with _collector_at_rest():
            self._begin()
            heap = self._heap
            while heap:
                if not self.state.tasks and self._waits_for_faults_only():
                    break
                now = self._next_time()
                if now > self._scenario.until:
                    self.now = self._scenario.until
                    break
                self.now = now
                self._step(self._happen(now))
                self._arm()
                if enough():
                    break
                if self._faults_alone > _FAULTS_ALONE * len(self._scenario.nodes):
                    break
        self.report.close(self.now, self.world)
        if self.state.tasks and (not heap or self._faults_alone):
            raise Stalled(self.now, list(self.state.tasks))
        return self.report

    def _begin(self) -> None:
        nodes = self._scenario.nodes
        for node in nodes:
            self.world.join(node, self.now)
        self._step([NodeJoined(node) for node in nodes])
        self._next_arrival()
        self._next_fault()
        self._arm()

    def _waits_for_faults_only(self) -> bool:
        return self._upcoming is None and not self.world.busy

    def _next_time(self) -> float:
        due, period = self._heap[0].time, self._scenario.round_s
        if not period:
            return due
        return max(math.ceil(due / period - 1e-9) * period, self.now)

    def _happen(self, now: float) -> list[Event]:
        heap = self._heap
        events: list[Event] = []
        while heap and heap[0].time <= now:
            due = heapq.heappop(heap)
            events.extend(due.call(*due.args))
        return events

    def _step(self, events: list[Event]) -> None:
        state, now = self.state, self.now
        if self._scenario.round_s:
            state.unsettled = state.allot_due = True  # a round is a decision, whatever has happened
        while True:
            outcome = step(state, events, now)
            self.steps += 1
            self._carry_out(events, outcome)
            if not outcome.again:
                return
            events = []

    def _carry_out(self, events: list[Event], outcome: Outcome) -> None:
        for position, error in outcome.refused.items():
            event = events[position]
            if isinstance(event, TaskSubmitted):
                self.world.drop(event.id)
                self.report.refused(event, error)
        self.world.obey(outcome.commands, self.now)
        self.report.take(outcome, self.now)
        if outcome.tasks:
            self._faults_alone = 0
        for task in outcome.tasks.values():
            if task.ended_at is not None:
                self.report.ended(task, self.world.drop(task.id))
        self._wake_at = outcome.wake_at

    def _arm(self) -> None:
        """Wake up for the scheduler's own timers."""
        if self._wake_at is not None and (not self._heap or self._wake_at < self._heap[0].time):
            self.at(self._wake_at, tuple)

    _faults_alone = 0  # since the last change of a task
    _wake_at: float | None = None
    _upcoming: Arrival | None = None

    def _next_arrival(self) -> None:
        before = self._upcoming
        self._upcoming = following = next(self._arrivals, None)
        if following is None:
            return
        if before is not None and following.time < before.time:
            raise BadSetting(
                "arrivals", following.time, f"in order of time (the one before is at {before.time})"
            )
        self.at(following.time, self._arrive)

    def _arrive(self) -> list[Event]:
        """Submit all that are due at this time."""
        events: list[Event] = []
        arrival = self._upcoming
        assert arrival is not None
        time = arrival.time
        while arrival is not None and arrival.time == time:
            self._submitted += 1
            task = TaskId(f"t-{self._submitted:07d}")
            spec = arrival.spec
            group = spec.elastic and spec.elasticity is Elasticity.AUTO
            self.world.expect(task, arrival.training, time, group)
            events.append(TaskSubmitted(task, arrival.spec))
            self._upcoming = following = next(self._arrivals, None)
            if following is not None and following.time != time:
                if following.time < time:
                    raise BadSetting("arrivals", following.time, "in order of time")
                self.at(following.time, self._arrive)
            arrival = following
        return events

    def _next_fault(self) -> None:
        fault = next(self._faults, None)
        if fault is not None:
            self.at(fault[0], self._fail, fault[1])

    def _fail(self, event: Event | Straggler) -> list[Event]:
        self.world.happened(event, self.now)
        self._next_fault()
        self._faults_alone += 1
        return [] if isinstance(event, Straggler) else [event]


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Our values hold no cycles: full collections would only take time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
