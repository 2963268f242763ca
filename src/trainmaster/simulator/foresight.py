"""When will what waits start? The present, simulated onward by the very scheduler.

The same `step`, policies, nodes, groups and timers as the live service, from the tasks and runs as they are
now; only the nodes and the training are modelled. What is not in it: tasks still to be submitted.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trainmaster.domain.cluster import Node, NodeState, Quota
from trainmaster.domain.events import Event, NodeJoined
from trainmaster.domain.ids import NodeId, TaskId, UserName
from trainmaster.domain.learned import NOTHING_LEARNED, Learned
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.run import Run, RunReport, RunState
from trainmaster.domain.task import NO_TRIGGER, Elasticity, Task
from trainmaster.policies.learned import TaskNetwork
from trainmaster.policies.registry import Profile, build
from trainmaster.ports import Past
from trainmaster.scheduler.state import Limits, Outcome, restore
from trainmaster.simulator.errors import Stalled
from trainmaster.simulator.loop import Scenario, Simulation
from trainmaster.simulator.training import Length
from trainmaster.simulator.workload.history import (
    estimated,
    performed,
    speed_of,
    start_seconds,
    training_of,
)
from trainmaster.simulator.world import Costs

MOST_TASKS = 2_000  # live ones
_MOST_STEPS = 20_000
_LOOK_S = 60.0  # between two looks at worker counts that nothing else calls for
# What a task that has outrun its expected length still takes: a share of what it has done, and at least so
# many seconds (inferred: long ones are late by more).
_OVERDUE, _OVERDUE_S = 0.1, 1.0


@dataclass(frozen=True, slots=True)
class Present:
    """`tasks`, `runs`: the live ones with the current attempt's workers. `pasts`: the latest tasks as stored,
    ended or not, from which lengths are learnt. `learned`: how the live elastic ones train. `networks`: see
    `registry.build`."""

    now: float
    profile: Profile
    nodes: Sequence[Node]
    tasks: Sequence[Task]
    runs: Sequence[Run]
    quotas: Sequence[Quota]
    learned: Mapping[TaskId, Learned]
    pasts: Sequence[Past]
    drained: Mapping[NodeId, UserName | None] = field(default_factory=dict)
    networks: Mapping[str, TaskNetwork] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Expected:
    """Seconds from now; None: not within what was simulated, or never. `guesses`: how many tasks that start
    before it have a length that neither an estimate nor earlier ones of their name tell."""

    starts_in_s: float | None
    ends_in_s: float | None
    guesses: int


@dataclass(frozen=True, slots=True)
class Foresight:
    """What is to be expected of each live task."""

    now: float
    tasks: Mapping[TaskId, Expected]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        rows = {task: (e.starts_in_s, e.ends_in_s, e.guesses) for task, e in self.tasks.items()}
        return {"now": self.now, "tasks": rows}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Foresight:
        """Inverse of `to_dict`."""
        return cls(data["now"], {TaskId(task): Expected(*row) for task, row in data["tasks"].items()})


def look_ahead(present: Present) -> Foresight:
    """Bounded: to the end of all, or as many steps as a second or two allow."""
    lengths = _Lengths(present)
    tasks = [_alone(task, lengths) for task in present.tasks]
    trainings = {task.id: lengths.training(task) for task in tasks}
    nodes = [node for node in present.nodes if node.state is not NodeState.GONE]
    expected = {task.id: Expected(None, None, 0) for task in tasks}
    if not nodes:
        return Foresight(present.now, expected)
    onward = _Onward(replace(present, tasks=tasks, nodes=nodes), trainings)
    try:
        onward.run(enough=lambda: onward.steps > _MOST_STEPS)
    except Stalled:
        pass  # those left over never start: that is what is said of them
    starts = onward.starts
    guesses = sorted(starts[task] for task in lengths.guessed if task in starts)
    for task in tasks:
        start, end = starts.get(task.id), onward.ends.get(task.id)
        expected[task.id] = Expected(
            None if start is None else max(start - present.now, 0.0),
            None if end is None else max(end - present.now, 0.0),
            sum(other < start for other in guesses) if start is not None else 0,
        )
    return Foresight(present.now, expected)


def _alone(task: Task, lengths: _Lengths) -> Task:
    """Without what lies outside: its workflow and its trigger; and as rigid as its kind has shown to be."""
    spec = replace(task.spec, part=None, trigger=NO_TRIGGER, due_ms=None)
    if spec.elastic and spec.elasticity is Elasticity.AUTO and not lengths.forms_group(task):
        spec = replace(spec, elasticity=Elasticity.NONE)
    return replace(task, spec=spec)


class _Onward(Simulation):
    """A simulation that begins in the present."""

    def __init__(self, present: Present, trainings: Mapping[TaskId, Length]) -> None:
        start_s = start_seconds(present.pasts)
        limits = Limits(allotment_period_s=_LOOK_S)
        costs = Costs(start_s=start_s, restart_s=start_s, regroup_s=limits.group_pause_s)
        super().__init__(
            Scenario(
                present.nodes,
                build(present.profile, present.networks),
                (),
                costs,
                seed=present.seed,
                limits=limits,
            )
        )
        self.starts: dict[TaskId, float] = {}
        self.ends: dict[TaskId, float] = {}
        self._present = present
        self._trainings = trainings

    def _begin(self) -> None:
        """As after a restart of the service: the state from what is stored, reconciled with the nodes."""
        present, now = self._present, self._present.now
        self.now = now
        restore(self.state, present.tasks, present.runs, present.quotas, {}, now)
        self.state.learned.update(present.learned)
        self.state.drained.update(present.drained)
        for node in present.nodes:
            self.world.join(node, now)
        held: dict[NodeId, list[RunReport]] = defaultdict(list)
        for task in present.tasks:
            runs = self.state.runs.get(task.id, {})
            group = task.spec.elastic and task.spec.elasticity is Elasticity.AUTO
            self.world.expect(task.id, self._trainings[task.id], task.submitted_at, group)
            self.world.adopt(task, runs, now)
            if task.started_at is not None:
                self.starts[task.id] = task.started_at
            for run in runs.values():
                if run.live and run.state is not RunState.LAUNCHING:
                    held[run.node].append(RunReport(run.id, run.state, run.started_at))
        up = [replace(node, state=NodeState.UP) for node in present.nodes]
        self._step([NodeJoined(node, tuple(held[node.id])) for node in up])
        self._arm()

    def _carry_out(self, events: list[Event], outcome: Outcome) -> None:
        super()._carry_out(events, outcome)
        for task in outcome.tasks.values():
            if task.started_at is not None:
                self.starts.setdefault(task.id, task.started_at)
            if task.ended_at is not None:
                self.ends[task.id] = task.ended_at


class _Lengths:
    """How much work each task is: by its estimate, else by what tasks of its name and user were, else a
    guess."""

    def __init__(self, present: Present) -> None:
        self.guessed: set[TaskId] = set()
        self._present = present
        self._past = {past.task.id: past for past in present.pasts}
        self._speeds = {
            task.id: speed_of(task, present.learned.get(task.id, NOTHING_LEARNED)) for task in present.tasks
        }
        self._works: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._groups: dict[tuple[str, str], bool] = {}
        for past in present.pasts:
            if past.task.state is TaskState.SUCCEEDED:
                work = performed(past, speed_of(past.task, NOTHING_LEARNED), 0.0, present.now)
                self._works[_kind(past.task)].append(work)
            if past.task.spec.elastic and past.runs:
                self._groups[_kind(past.task)] = past.generations > 0
        every = [work for works in self._works.values() for work in works]
        self._any = statistics.median(every) if every else None

    def forms_group(self, task: Task) -> bool:
        """A running one shows it; of others those of its name tell, and without any it is believed."""
        if task.started_at is not None:
            return task.group is not None
        return self._groups.get(_kind(task), True)

    def training(self, task: Task) -> Length:
        """With what it has done so far behind it."""
        speed = self._speeds[task.id]
        past = self._past.get(task.id) or Past(task, ())
        done = performed(past, speed, 0.0, self._present.now)
        whole = estimated(task.spec, speed)
        if whole is None and (works := self._works.get(_kind(task))):
            whole = statistics.median(works)
        if whole is None:
            self.guessed.add(task.id)
            # Of a thing met at a random moment as much is to come as has been.
            whole = max(2 * done, self._any or 0.0)
        if done >= whole:
            whole = done + max(done * _OVERDUE, _OVERDUE_S)
        training = training_of(whole, speed, past.reported)
        training.advance(done)
        return training


def _kind(task: Task) -> tuple[str, str]:
    return task.spec.user, task.spec.name
