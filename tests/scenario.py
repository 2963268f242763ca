"""A few words to write scheduling scenarios in: a state, nodes, tasks, and a world that obeys commands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trainmaster.domain.cluster import Node
from trainmaster.domain.commands import Forget, Launch, Regroup, Stop
from trainmaster.domain.events import Event, NodeJoined, RunReported, TaskSubmitted, WorkerJoined, WorkerReady
from trainmaster.domain.firing import Firing, FiringOutcome
from trainmaster.domain.group import GroupPlan
from trainmaster.domain.history import Record
from trainmaster.domain.ids import NodeId, RunId, TaskId, TriggerId
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.run import Exit, Fault, RunReport, RunState
from trainmaster.domain.task import Task, TaskSpec
from trainmaster.domain.units import Resources
from trainmaster.policies.registry import Profile, build
from trainmaster.scheduler import invariants
from trainmaster.scheduler.state import Limits, Outcome, State
from trainmaster.scheduler.step import step

GB = 10**9


def spec(name: str = "job", cpus: float = 1, **fields: Any) -> TaskSpec:
    fields.setdefault("resources", Resources(cpu_m=int(cpus * 1000)))
    fields.setdefault("command", ("true",))
    return TaskSpec(name, **fields)


class World:
    """Drives `step` and keeps what the nodes hold. Nothing happens by itself: tests say what happens."""

    def __init__(
        self, nodes: dict[str, float | Resources] | None = None, limits: Limits | None = None, **profile: str
    ) -> None:
        self.now = 1000.0
        self.state = State(limits=limits or Limits())
        if profile:
            base = {"ordering": "fcfs", "allotment": "fixed", "placement": "binpack", "preemption": "none"}
            self.state.policies = build(Profile("test", **{**base, **profile}))
        self.history: list[Record] = []
        self.final: dict[TaskId, Task] = {}
        self.firings: dict[tuple[TriggerId, int], Firing] = {}
        self.held: dict[RunId, tuple[NodeId, RunReport]] = {}
        self.launches: list[RunId] = []
        self.forgotten: list[RunId] = []
        self.stopped: list[RunId] = []
        self.plans: dict[RunId, GroupPlan] = {}  # the latest each worker was told
        self.last = Outcome()
        self._count = 0
        for name, capacity in (nodes or {}).items():
            self.join(name, capacity)

    def do(self, *events: Event, after: float = 0.0) -> Outcome:
        """One step. Checks every invariant and obeys the commands (launched runs wait to be started)."""
        self.now += after
        outcome = step(self.state, list(events), self.now)
        invariants.check(self.state)
        self.last = outcome
        self.history += outcome.records
        for key, firing in outcome.firings.items():
            before = self.firings.get(key)
            undecided = before is None or before.outcome is FiringOutcome.WAITING
            same = before is not None and (before.task, before.run) == (firing.task, firing.run)
            # What was claimed or skipped ahead, and taken back for a changed trigger, is decided on anew.
            ahead = (
                before is not None
                and before.outcome is FiringOutcome.SKIPPED
                and before.decided_at * 1000 < before.due_ms
            )
            task = None if before is None or before.task is None else self._latest(before.task, outcome)
            back = task is not None and task.state is TaskState.CANCELLED and task.first_started_at is None
            assert undecided or same or ahead or back, f"decided on twice: {before}, {firing}"
            self.firings[key] = firing
        for task in outcome.tasks.values():
            if task.ended:
                assert task.id not in self.final, "a task ended twice"
                self.final[task.id] = task
        for command in outcome.commands:
            if isinstance(command, Launch):
                if command.run.id not in self.held:
                    self.launches.append(command.run.id)
                    self.held[command.run.id] = (
                        command.node,
                        RunReport(command.run.id, RunState.LAUNCHING),
                    )
            elif isinstance(command, Regroup):
                self.plans[command.run] = command.plan
            elif isinstance(command, Stop):
                self.stopped.append(command.run)
            elif isinstance(command, Forget):
                self.held.pop(command.run, None)
                self.forgotten.append(command.run)
        return outcome

    def _latest(self, task: TaskId, outcome: Outcome) -> Task | None:
        return outcome.tasks.get(task) or self.final.get(task)

    def join(self, name: str, capacity: float | Resources = 1, **fields: Any) -> Outcome:
        if not isinstance(capacity, Resources):
            capacity = Resources(cpu_m=int(capacity * 1000), memory=64 * GB, lanes=64)
        node = Node(NodeId(name), capacity, joined_at=self.now, **fields)
        runs = tuple(report for at, report in self.held.values() if at == name)
        return self.do(NodeJoined(node, runs))

    def submit(self, *specs: TaskSpec, after: float = 0.0) -> list[TaskId]:
        """Submit all in one step. Raises the first refusal."""
        ids = []
        for _ in specs:
            self._count += 1
            ids.append(TaskId(f"t-{self._count:05d}"))
        outcome = self.do(*map(TaskSubmitted, ids, specs), after=after)
        for error in outcome.refused.values():
            raise error
        return ids

    def task(self, task: TaskId) -> Task:
        return self.state.tasks.get(task) or self.final[task]

    def running(self) -> list[TaskId]:
        return sorted(self.state.runs)

    def nodes_of(self, task: TaskId) -> list[str]:
        return [run.node for _, run in sorted(self.state.runs[task].items())]

    def report(self, run: RunId, state: RunState, exit_: Exit | None = None) -> Outcome:
        node, report = self.held[run]
        started = report.started_at
        if state is RunState.RUNNING or (state is RunState.EXITED and exit_ and exit_.code is not None):
            started = started if started is not None else self.now
        report = replace(
            report,
            state=state,
            started_at=started,
            ended_at=self.now if state in (RunState.EXITED, RunState.LOST) else None,
            exit=exit_,
        )
        self.held[run] = (node, report)
        return self.do(RunReported(node, report))

    def start(self, task: TaskId) -> None:
        """All workers of the current attempt begin to run."""
        for rank in sorted(self.state.runs[task]):
            self.report(self.state.runs[task][rank].id, RunState.RUNNING)

    def ready(self, task: TaskId) -> None:
        """All workers of the attempt run, and those that have not yet say that they can be planned."""
        for rank, run in sorted(self.state.runs[task].items()):
            if run.live and run.state is not RunState.RUNNING:
                self.report(run.id, RunState.RUNNING)
            group = self.task(task).group
            if run.live and (group is None or rank not in dict(group.stores)):
                self.do(WorkerReady(run.id, f"127.0.0.1:{1000 + rank}"))

    def follow(self, task: TaskId) -> None:
        """Members join the generation they were told of; whoever is not in it any more ends."""
        while (group := self.task(task).group) is not None and not self.task(task).ended:
            live = {rank: run.id for rank, run in self.state.runs[task].items() if run.live}
            late = [r for r in group.members if r in live and r not in group.joined]
            gone = [r for r in group.leaving if r in live and r not in group.members]
            if late:
                assert self.plans[live[late[0]]] == group.plan, "everybody is told the latest plan"
                self.do(WorkerJoined(live[late[0]], group.generation, 10.0))
            elif gone:
                self.report(live[gone[0]], RunState.EXITED, Exit(0))
            else:
                return

    def end(self, task: TaskId, code: int = 0, fault: Fault = Fault.NONE, after: float = 0.0) -> None:
        """All workers of the current attempt end the same way."""
        self.now += after
        for run in [run for run in self.state.runs[task].values() if run.live]:
            self.report(run.id, RunState.EXITED, Exit(code, fault))

    def obey_stops(self) -> None:
        """Whatever was asked to stop is now verifiably gone."""
        stopped, self.stopped = self.stopped, []
        for run in stopped:
            if run in self.held:
                self.report(run, RunState.EXITED, Exit(143, Fault.STOPPED))
