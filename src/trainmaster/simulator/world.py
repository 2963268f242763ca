"""Modelled nodes: they carry out commands and answer, as agents and training code would, after modelled
delays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trainmaster.domain.cluster import Node
from trainmaster.domain.commands import Command, Launch, Regroup, Stop
from trainmaster.domain.events import (
    Event,
    NodeJoined,
    NodeVanished,
    ProgressReported,
    RunReported,
    WorkerJoined,
    WorkerReady,
)
from trainmaster.domain.ids import NodeId, RunId, TaskId
from trainmaster.domain.run import Exit, Fault, Run, RunReport, RunState
from trainmaster.domain.task import Task
from trainmaster.domain.units import Resources
from trainmaster.simulator.errors import BadSetting
from trainmaster.simulator.faults import Straggler
from trainmaster.simulator.training import Crew, Training
from trainmaster.simulator.usage import Usage

_SLACK = 1e-9  # of a milestone: what rounding leaves


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds that things take. `start_s`: from launch to running; `restart_s`: the same for later attempts,
    which also load a checkpoint; `ready_s`: from running to ready for a group; `regroup_s`: training pauses
    so long at each change of a group; `stop_s`: from the order to the end of a run; `checkpoint_s`: seconds
    between checkpoints, which is the most that a lost node can cost; 0 loses nothing. `report_s`: seconds
    between progress reports; 0: none but at milestones; None: none at all."""

    start_s: float = 0.0
    restart_s: float = 0.0
    ready_s: float = 0.0
    regroup_s: float = 0.0
    stop_s: float = 0.0
    checkpoint_s: float = 0.0
    report_s: float | None = None

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise BadSetting(name, value, "0 or more seconds")


class _Attempt:
    """The runs of one attempt and when what they did was last written up."""

    __slots__ = (
        "awaited", "generation", "joined", "loose", "members", "need", "number", "runs", "saved", "saved_at",
        "since", "size", "starting", "task", "training", "version",
    )  # fmt: skip

    def __init__(self, task: TaskId, number: int, size: int, need: Resources, training: Training) -> None:
        self.task, self.number, self.size, self.need, self.training = task, number, size, need, training
        self.runs: dict[int, NodeId] = {}  # live ones
        self.loose: set[int] = set()  # told to stop
        self.awaited: set[int] = set()  # adopted on their way in
        self.starting = False
        self.members: tuple[int, ...] = ()  # those who train
        self.joined: set[int] = set()
        self.generation = 0
        self.since: float | None = None  # training from here on with the present crew; None: it rests
        self.version = 0  # of the appointment with its next milestone
        self.saved, self.saved_at = training.done, 0.0


@dataclass(slots=True)
class Lived:
    """What became of a task in the world: attempts, resizes of its group, worker-seconds, and its training.

    `arrived`: when its user submitted it, which a scheduler that works in rounds hears of later."""

    training: Training
    arrived: float
    starts: int = 0
    regroups: int = 0
    worker_s: float = 0.0
    begun_at: float | None = None


class World:
    """Holds what lives, and nothing of what has ended."""

    def __init__(self, at: Callable[..., None], costs: Costs) -> None:
        self._at = at
        self._costs = costs
        self.paces: dict[NodeId, float] = {}  # by node as it is; 1 if absent
        self.slowed: dict[NodeId, float] = {}  # stragglers: the part of that which is left
        self.clusters: dict[NodeId, str] = {}  # by the node label `cluster`
        self.nodes: dict[NodeId, Node] = {}
        self.lives: dict[TaskId, Lived] = {}
        self.groups: set[TaskId] = set()  # tasks whose workers form a group
        self.usage = Usage()
        self._attempts: dict[TaskId, _Attempt] = {}

    @property
    def busy(self) -> bool:
        return bool(self.lives)

    def join(self, node: Node, now: float) -> None:
        self.nodes[node.id] = node
        self.usage.join(node, now)
        cluster = dict(node.labels).get("cluster")
        if cluster is not None:
            self.clusters[node.id] = cluster

    def expect(self, task: TaskId, training: Training, arrived: float, group: bool) -> None:
        """A task with this training is about to be submitted."""
        self.lives[task] = Lived(training, arrived)
        if group:
            self.groups.add(task)

    def adopt(self, task: Task, runs: Mapping[int, Run], now: float) -> None:
        """An expected task has this attempt already; what has not been launched yet is left to an order."""
        live = {rank: run for rank, run in runs.items() if run.live}
        if not live:
            return
        life = self.lives[task.id]
        life.starts = task.attempt
        attempt = _Attempt(task.id, task.attempt, len(live), task.spec.resources, life.training)
        self._attempts[task.id] = attempt
        for rank, run in live.items():
            if run.state is not RunState.LAUNCHING:
                attempt.runs[rank] = run.node
                self.usage.take(run.node, run.resources, now)
        group = task.group
        if group is not None and group.generation:
            attempt.starting, attempt.generation = True, group.generation
            attempt.members = tuple(rank for rank in group.members if rank in attempt.runs)
            attempt.joined = set(group.joined)
            attempt.awaited = set(attempt.runs) - set(group.members) - group.leaving
            for rank in sorted(attempt.awaited):
                self._at(now + self._costs.start_s, self._joiner, attempt, rank, now + self._costs.start_s)
            if attempt.members and attempt.joined >= set(attempt.members):
                self._train(attempt, now)
        elif all(run.state is RunState.RUNNING for run in live.values()) and task.id not in self.groups:
            attempt.starting, attempt.members = True, tuple(sorted(live))
            self._train(attempt, now)
        elif len(attempt.runs) == len(live):
            attempt.starting = True
            begin = max(now + self._costs.start_s, task.spec.start_at or 0.0)
            self._at(begin, self._begin, attempt, begin)

    def drop(self, task: TaskId) -> Lived | None:
        """It has ended, or was refused."""
        attempt = self._attempts.pop(task, None)
        if attempt is not None:
            attempt.since = None
            attempt.version += 1
        self.groups.discard(task)
        return self.lives.pop(task, None)

    def training(self, task: TaskId) -> Training | None:
        life = self.lives.get(task)
        return life.training if life else None

    # --- orders ---------------------------------------------------------------------------------------------

    def obey(self, commands: Sequence[Command], now: float) -> None:
        for command in commands:
            kind = type(command)
            if kind is Launch:
                self._launch(command, now)  # type: ignore[arg-type]
            elif kind is Stop:
                self._stop(command, now)  # type: ignore[arg-type]
            elif kind is Regroup:
                self._regroup(command, now)  # type: ignore[arg-type]

    def _launch(self, command: Launch, now: float) -> None:
        run = command.run
        task = run.id.task
        attempt = self._attempts.get(task)
        if attempt is None or attempt.number != run.id.attempt:
            life = self.lives[task]
            life.starts += 1
            if life.starts > 1 and not life.training.resumes:
                life.training.back_to(0.0)
            attempt = _Attempt(task, run.id.attempt, run.world_size, run.resources, life.training)
            self._attempts[task] = attempt
        if run.id.rank in attempt.runs:
            return
        attempt.runs[run.id.rank] = command.node
        self.usage.take(command.node, run.resources, now)
        delay = self._costs.start_s if attempt.number == 1 else self._costs.restart_s
        delay = max(delay, run.not_before - now)
        if attempt.size == len(attempt.runs) and not attempt.starting:
            attempt.starting = True
            self._at(now + delay, self._begin, attempt, now + delay)
        elif attempt.starting:
            self._at(now + delay, self._joiner, attempt, run.id.rank, now + delay)

    def _begin(self, attempt: _Attempt, now: float) -> list[Event]:
        """All first workers run; a rigid task trains at once, an elastic one once its group is planned."""
        if self._attempts.get(attempt.task) is not attempt:
            return []
        ranks = [rank for rank in attempt.runs if rank not in attempt.loose]
        if not ranks:
            return []
        life = self.lives[attempt.task]
        if life.begun_at is None:
            life.begun_at = now
        if attempt.task not in self.groups:
            attempt.members = tuple(sorted(ranks))
            self._train(attempt, now)
        else:
            for rank in ranks:
                self._at(now + self._costs.ready_s, self._ready, attempt, rank)
        return [self._running(attempt, rank, now) for rank in ranks]

    def _joiner(self, attempt: _Attempt, rank: int, now: float) -> list[Event]:
        if (
            self._attempts.get(attempt.task) is not attempt
            or rank not in attempt.runs
            or rank in attempt.loose
        ):
            return []
        self._at(now + self._costs.ready_s, self._ready, attempt, rank)
        return [self._running(attempt, rank, now)]

    def _ready(self, attempt: _Attempt, rank: int) -> list[Event]:
        if (
            self._attempts.get(attempt.task) is not attempt
            or rank not in attempt.runs
            or rank in attempt.loose
        ):
            return []
        return [WorkerReady(RunId(attempt.task, attempt.number, rank), f"{attempt.runs[rank]}:{rank}")]

    def _running(self, attempt: _Attempt, rank: int, now: float) -> Event:
        run = RunId(attempt.task, attempt.number, rank)
        return RunReported(attempt.runs[rank], RunReport(run, RunState.RUNNING, started_at=now))

    def _stop(self, command: Stop, now: float) -> None:
        attempt = self._attempts.get(command.run.task)
        if attempt is None or attempt.number != command.run.attempt or command.run.rank not in attempt.runs:
            return
        attempt.loose.add(command.run.rank)
        if command.run.rank in attempt.members:
            self._rest(attempt, now)  # the group finishes its step and writes a checkpoint
            attempt.saved, attempt.saved_at = attempt.training.done, now
        due = now + self._costs.stop_s
        self._at(due, self._gone, attempt, command.run.rank, due, Exit(143, Fault.STOPPED))

    def _gone(self, attempt: _Attempt, rank: int, now: float, exit_: Exit) -> list[Event]:
        node = attempt.runs.pop(rank, None)
        if node is None:
            return []
        self.usage.give_back(node, attempt.need, now)
        run = RunId(attempt.task, attempt.number, rank)
        return [RunReported(node, RunReport(run, RunState.EXITED, None, now, exit_))]

    def _regroup(self, command: Regroup, now: float) -> None:
        """A worker hears of a plan. The first to hear makes training pause until all named have joined."""
        attempt = self._attempts.get(command.run.task)
        plan = command.plan
        if attempt is None or attempt.number != command.run.attempt or command.run.rank not in attempt.runs:
            return
        if plan.generation > attempt.generation:
            self._rest(attempt, now)
            attempt.generation, attempt.joined = plan.generation, set()
            attempt.members = tuple(plan.members)
            self.lives[attempt.task].regroups += 1
        due = now + self._costs.regroup_s
        if command.run.rank in plan.members:
            self._at(due, self._join, attempt, command.run.rank, plan.generation, due)
        elif command.run.rank not in attempt.awaited:
            self._at(due, self._gone, attempt, command.run.rank, due, Exit(0))

    def _join(self, attempt: _Attempt, rank: int, generation: int, now: float) -> list[Event]:
        if self._attempts.get(attempt.task) is not attempt or attempt.generation != generation:
            return []
        if rank not in attempt.runs or rank in attempt.loose:
            return []  # it was lost, or told to stop, on the way
        attempt.joined.add(rank)
        if attempt.joined >= set(attempt.members) and attempt.since is None:
            self._train(attempt, now)
        return [WorkerJoined(RunId(attempt.task, attempt.number, rank), generation, attempt.training.done)]

    # --- training -------------------------------------------------------------------------------------------

    def _train(self, attempt: _Attempt, now: float) -> None:
        """The present members go on from here; make an appointment with the next milestone."""
        by_node: dict[NodeId, int] = {}
        for rank in attempt.members:
            node = attempt.runs[rank]
            by_node[node] = by_node.get(node, 0) + 1
        pace = 1.0
        if self.paces or self.slowed:
            pace = min(self.paces.get(node, 1.0) * self.slowed.get(node, 1.0) for node in by_node)
        clusters = len({self.clusters.get(node, "") for node in by_node}) if self.clusters else 1
        attempt.training.crew(Crew(tuple(by_node.values()), pace, clusters))
        attempt.since = now
        self._appoint(attempt, now)

    def _appoint(self, attempt: _Attempt, now: float) -> None:
        attempt.version += 1
        training = attempt.training
        # At least the next time there is: less ahead than the clock can tell would never be done.
        due = max(now + training.ahead() / training.rate(), math.nextafter(now, math.inf))
        period = self._costs.report_s
        if period and now + period < due:
            due = now + period
        self._at(due, self._milestone, attempt, attempt.version, due)

    def _write_up(self, attempt: _Attempt, now: float) -> None:
        """Progress up to now."""
        if attempt.since is None:
            return
        seconds, training = now - attempt.since, attempt.training
        if seconds > 0:
            ahead = training.ahead()
            made = training.rate() * seconds
            training.advance(ahead if made >= ahead * (1 - _SLACK) else made)
            self.lives[attempt.task].worker_s += seconds * len(attempt.members)
        attempt.since = now
        period = self._costs.checkpoint_s
        if not period or now - attempt.saved_at >= period:
            attempt.saved, attempt.saved_at = training.done, now

    def _rest(self, attempt: _Attempt, now: float) -> None:
        self._write_up(attempt, now)
        attempt.since = None
        attempt.version += 1

    def _milestone(self, attempt: _Attempt, version: int, now: float) -> list[Event]:
        if attempt.version != version or attempt.since is None:
            return []
        self._write_up(attempt, now)
        training = attempt.training
        events: list[Event] = []
        if self._costs.report_s is not None:
            leader = attempt.members[0]
            run = RunId(attempt.task, attempt.number, leader)
            metrics = dict(training.metrics())
            events.append(ProgressReported(run, now, training.done, metrics))
        if training.over:
            attempt.since = None
            attempt.version += 1
            for rank, node in attempt.runs.items():
                run = RunId(attempt.task, attempt.number, rank)
                events.append(RunReported(node, RunReport(run, RunState.EXITED, None, now, Exit(0))))
                self.usage.give_back(node, attempt.need, now)
            attempt.runs = {}
        else:
            self._appoint(attempt, now)
        return events

    # --- faults ---------------------------------------------------------------------------------------------

    def happened(self, event: Event | Straggler, now: float) -> None:
        """A node vanished with all it held, came (back) empty, or became slow."""
        if isinstance(event, Straggler):
            self._slow_down(event, now)
        elif isinstance(event, NodeJoined):
            self.join(event.node, now)
        elif isinstance(event, NodeVanished):
            self.nodes.pop(event.node, None)
            self.usage.leave(event.node, now)
            for attempt in list(self._attempts.values()):
                dead = [rank for rank, node in attempt.runs.items() if node == event.node]
                if dead:
                    self._rest(attempt, now)
                    if set(dead) >= set(attempt.members) or attempt.task not in self.groups:
                        attempt.training.back_to(attempt.saved)
                    for rank in dead:
                        self.usage.give_back(attempt.runs.pop(rank), attempt.need, now)

    def _slow_down(self, straggler: Straggler, now: float) -> None:
        if not straggler.pace > 0:
            raise BadSetting("pace", straggler.pace, "a positive number")
        self.slowed[straggler.node] = straggler.pace
        for attempt in self._attempts.values():
            if attempt.since is not None and straggler.node in attempt.runs.values():
                self._write_up(attempt, now)
                self._train(attempt, now)
