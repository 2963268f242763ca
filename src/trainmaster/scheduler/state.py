"""The present of the whole system, and what one step changes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from trainmaster.domain.cluster import Node, Quota
from trainmaster.domain.commands import Command
from trainmaster.domain.errors import TrainmasterError
from trainmaster.domain.firing import Firing, FiringOutcome, Trigger, changed
from trainmaster.domain.history import Record, RecordKind
from trainmaster.domain.ids import NodeId, RunId, TaskId, TriggerId, UserName, WorkflowRunId
from trainmaster.domain.learned import Learned
from trainmaster.domain.lifecycle import ENDED, OCCUPYING, WAITING, TaskState
from trainmaster.domain.replacing import replacer
from trainmaster.domain.run import Run
from trainmaster.domain.task import Intent, Task, TaskKind
from trainmaster.domain.units import Resources
from trainmaster.domain.workflow_run import WorkflowRun
from trainmaster.policies.learned import TaskNetwork
from trainmaster.policies.registry import PROFILES, Policies, Profile, named
from trainmaster.scheduler.departures import Departures
from trainmaster.scheduler.ends import Ends
from trainmaster.scheduler.heard import Heard
from trainmaster.scheduler.library import Library
from trainmaster.scheduler.ready import Ready
from trainmaster.scheduler.stock import Stock
from trainmaster.scheduler.timers import Timer, TimerKind, Timers
from trainmaster.scheduler.triggers import Triggers
from trainmaster.scheduler.unfolding import Unfolding

if TYPE_CHECKING:
    from trainmaster.scheduler.deliberation import Deliberation

_NO_RUNS: dict[RunId, Run] = {}


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on the work of one step, so that a decision never takes long. Counts, not seconds."""

    placements: int = 512  # tasks started in one cycle; the rest follow in the next
    attempts: int = 512  # lots tried in one cycle that found no room
    examinations: int = 40_000  # nodes looked at in one cycle
    resizes: int = 32  # groups made larger in one cycle, and tasks made smaller
    messages: int = 256  # events taken in by one step that decides as well
    priority_period_s: float = 1.0  # RLPTO's priority update period
    port_base: int = 20_000  # first of the ports that workers of one task meet on
    port_count: int = 12_000
    allotment_period_s: float = 10.0  # how often the worker counts of elastic tasks are looked at again
    claims: int = 64  # waiting tasks an allotment policy is shown
    # Between two resizes of a group, each of which costs it 0.06 s of training; but who waits for its minimum
    # is given it at any time.
    resize_cooldown_s: float = 2.0
    restart_cooldown_s: float = 60.0  # between two resizes of a task that restarts for them
    group_pause_s: float = 0.3  # training a resize costs a group
    restart_pause_s: float = 10.0  # and a task that restarts for it, until it was measured
    joiner_patience_s: float = 300.0  # from a worker's launch to its being ready to train
    group_patience_s: float = 60.0  # from a plan to everybody training by it
    silence_s: float = 2.0  # from the first report of a broken step to that of the last member
    planning_patience_s: float = 120.0  # for the plan of a workflow run, before it begins without one
    open_parts: int = 1000  # tasks of one workflow run that are submitted at a time
    stable_s: float = 60.0  # a generation that lasts so long forgives earlier failures
    group_failures: int = 3  # workers or generations that may fail in a row
    lead_s: float = 10.0  # before it is due a function is given to a lane, which keeps the time
    firings: int = 1000  # due times decided on in one step; the rest follow in the next
    run_firings: int = 20  # a workflow run started counts as so many: its first tasks are submitted, too
    waiting_firings: int = 1000  # of one trigger, held by its overlap policy; further ones are skipped
    missed_rows: int = 10_000  # missed due times in a row that get a row each; the rest get one together


@dataclass(frozen=True, slots=True)
class Progress:
    """The latest report of a task's leading worker."""

    time: float
    step: float
    metrics: dict[str, float]


@dataclass(slots=True)
class State:
    """Live tasks with their live attempts, and the nodes. Ended tasks leave; the store keeps them.

    Nothing here counts resources: what is free is computed from the live runs (`used`).
    """

    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    profiles: dict[str, Profile] = field(default_factory=lambda: dict(PROFILES))
    networks: Mapping[str, TaskNetwork] = field(default_factory=dict)  # trained policies' own weights
    policies: Policies = field(default_factory=lambda: named("default"))
    next_seq: int = 1
    tasks: dict[TaskId, Task] = field(default_factory=dict)
    runs: dict[TaskId, dict[int, Run]] = field(default_factory=dict)  # of the current attempt, by rank
    nodes: dict[NodeId, Node] = field(default_factory=dict)
    drained: dict[NodeId, UserName | None] = field(default_factory=dict)  # by whom; None: by sizing
    on_node: dict[NodeId, dict[RunId, Run]] = field(default_factory=dict)  # the live runs again, by node
    ending: dict[RunId, Run] = field(default_factory=dict)  # the live runs that were told to end
    departures: dict[NodeId, Departures] = field(default_factory=dict)  # ended runs the gauges still count
    quotas: dict[str, Quota] = field(default_factory=dict)
    ready: Ready = field(default_factory=Ready)
    dependants: dict[TaskId, set[TaskId]] = field(default_factory=dict)  # who waits for a task to end
    missing: dict[TaskId, set[TaskId]] = field(default_factory=dict)  # what a blocked task still waits for
    ended: dict[TaskId, bool] = field(default_factory=dict)  # dependencies known to have ended: well or not
    active: dict[TaskId, Task] = field(default_factory=dict)  # with a live attempt nobody is stopping
    ends: Ends = field(default_factory=Ends)  # when the active ones should end, by their estimates
    waiting: dict[str, set[TaskId]] = field(default_factory=dict)  # by user: not started, or waits again
    timers: Timers = field(default_factory=Timers)
    triggers: Triggers = field(default_factory=Triggers)
    progress: dict[TaskId, Progress] = field(default_factory=dict)
    elastic: dict[TaskId, Task] = field(default_factory=dict)  # of the active ones, those that may be resized
    stopping: dict[TaskId, Task] = field(default_factory=dict)  # with live workers that were told to end
    learned: dict[TaskId, Learned] = field(default_factory=dict)  # of the training of live tasks
    targets: dict[TaskId, int] = field(default_factory=dict)  # what the allotment policy last wanted
    restarting: dict[TaskId, int] = field(default_factory=dict)  # for another count: until it runs with it
    allot_due: bool = True  # something changed that the allotment policy should see
    deliberation: Deliberation | None = None  # what the allotment policy is thinking, from step to step
    carrying: bool = False  # resizes that were decided upon are left for the next cycle
    yielding: bool = False  # among them may be groups in their cooldown
    allot_at: float = 0.0  # when it will be asked anyway; 0 for never
    stock: Stock = field(default_factory=Stock)  # what is known of the nodes that take work
    able: dict[object, frozenset[int]] = field(default_factory=dict)  # nodes a shape of need could ever use
    holds: dict[object, int] = field(default_factory=dict)  # workers of a shape that empty nodes would hold
    placeable: set[object] = field(default_factory=set)  # shapes of need known to fit some node
    unfoldings: dict[WorkflowRunId, Unfolding] = field(default_factory=dict)  # the live workflow runs
    library: Library = field(default_factory=Library)  # of the workflows that triggers start
    next_run_seq: int = 1
    parts_ended: list[Task] = field(default_factory=list)  # of workflow runs, in this step
    runs_due: dict[WorkflowRunId, None] = field(default_factory=dict)  # to go on with in this step, in order
    unsettled: bool = True  # something changed that a cycle could act upon
    postponed: bool = False  # the step before had so much to take in that it did not decide
    decisions: int = 0  # numbers decisions, to salt chance

    def used(self, node: NodeId) -> Resources:
        """What the live runs on a node hold."""
        cpu_m = memory = gpus = lanes = 0
        for run in self.on_node.get(node, _NO_RUNS).values():
            held = run.resources
            cpu_m += held.cpu_m
            memory += held.memory
            gpus += held.gpus
            lanes += held.lanes
        return Resources(cpu_m, memory, gpus, lanes)

    def busy_devices(self, node: NodeId) -> set[int]:
        return {device for run in self.on_node.get(node, _NO_RUNS).values() for device in run.devices}

    def running_workers(self) -> Counter[str]:
        """Workers of live attempts by user."""
        count: Counter[str] = Counter()
        for task, runs in self.runs.items():
            count[self.tasks[task].spec.user] += len(runs)
        return count

    def waiting_tasks(self, user: str) -> int:
        """Tasks of one user that have not started or wait again."""
        return len(self.waiting.get(user, ()))

    def running_tasks(self) -> list[Task]:
        """Tasks with a live attempt that nobody is stopping."""
        return list(self.active.values())


@dataclass(slots=True)
class Outcome:
    """What a step changed, in the form the edges need: rows to store, then commands to carry out."""

    new_tasks: set[TaskId] = field(default_factory=set)
    triggers: dict[TriggerId, Trigger] = field(default_factory=dict)
    dropped_triggers: list[TriggerId] = field(default_factory=list)
    firings: dict[tuple[TriggerId, int], Firing] = field(default_factory=dict)  # by trigger and due time
    tasks: dict[TaskId, Task] = field(default_factory=dict)
    runs: dict[RunId, Run] = field(default_factory=dict)
    nodes: dict[NodeId, Node] = field(default_factory=dict)
    quotas: list[Quota] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    workflow_runs: dict[WorkflowRunId, WorkflowRun] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    refused: dict[int, TrainmasterError] = field(default_factory=dict)  # by position in the list of events
    again: bool = False  # the cycle is not through: step again at once
    wake_at: float | None = None  # when the next timer is due


@dataclass(slots=True)
class Change:
    """The one way to write to the state: every setter keeps the indexes true and notes what changed.

    `heard`: what the workers of groups have said and was not acted on yet.
    """

    state: State
    out: Outcome
    now: float
    heard: dict[TaskId, Heard] = field(default_factory=dict)

    def task(self, task: Task) -> Task:
        """Store a task's new value, and keep the ready queue in step with it."""
        state = self.state
        self.out.tasks[task.id] = task
        before = state.active.get(task.id)
        if before is not None and _trains_on(before, task) and task.id not in state.restarting:
            state.tasks[task.id] = state.active[task.id] = task
            self._elastic(task)
            return task
        if task.state in OCCUPYING and task.intent is Intent.NONE:
            state.active[task.id] = task
            state.ends.put(task)
        elif state.active.pop(task.id, None) is not None:
            state.ends.remove(task.id)
        self._elastic(task)
        if task.id in state.restarting and not _restarting(task):
            del state.restarting[task.id]
        if task.state in WAITING:
            state.waiting.setdefault(task.spec.user, set()).add(task.id)
        else:
            state.waiting.get(task.spec.user, set()).discard(task.id)
        if task.state in ENDED:
            state.tasks.pop(task.id, None)
            state.ready.remove(task.id)
            state.progress.pop(task.id, None)
            state.learned.pop(task.id, None)
            state.targets.pop(task.id, None)
            if task.spec.trigger:
                self._task_of_firing_over(task)
            state.restarting.pop(task.id, None)
            state.unsettled = True
            if task.spec.part is not None:
                state.parts_ended.append(task)
            return task
        state.tasks[task.id] = task
        if task.state in (TaskState.QUEUED, TaskState.INTERRUPTED) and task.not_before <= self.now:
            state.ready.put(task, state.policies.ordering.key(task))
            state.unsettled = True
        else:
            state.ready.remove(task.id)
        return task

    def _task_of_firing_over(self, task: Task) -> None:
        """What a trigger started has ended. If it was claimed ahead and taken back in time, it never
        fired."""
        spec, key = task.spec, (task.spec.trigger, task.spec.due_ms or 0)
        never = task.state is TaskState.CANCELLED and task.first_started_at is None
        if never and spec.start_at is not None:
            self.firing(Firing(*key, FiringOutcome.SKIPPED, self.now, task=task.id, reason=task.reason))
        trigger = self.state.triggers.all.get(spec.trigger)
        recalled = self.state.triggers.recalled.get(spec.trigger, ())
        if task.id in recalled and not never and trigger is not None:
            # Its lane was faster than the change of its trigger: that due time has fired.
            self.trigger(changed(trigger, decided=(*trigger.decided, spec.due_ms or 0)))
        self.state.triggers.over(spec.trigger, task.id)

    def run_of_firing_over(self, run: WorkflowRun) -> None:
        """The same of a workflow run."""
        if run.begun_at is None and run.start_at is not None:
            key = (run.trigger, run.due_ms or 0)
            self.firing(Firing(*key, FiringOutcome.SKIPPED, self.now, run=run.id, reason=run.reason))
        self.state.triggers.over(run.trigger, run.id)

    def _elastic(self, task: Task) -> None:
        """Keep the indexes of the tasks that hold or want a changeable number of workers."""
        state = self.state
        if task.spec.kind is TaskKind.FUNCTION:
            return
        state.allot_due = True
        if task.id in state.active and task.spec.elastic:
            state.elastic[task.id] = task
            state.unsettled = True  # it may be resizable from now on
        else:
            state.elastic.pop(task.id, None)
        if task.state in OCCUPYING and task.intent is not Intent.NONE:
            state.stopping[task.id] = task
        else:
            state.stopping.pop(task.id, None)

    def run(self, run: Run) -> Run:
        """Store a run's new value. One that is over leaves the indexes, which is what frees its resources."""
        state = self.state
        self.out.runs[run.id] = run
        if run.live:
            state.runs.setdefault(run.id.task, {})[run.id.rank] = run
            here = state.on_node.setdefault(run.node, {})
            if run.id not in here:
                state.stock.touch(run.node)
            here[run.id] = run
            if run.stopping:
                state.ending[run.id] = run
        else:
            state.ending.pop(run.id, None)
            state.stock.touch(run.node)
            siblings = state.runs.get(run.id.task)
            if siblings is not None:
                siblings[run.id.rank] = run
            if state.on_node.get(run.node, {}).pop(run.id, None) and (node := state.nodes.get(run.node)):
                state.departures.setdefault(run.node, Departures()).ended(run, node.gauges, self.now)
            state.unsettled = True
        return run

    def trigger(self, trigger: Trigger) -> Trigger:
        self.out.triggers[trigger.id] = trigger
        self.state.triggers.put(trigger, self.state.limits.lead_s)
        return trigger

    def firing(self, firing: Firing) -> Firing:
        """What became of a due time, or becomes of one that waited."""
        self.out.firings[firing.trigger, firing.due_ms] = firing
        return firing

    def attempt_over(self, task: TaskId) -> None:
        """Drop the runs of an attempt, all of which have ended."""
        self.state.runs.pop(task, None)

    def node(self, node: Node) -> Node:
        self.out.nodes[node.id] = node
        self.state.nodes[node.id] = node
        self.state.stock.touch(node.id)
        self.state.stock.rebuild()
        self.state.able.clear()
        self.state.holds.clear()
        self.state.placeable.clear()
        self.state.unsettled = self.state.allot_due = True
        return node

    def workflow_run(self, run: WorkflowRun) -> None:
        self.out.workflow_runs[run.id] = run

    def measured(self, node: Node) -> None:
        """A node has new gauges: nothing needs storing, and no cycle is due for it."""
        if node.gauges.time != self.state.nodes[node.id].gauges.time:  # told twice counts once
            self.state.departures.setdefault(node.id, Departures()).measure()
        self.state.nodes[node.id] = node
        self.state.stock.touch(node.id)

    def record(
        self,
        kind: RecordKind,
        task: Task | None = None,
        node: NodeId | None = None,
        reason: str = "",
        **detail: object,
    ) -> None:
        self.out.records.append(
            Record(
                self.now,
                kind,
                task.id if task else None,
                task.attempt if task else None,
                node,
                reason,
                detail,
            )
        )

    def salt(self) -> int:
        self.state.decisions += 1
        return self.state.decisions


def restore(
    state: State,
    tasks: Iterable[Task],
    runs: Iterable[Run],
    quotas: Iterable[Quota],
    ended: dict[TaskId, bool],
    now: float,
) -> None:
    """Fill an empty state with what the store knows, after a restart. Nodes join later and are reconciled."""
    out = Outcome()
    change = Change(state, out, now)
    state.ended.update(ended)
    for quota in quotas:
        state.quotas[quota.user] = quota
    by_task = {task.id: task for task in tasks}
    state.tasks.update(by_task)
    for run in runs:
        task = by_task.get(run.id.task)
        if task is not None and run.id.attempt == task.attempt and not _left_behind(task, run):
            state.runs.setdefault(task.id, {})[run.id.rank] = run
            if run.live:
                state.on_node.setdefault(run.node, {})[run.id] = run
                if run.stopping:
                    state.ending[run.id] = run
    for task in by_task.values():
        state.next_seq = max(state.next_seq, task.seq + 1)
        if task.state is TaskState.BLOCKED:
            missing = {dep for dep in task.spec.after if dep in by_task}
            state.missing[task.id] = missing
            for dep in missing:
                state.dependants.setdefault(dep, set()).add(task.id)
        change.task(task)
        arm(change, task)
        if task.spec.trigger:
            _restore_started(state, task)


def _restore_started(state: State, task: Task) -> None:
    """What a trigger has started; and whether that is being taken back, for the trigger was changed."""
    spec, book = task.spec, state.triggers
    book.started(spec.trigger, task.id)
    trigger = book.all.get(spec.trigger)
    ahead = task.intent is Intent.CANCEL and spec.start_at is not None and task.started_at is None
    if ahead and trigger is not None and (spec.due_ms or 0) >= (trigger.next_ms or inf):
        book.recall(spec.trigger, {task.id} | book.recalled.get(spec.trigger, set()))


def _trains_on(before: Task, task: Task) -> bool:
    """Does an attempt go on, so that of all indexes only those of its workers may change?"""
    return (
        task.state in OCCUPYING
        and task.intent is Intent.NONE
        and task.spec is before.spec
        and task.started_at == before.started_at
        and task.accepted_at == before.accepted_at
    )


def _restarting(task: Task) -> bool:
    """On its way from the end of one attempt to the start of the next, as a resize wants it."""
    return task.intent is Intent.RESIZE or (
        task.intent is Intent.NONE
        and (task.state in (TaskState.ACCEPTED, TaskState.PREPARING) or task.preempting)
    )


def _left_behind(task: Task, run: Run) -> bool:
    """A worker that has ended and whose group goes on without it."""
    return not run.live and task.group is not None and run.id.rank not in task.group.members


def arm(change: Change, task: Task) -> None:
    """Set every timer the task's present situation calls for."""
    timers, limits, now = change.state.timers, change.state.limits, change.now
    if task.bumps:
        due = now + limits.priority_period_s
        timers.set(Timer(due, TimerKind.PRIORITY_PERIOD, task.id, task.bumps))
    if task.state is TaskState.QUEUED and task.not_before > now:
        timers.set(Timer(task.not_before, TimerKind.BACKOFF_OVER, task.id, task.attempt))
    if task.spec.queue_timeout_s is not None and task.first_started_at is None:
        due = max(task.submitted_at, task.spec.start_at or 0.0) + task.spec.queue_timeout_s
        timers.set(Timer(due, TimerKind.QUEUE_TIMEOUT, task.id, 0))
    if task.spec.timeout_s is not None and task.started_at is not None and task.id in change.state.runs:
        due = task.started_at + task.spec.timeout_s
        timers.set(Timer(due, TimerKind.ATTEMPT_TIMEOUT, task.id, task.attempt))
    if task.group is not None and task.id in change.state.runs:
        patience = limits.group_patience_s if task.group.generation else limits.joiner_patience_s
        timers.set(Timer(now + patience, TimerKind.GROUP_PATIENCE, task.id, task.group.generation))
        for rank in set(change.state.runs[task.id]) - set(task.group.members):
            timers.set(Timer(now + limits.joiner_patience_s, TimerKind.JOINER_PATIENCE, task.id, rank))


# A task with some fields changed.
moved = replacer(Task)
