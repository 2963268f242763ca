"""How elastic tasks gain and lose workers, told as short stories."""

from __future__ import annotations

from tests.scenario import World, spec

from trainmaster.domain.errors import NotResizable
from trainmaster.domain.events import (
    CancelRequested,
    GroupBroken,
    ProgressReported,
    ResizeRequested,
    RunReported,
    TrainingConverged,
    WorkerJoined,
    WorkerReady,
)
from trainmaster.domain.history import RecordKind
from trainmaster.domain.ids import RunId, TaskId, UserName
from trainmaster.domain.learned import NOTHING_LEARNED, Phase, Speed, learn
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.run import Exit, Fault, RunReport, RunState
from trainmaster.domain.task import Elasticity, Intent, Urgency
from trainmaster.scheduler.explain import explain
from trainmaster.scheduler.recall import recall
from trainmaster.scheduler.state import State

ME = UserName("me")


def training(world: World, low: int = 1, high: int = 4, **fields) -> TaskId:
    """A group that trains with what it was given."""
    (task,) = world.submit(spec(min_workers=low, max_workers=high, **fields))
    world.ready(task)
    world.follow(task)
    return task


def members(world: World, task: TaskId) -> tuple[int, ...]:
    group = world.task(task).group
    assert group is not None
    return group.members


def reasons(world: World, kind: RecordKind) -> list[str]:
    return [record.reason for record in world.history if record.kind is kind]


def test_a_group_begins_when_all_its_workers_are_ready() -> None:
    world = World({"n1": 2}, allotment="fair")
    (task,) = world.submit(spec(min_workers=1, max_workers=2))
    first, second = (run.id for run in world.state.runs[task].values())
    for run in (first, second):
        world.report(run, RunState.RUNNING)
    world.do(WorkerReady(second, "b:2"))
    assert not world.plans
    world.do(WorkerReady(first, "a:1"))
    assert world.plans[first] == world.plans[second]
    assert world.plans[first].to_json() == '{"generation":1,"members":[0,1],"store":"a:1"}'
    assert reasons(world, RecordKind.TASK_REGROUPED) == ["begins with 2 workers"]


def test_what_is_said_at_once_is_heard_out_before_a_generation_is_made() -> None:
    world = World({"n1": 3}, allotment="fair")
    (task,) = world.submit(spec(min_workers=1, max_workers=3))
    runs = [run.id for run in world.state.runs[task].values()]
    for run in runs:
        world.report(run, RunState.RUNNING)
    ended = RunReport(runs[2], RunState.EXITED, 0.0, world.now, Exit(9))
    node = world.state.runs[task][2].node
    world.do(*(WorkerReady(run, f"n1:{run.rank}") for run in runs), RunReported(node, ended))
    assert members(world, task) == (0, 1), "all were ready before one died: the others go on"
    assert world.task(task).attempt == 1
    world.do(*(WorkerJoined(run, 2, 0.0) for run in runs[:2]), ResizeRequested(task, 1, ME))
    assert world.task(task).pinned == 1
    assert reasons(world, RecordKind.TASK_REGROUPED) == [
        "begins with 3 workers",
        "without worker 2",
        "without worker 1",
    ]


def test_a_new_arrival_takes_workers_and_gives_them_back() -> None:
    world = World({"n1": 4}, allotment="fair")
    first = training(world)
    assert world.task(first).workers == 4
    (second,) = world.submit(spec(min_workers=1, max_workers=4), after=100)
    assert world.task(first).state is TaskState.RESIZING
    assert members(world, first) == (0, 1), "the newest leave, the leader stays"
    assert second not in world.running(), "their room is free only when they are gone"
    world.follow(first)
    assert (world.task(first).state, world.task(first).workers) == (TaskState.RUNNING, 2)
    assert world.task(second).workers == 1, "it begins with the first that is free"
    assert f"in favour of {second}" in reasons(world, RecordKind.TASK_RESIZING)[0]
    for _ in range(2):
        world.ready(second)
        world.follow(second)
    assert world.task(second).workers == 2
    world.end(second, after=100)
    assert world.task(first).workers == 3
    assert members(world, first) == (0, 1), "the new one is taken in once it is ready"
    world.ready(first)
    world.follow(first)
    assert world.task(first).workers == 3, "no second resize before the cooldown is over"
    world.do(after=10)
    world.ready(first)
    world.follow(first)
    assert members(world, first) == (0, 1, 4, 5), "a rank is never used twice"
    assert world.task(first).state is TaskState.RUNNING
    world.end(first)
    assert world.final[first].state is TaskState.SUCCEEDED


def test_who_waits_is_served_within_the_cooldown_of_others() -> None:
    world = World({f"n{at}": 1 for at in range(3)}, allotment="fair")
    first = training(world, high=3)
    (second,) = world.submit(spec(min_workers=1, max_workers=3), after=100)
    world.follow(first)
    world.ready(second)
    world.follow(second)
    (third,) = world.submit(spec(), after=0.1)
    assert members(world, first) == (0,), "it gave one up 0.1 s ago, and gives up another"
    told = explain(world.state, world.task(third), world.now)
    assert ("next", f"workers are leaving: 1 of {first}") in [(fact.topic, fact.text) for fact in told.facts]
    world.follow(first)
    assert third in world.running()
    world.end(second, after=100)
    assert world.task(first).workers == 2
    (fourth,) = world.submit(spec(), after=0.1)
    assert world.stopped == [RunId(first, 1, 3)], "what was on its way in goes first"
    world.obey_stops()
    assert fourth in world.running()
    assert world.task(first).state is TaskState.RUNNING
    world.end(fourth, after=0.1)
    assert world.task(first).workers == 1, "but it does not grow before its cooldown is over"
    world.do(after=world.state.limits.resize_cooldown_s)
    assert world.task(first).workers == 2


def test_a_stream_of_short_tasks_resizes_a_group_twice_a_cooldown_at_most() -> None:
    world = World({"n1": 1, "n2": 1}, allotment="fair")
    group = training(world, high=2)
    world.do(after=100)
    resized = len(reasons(world, RecordKind.TASK_RESIZING))
    began = world.now
    for _ in range(40):
        (short,) = world.submit(spec(), after=0.25)
        world.follow(group)
        world.obey_stops()
        assert short in world.running()
        world.end(short, after=0.05)
        world.ready(group)
        world.follow(group)
    periods = (world.now - began) / world.state.limits.resize_cooldown_s
    assert len(reasons(world, RecordKind.TASK_RESIZING)) - resized <= 2 * (periods + 1)


def test_the_most_urgent_interrupts_nobody_where_a_group_gives_up_enough() -> None:
    world = World({"n1": 3}, allotment="fair", preemption="newest_first")
    group = training(world, high=3)
    (urgent,) = world.submit(spec(urgency=Urgency.HIGHEST), after=100)
    assert (members(world, group), world.task(group).intent) == ((0, 1), Intent.NONE)
    world.follow(group)
    assert urgent in world.running()


def test_survivors_of_a_killed_worker_go_on_at_once_and_it_is_replaced() -> None:
    world = World({"n1": 3}, allotment="fair")
    task = training(world, high=3)
    world.report(RunId(task, 1, 0), RunState.EXITED, Exit(137))
    assert world.plans[RunId(task, 1, 1)].members == (1, 2), "the next most senior leads"
    assert world.plans[RunId(task, 1, 1)].store == "127.0.0.1:1001"
    world.follow(task)
    world.do(after=60)
    world.ready(task)
    world.follow(task)
    assert members(world, task) == (1, 2, 3)
    world.end(task)
    assert world.final[task].state is TaskState.SUCCEEDED
    assert (world.final[task].attempt, world.final[task].failures) == (1, 0)


def test_workers_that_keep_dying_end_the_attempt() -> None:
    world = World({"n1": 2}, allotment="fair")
    task = training(world, high=2)
    for rank in (1, 2, 3):
        world.report(RunId(task, 1, rank), RunState.EXITED, Exit(1))
        world.follow(task)
        world.do(after=10)
        world.ready(task)
        world.follow(task)
    world.report(RunId(task, 1, 4), RunState.EXITED, Exit(1))
    world.obey_stops()
    assert world.final[task].state is TaskState.FAILED


def test_a_transition_waits_for_the_one_before() -> None:
    world = World({"n1": 4}, allotment="fair")
    task = training(world, high=4)
    world.do(ResizeRequested(task, 3, ME))
    assert (world.task(task).group.generation, members(world, task)) == (2, (0, 1, 2))
    world.do(ResizeRequested(task, 2, ME))
    assert world.task(task).group.generation == 2, "not everybody has joined yet"
    world.follow(task)
    assert (world.task(task).group.generation, members(world, task)) == (3, (0, 1))


def test_a_joiner_that_never_gets_ready_is_given_up() -> None:
    world = World({"n1": 2}, allotment="fixed")
    task = training(world, high=2)
    assert world.task(task).workers == 1
    world.do(ResizeRequested(task, 2, ME))
    assert world.task(task).state is TaskState.RESIZING
    world.do(after=world.state.limits.joiner_patience_s + 1)
    assert world.stopped == [RunId(task, 1, 1)]
    world.obey_stops()
    assert members(world, task) == (0,)
    assert RunId(task, 1, 2) in world.held, "the wish stands: another is tried"
    assert "did not get ready" in reasons(world, RecordKind.WORKER_LOST)[0]


def test_one_that_joined_and_leaves_is_not_given_up_as_a_joiner() -> None:
    world = World({"n1": 2}, allotment="fixed")
    task = training(world, high=2)
    world.do(ResizeRequested(task, 2, ME))
    world.ready(task)
    world.follow(task)
    world.do(ResizeRequested(task, 1, ME), after=world.state.limits.joiner_patience_s - 1)
    assert world.task(task).group.leaving == {1} and members(world, task) == (0,)
    world.do(after=1)
    assert world.task(task).workers == 1, "it was taken off when it was told to leave"
    world.follow(task)
    assert (world.task(task).state, world.task(task).workers) == (TaskState.RUNNING, 1)


def test_a_silent_member_is_killed_and_the_others_go_on() -> None:
    world = World({"n1": 3}, allotment="fair")
    task = training(world, high=3)
    for rank in (0, 1):
        world.do(GroupBroken(RunId(task, 1, rank), 1, (2,), "no answer for 1.5 s"))
    assert members(world, task) == (0, 1, 2), "it may still say something"
    world.do(after=world.state.limits.silence_s + 0.1)
    assert world.stopped == [RunId(task, 1, 2)]
    world.obey_stops()
    assert members(world, task) == (0, 1)


def test_a_broken_step_that_nobody_died_of_is_tried_again() -> None:
    world = World({"n1": 2}, allotment="fair")
    task = training(world, high=2)
    for rank in (0, 1):
        world.do(GroupBroken(RunId(task, 1, rank), 1, (), "connection reset"))
    assert world.task(task).group.generation == 2 and members(world, task) == (0, 1)
    world.follow(task)
    assert world.task(task).group.settled


def test_joiners_are_sent_home_when_training_ends() -> None:
    world = World({"n1": 2}, allotment="fixed")
    task = training(world, high=2)
    world.do(ResizeRequested(task, 2, ME))
    world.report(RunId(task, 1, 0), RunState.EXITED, Exit(0))
    assert world.stopped == [RunId(task, 1, 1)]
    world.obey_stops()
    assert world.final[task].state is TaskState.SUCCEEDED


def test_a_joiner_planned_as_training_ends_does_not_begin_it_anew() -> None:
    world = World({"n1": 2}, allotment="fixed")
    task = training(world, high=2)
    world.do(ResizeRequested(task, 2, ME))
    world.ready(task)
    assert members(world, task) == (0, 1)
    world.report(RunId(task, 1, 0), RunState.EXITED, Exit(0))
    world.do(GroupBroken(RunId(task, 1, 1), 2, (0,), "cannot meet"))
    assert world.stopped == [RunId(task, 1, 1)]
    world.obey_stops()
    assert world.final[task].state is TaskState.SUCCEEDED


def test_restart_mode_ends_the_attempt_and_begins_a_larger_one() -> None:
    world = World({"n1": 4}, allotment="fixed")
    (task,) = world.submit(spec(min_workers=1, max_workers=3, elasticity=Elasticity.RESTART))
    world.start(task)
    world.submit(spec("waits", cpus=4))
    world.do(ResizeRequested(task, 3, ME), after=10)
    assert (world.task(task).state, world.task(task).intent) == (TaskState.RESIZING, "resize")
    world.obey_stops()
    assert (world.task(task).attempt, world.task(task).workers) == (2, 3), "its room is its own"
    assert world.task(task).failures == 0
    world.start(task)
    world.end(task)
    assert world.final[task].state is TaskState.SUCCEEDED


def test_what_cannot_be_resized_says_why() -> None:
    world = World({"n1": 4}, allotment="fixed")
    rigid, silent = world.submit(spec(), spec(min_workers=1, max_workers=3))
    world.start(silent)
    for task, workers, why in ((rigid, 2, "takes 1 to 1"), (silent, 2, "have not formed a group")):
        refusal = world.do(ResizeRequested(task, workers, ME)).refused[0]
        assert isinstance(refusal, NotResizable) and why in refusal.message
    assert not world.do(ResizeRequested(silent, 1, ME)).refused


def test_a_cancelled_group_ends_and_late_words_change_nothing() -> None:
    world = World({"n1": 2}, allotment="fair")
    task = training(world, high=2)
    world.do(CancelRequested(task, ME))
    world.do(GroupBroken(RunId(task, 1, 0), 1), WorkerJoined(RunId(task, 1, 1), 1))
    world.obey_stops()
    assert world.final[task].state is TaskState.CANCELLED


def test_the_leader_speaks_for_the_task_and_speeds_are_learnt_by_worker_count() -> None:
    world = World({"n1": 2}, allotment="fair")
    task = training(world, high=2)
    world.report(RunId(task, 1, 0), RunState.LOST, Exit(None, Fault.VANISHED))
    world.follow(task)
    world.do(ProgressReported(RunId(task, 1, 1), world.now, 7, {"loss": 0.5, "samples_s": 100.0}))
    assert world.state.progress[task].metrics["loss"] == 0.5
    assert world.state.learned[task].speed(1) == 100.0
    told = explain(world.state, world.task(task), world.now)
    assert any(fact.topic == "workers" for fact in told.facts)


def test_what_was_learnt_is_learnt_again_from_history() -> None:
    world = World({"n1": 3}, allotment="fair")
    task = training(world, high=3)
    said: list[ProgressReported] = []

    def reports(rank: int, **metrics: float) -> None:
        world.now += 5
        said.append(ProgressReported(RunId(task, 1, rank), world.now, world.now, metrics))
        world.do(said[-1])

    reports(0, samples_s=300.0, val_accuracy=0.5)
    reports(1, samples_s=1.0)  # no leader
    world.do(after=1)
    world.report(RunId(task, 1, 0), RunState.EXITED, Exit(137))
    world.follow(task)
    reports(1, samples_s=200.0)
    world.do(after=1)
    world.ready(task)
    world.follow(task)
    world.do(ResizeRequested(task, 1, ME), after=1)
    world.follow(task)
    world.do(TrainingConverged(RunId(task, 1, 1), Phase.PLATEAU), after=1)
    reports(1, samples_s=100.0, loss=0.25)
    fresh = State()
    recall(fresh, said, [record for record in world.history if record.task == task])
    assert fresh.learned[task] == world.state.learned[task]
    assert fresh.progress[task] == world.state.progress[task]
    assert [speed.workers for speed in fresh.learned[task].speeds] == [1, 2, 3]


def test_a_report_of_nobody_who_is_counted_tells_no_speed() -> None:
    learned = learn(NOTHING_LEARNED, 1.0, 10.0, 0, {"samples_s": 100.0})
    assert learned.points and not learned.speeds
    assert learn(learned, 2.0, 20.0, 2, {"samples_s": 100.0}).speeds == (Speed(2, 100.0, 1),)
