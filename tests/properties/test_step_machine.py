"""Anything may happen in any order: no invariant breaks, nothing is lost, nothing ends twice.

`World.do` checks every invariant after each step; `teardown` lets the world settle and demands that every
task has ended exactly once.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule

from tests.flows import stage, workflow
from tests.scenario import World, spec
from trainmaster.domain.cluster import Quota
from trainmaster.domain.errors import TrainmasterError
from trainmaster.domain.events import (
    CancelRequested,
    ClusterSized,
    DrainRequested,
    FiringRequested,
    GroupBroken,
    NodeFellSilent,
    NodeReturned,
    NodeVanished,
    PriorityRequested,
    ProfileSwitched,
    QuotaChanged,
    ResizeRequested,
    RunReported,
    SizingChanged,
    TriggerChanged,
    TriggerCreated,
    TriggerDeleted,
    TriggerPaused,
    WorkerJoined,
    WorkerReady,
    WorkflowCancelRequested,
    WorkflowPlanned,
)
from trainmaster.domain.firing import FiringOutcome, Trigger
from trainmaster.domain.ids import NodeId, RunId, TaskId, TriggerId, UserName
from trainmaster.domain.lifecycle import ENDED, TaskState
from trainmaster.domain.run import Exit, Fault, RunReport, RunState
from trainmaster.domain.sizing import SizingKnobs
from trainmaster.domain.target import WorkflowTarget
from trainmaster.domain.task import Elasticity, Planned, Retry, TaskKind, Urgency
from trainmaster.domain.trigger import Interval, Misfire, Overlap, Timing
from trainmaster.domain.units import Resources
from trainmaster.domain.workflow import Definition, validate
from trainmaster.domain.workflow_run import PlannedPart
from trainmaster.policies import registry
from trainmaster.scheduler.drains import needed, standing
from trainmaster.scheduler.explain import explain
from trainmaster.scheduler.state import Limits
from trainmaster.scheduler.unfolding import Hold

ME = UserName("me")
NODES = ("n1", "n2", "n3")
CAPACITY = Resources(cpu_m=3000, gpus=1, lanes=4)

CALL = spec("call", command=(), kind=TaskKind.FUNCTION, function="m:f", resources=Resources(lanes=1))
TIMED = spec("timed", cpus=0.5)
FLOW = WorkflowTarget("flow")
DEFINITIONS = (Definition(validate(workflow(stage("one"), stage("two", "one"), plan="auto")), 1),)

needs = st.builds(
    Resources,
    cpu_m=st.sampled_from([0, 500, 1000, 3000]),
    gpus=st.sampled_from([0, 0, 0, 1]),
)


class Machine(RuleBasedStateMachine):
    tasks: Bundle[TaskId] = Bundle("tasks")
    triggers: Bundle[TriggerId] = Bundle("triggers")

    @initialize(
        ordering=st.sampled_from(sorted(registry.ORDERINGS)),
        allotment=st.sampled_from(sorted(registry.ALLOTMENTS)),
        placement=st.sampled_from(sorted(registry.PLACEMENTS)),
        preemption=st.sampled_from(sorted(registry.PREEMPTIONS)),
        limits=st.sampled_from([Limits(), Limits(resizes=1, messages=1)]),
    )
    def begin(self, limits: Limits, **profile: str) -> None:
        self.world = World(dict.fromkeys(NODES, CAPACITY), limits, **profile)
        self.submitted: list[TaskId] = []
        self.numbers = self.manual = 0

    @rule(
        target=tasks,
        resources=needs,
        workers=st.tuples(st.integers(1, 3), st.integers(0, 3)),
        urgency=st.sampled_from(Urgency),
        priority=st.integers(0, 6),
        attempts=st.integers(1, 3),
        estimate=st.none() | st.floats(1, 100),
        timeout=st.none() | st.floats(1, 100),
        user=st.sampled_from(["ann", "bob"]),
        preemptible=st.booleans(),
        elasticity=st.sampled_from(Elasticity),
        later=st.none() | st.floats(0, 30),
        after=st.booleans(),
        planned=st.none()
        | st.builds(
            Planned,
            st.sampled_from([*NODES, "elsewhere"]).map(NodeId),
            st.integers(0, 3),
            st.sampled_from([0.0, 5.0]),
        ),
    )
    def submit(
        self,
        resources,
        workers,
        urgency,
        priority,
        attempts,
        estimate,
        timeout,
        user,
        preemptible,
        elasticity,
        later,
        after,
        planned,
    ):
        after_ids = (self.submitted[-1],) if after and self.submitted else ()
        try:
            (task,) = self.world.submit(
                spec(
                    resources=resources,
                    min_workers=workers[0],
                    max_workers=sum(workers),
                    urgency=urgency,
                    priority=float(priority),
                    retry=Retry(attempts=attempts, backoff_s=2, lost_attempts=2),
                    estimate_s=estimate,
                    timeout_s=timeout,
                    user=UserName(user),
                    preemptible=preemptible,
                    elasticity=elasticity,
                    start_at=None if later is None else self.world.now + later,
                    after=after_ids,
                    planned=planned,
                )
            )
        except TrainmasterError:
            return TaskId("t-refused")
        self.submitted.append(task)
        return task

    @rule(task=tasks)
    def start(self, task: TaskId) -> None:
        if task in self.world.state.runs:
            for run in list(self.world.state.runs.get(task, {}).values()):
                if run.id in self.world.held and run.state is RunState.LAUNCHING:
                    self.world.report(run.id, RunState.RUNNING)

    @rule(
        target=triggers,
        rule=st.builds(Interval, st.sampled_from([1000, 7000, 30_000]), after_end=st.booleans()),
        jitter=st.sampled_from([0, 500]),
        overlap=st.sampled_from(Overlap),
        misfire=st.sampled_from(Misfire),
        starts=st.sampled_from([CALL, CALL, TIMED, TIMED, FLOW]),
        user=st.sampled_from(["ann", "bob"]),
    )
    def add_trigger(self, rule, jitter, overlap, misfire, starts, user):
        self.numbers += 1
        made = Trigger(
            TriggerId(f"g-{self.numbers}"),
            f"trigger {self.numbers}",
            UserName(user),
            Timing(rule, start_ms=int(self.world.now * 1000), jitter_ms=jitter),
            starts,
            seed=self.numbers,
            overlap=overlap,
            misfire=misfire,
            grace_ms=5000,
            window_ms=20_000,
        )
        self.world.do(TriggerCreated(made, DEFINITIONS))
        return made.id

    @rule(trigger=triggers, paused=st.booleans())
    def pause(self, trigger: TriggerId, paused: bool) -> None:
        self.world.do(TriggerPaused(trigger, paused, ME))

    @rule(trigger=triggers)
    def run_now(self, trigger: TriggerId) -> None:
        self.manual += 1  # no due time of an interval that began at a whole second has such a key
        self.world.do(FiringRequested(trigger, -self.manual, ME))

    @rule(trigger=triggers, every=st.sampled_from([2000, 11_000]), overlap=st.sampled_from(Overlap))
    def change_trigger(self, trigger: TriggerId, every: int, overlap: Overlap) -> None:
        before = self.world.state.triggers.all.get(trigger)
        if before is not None:
            timing = Timing(Interval(every), start_ms=before.timing.start_ms)
            changed = replace(before, timing=timing, overlap=overlap)
            self.world.do(TriggerChanged(changed, ME, DEFINITIONS))

    @rule(planned=st.booleans())
    def plan(self, planned: bool) -> None:
        """Somebody answers for the first run that waits for a plan."""
        for run, unfolding in self.world.state.unfoldings.items():
            if Hold.PLAN in unfolding.holds:
                made = {"one": PlannedPart(NodeId("n1"), 0, 0.0, 1.0)} if planned else {}
                self.world.do(WorkflowPlanned(run, "planned", made))
                return

    @rule(which=st.integers(0, 3))
    def cancel_run(self, which: int) -> None:
        runs = sorted(self.world.state.unfoldings)
        if runs:
            self.world.do(WorkflowCancelRequested(runs[which % len(runs)], ME))

    @rule(trigger=consumes(triggers))
    def delete_trigger(self, trigger: TriggerId) -> None:
        self.world.do(TriggerDeleted(trigger, ME))

    @rule(task=tasks, code=st.sampled_from([0, 0, 1]), which=st.integers(0, 5))
    def end_one(self, task: TaskId, code: int, which: int) -> None:
        runs = [run for run in self.world.state.runs.get(task, {}).values() if run.id in self.world.held]
        if runs:
            self.world.report(runs[which % len(runs)].id, RunState.EXITED, Exit(code))

    @rule(task=tasks)
    def ready(self, task: TaskId) -> None:
        """Its live workers say that they form a group."""
        for run in list(self.world.state.runs.get(task, {}).values()):
            if run.live and run.id in self.world.held:
                self.world.do(WorkerReady(run.id, f"127.0.0.1:{1000 + run.id.rank}"))

    @rule(task=tasks, which=st.integers(0, 5), others=st.booleans())
    def join_one(self, task: TaskId, which: int, others: bool) -> None:
        """Members join the generation they were told of; those that are no members any more end."""
        group = self.world.state.tasks[task].group if task in self.world.state.tasks else None
        runs = [run for run in self.world.state.runs.get(task, {}).values() if run.live]
        for run in runs if others else runs[which % len(runs) :][:1] if runs else []:
            if group is not None and run.id.rank in group.members:
                self.world.do(WorkerJoined(run.id, group.generation, 5.0))
            elif group is not None and run.id.rank in group.leaving and run.id in self.world.held:
                self.world.report(run.id, RunState.EXITED, Exit(0))

    @rule(task=tasks, which=st.integers(0, 5), suspect=st.integers(0, 3))
    def break_one(self, task: TaskId, which: int, suspect: int) -> None:
        group = self.world.state.tasks[task].group if task in self.world.state.tasks else None
        runs = [run for run in self.world.state.runs.get(task, {}).values() if run.live]
        if group is not None and runs:
            run = runs[which % len(runs)]
            self.world.do(GroupBroken(run.id, group.generation, (suspect,), "a step failed"))

    @rule(task=tasks, workers=st.none() | st.integers(1, 5))
    def resize(self, task: TaskId, workers: int | None) -> None:
        self.world.do(ResizeRequested(task, workers, ME))

    @rule(task=tasks)
    def lose_one(self, task: TaskId) -> None:
        for run in list(self.world.state.runs.get(task, {}).values())[:1]:
            if run.id in self.world.held:
                self.world.report(run.id, RunState.LOST, Exit(None, Fault.VANISHED))

    @rule()
    def obey(self) -> None:
        self.world.obey_stops()

    @rule(task=tasks)
    def cancel(self, task: TaskId) -> None:
        self.world.do(CancelRequested(task, ME))

    @rule(task=tasks, bumps=st.integers(-30, 30))
    def bump(self, task: TaskId, bumps: int) -> None:
        self.world.do(PriorityRequested(task, ME, bumps=bumps))

    @rule(seconds=st.floats(0.1, 50))
    def wait(self, seconds: float) -> None:
        self.world.do(after=seconds)

    @rule(node=st.sampled_from(NODES))
    def vanish(self, node: str) -> None:
        """The node and everything on it is gone."""
        for run, (at, _) in list(self.world.held.items()):
            if at == node:
                del self.world.held[run]
        self.world.do(NodeVanished(NodeId(node)))

    @rule(node=st.sampled_from(NODES))
    def join(self, node: str) -> None:
        self.world.join(node, CAPACITY)

    @rule(node=st.sampled_from(NODES), silent=st.booleans())
    def silence(self, node: str, silent: bool) -> None:
        self.world.do(NodeFellSilent(NodeId(node)) if silent else NodeReturned(NodeId(node)))

    @rule(node=st.sampled_from(NODES), drain=st.booleans())
    def drain(self, node: str, drain: bool) -> None:
        self.world.do(DrainRequested(NodeId(node), drain, ME))

    @rule(steps=st.tuples(st.integers(0, 3), st.integers(0, 3)), wanted=st.integers(0, 3))
    def size(self, steps: tuple[int, int], wanted: int) -> None:
        """Whatever the steps, an operator's drains stay and no more than `wanted` is left on by them."""
        state = self.world.state
        theirs = {node for node, by in state.drained.items() if by is not None}
        before = len(standing(state).on)
        self.world.do(ClusterSized(wanted, *steps, "made up"))
        assert theirs == {node for node, by in state.drained.items() if by is not None}
        on = len(standing(state).on)
        assert min(before, wanted) <= on <= max(before, wanted)

    @rule(patience=st.sampled_from([0.0, 20.0]), most=st.none() | st.integers(1, 3))
    def wake_for_need(self, patience: float, most: int | None) -> None:
        state = self.world.state
        event = needed(state, SizingKnobs(apply=True, max_nodes=most), self.world.now, patience)
        if event is not None:
            assert set(event.nodes) <= set(standing(state).asleep)
            self.world.do(event)
            assert not set(event.nodes) & set(state.drained)

    @rule(apply=st.booleans())
    def change_sizing(self, apply: bool) -> None:
        self.world.do(SizingChanged(SizingKnobs(apply=apply), ME))
        assert apply or not standing(self.world.state).asleep

    @rule(name=st.sampled_from(sorted(registry.PROFILES)))
    def switch(self, name: str) -> None:
        self.world.do(ProfileSwitched(name, ME))

    @rule(user=st.sampled_from(["ann", "bob"]), workers=st.none() | st.integers(3, 6))
    def quota(self, user: str, workers: int | None) -> None:
        self.world.do(QuotaChanged(Quota(UserName(user), workers, 8), ME))

    @rule(task=consumes(tasks), attempt=st.integers(0, 2), node=st.sampled_from(NODES))
    def stray_report(self, task: TaskId, attempt: int, node: str) -> None:
        """A report of an attempt that may be long over changes nothing of the present one."""
        current = self.world.state.tasks.get(task)
        if current is not None and attempt < current.attempt:
            stray = RunReport(RunId(task, attempt, 0), RunState.EXITED, exit=Exit(0))
            self.world.do(RunReported(NodeId(node), stray))
            assert self.world.state.tasks[task] == current

    @rule(task=tasks)
    def ask_why(self, task: TaskId) -> None:
        if task in self.world.state.tasks:
            told = explain(self.world.state, self.world.state.tasks[task], self.world.now)
            assert told.headline and told.state

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        for node in NODES:
            world.join(node, CAPACITY)
            world.do(DrainRequested(NodeId(node), False, ME))
        for user in ("ann", "bob"):
            world.do(QuotaChanged(Quota(UserName(user)), ME))
        for trigger in list(world.state.triggers.all):
            world.do(TriggerDeleted(trigger, ME))
        for _ in range(400):
            if not world.state.tasks and not world.state.unfoldings:
                break
            world.obey_stops()
            for task in list(world.state.runs):
                for run in list(world.state.runs.get(task, {}).values()):
                    if run.live and run.id in world.held:
                        world.report(run.id, RunState.EXITED, Exit(0))
            world.do(after=10)
        stuck = {task.id: (task.state, task.reason) for task in world.state.tasks.values()}
        assert not stuck, f"never ended: {stuck}"
        assert not world.state.unfoldings, "a run never ended"
        of_runs = {task.id for task in world.final.values() if task.spec.part is not None}
        fired = {firing.task for firing in world.firings.values() if firing.task is not None}
        # What was claimed ahead and taken back never fired; another may have, for the same due time.
        back = {
            task.id
            for task in world.final.values()
            if task.spec.trigger and task.state is TaskState.CANCELLED and task.first_started_at is None
        }
        assert set(world.final) - back - of_runs == (set(self.submitted) | fired) - back
        for firing in world.firings.values():
            assert firing.outcome is not FiringOutcome.WAITING, "a firing waits for ever"
            if firing.task is not None:
                told = world.final[firing.task].spec
                assert (told.trigger, told.due_ms) == (firing.trigger, firing.due_ms)
        assert all(task.state in ENDED for task in world.final.values())
        assert not world.held, "the nodes still hold runs nobody will ask for"


Machine.TestCase.settings = settings(
    max_examples=300,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestStepMachine = Machine.TestCase
