"""What the scheduler decides, told as short stories."""

import pytest
from tests.scenario import GB, World, spec

from trainmaster.domain.cluster import Quota
from trainmaster.domain.commands import Launch, Stop
from trainmaster.domain.errors import QuotaExceeded, TaskEnded, UnknownTask, Unplaceable
from trainmaster.domain.events import (
    CancelRequested,
    DrainRequested,
    NodeVanished,
    PriorityRequested,
    ProfileSwitched,
    QuotaChanged,
    RunReported,
)
from trainmaster.domain.ids import NodeId, RunId, TaskId, UserName
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.run import Exit, Fault, RunReport, RunState
from trainmaster.domain.task import Elasticity, Retry, Urgency
from trainmaster.domain.units import Resources
from trainmaster.scheduler.explain import explain

ME = UserName("me")


def test_a_task_from_submission_to_success() -> None:
    world = World({"n1": 1})
    (task,) = world.submit(spec())
    assert world.task(task).state is TaskState.ACCEPTED, "placed in the same step"
    assert world.launches == [RunId(task, 1, 0)]
    world.start(task)
    assert world.task(task).state is TaskState.RUNNING
    world.end(task, after=5)
    done = world.final[task]
    assert (done.state, done.exit_code, done.ran_s) == (TaskState.SUCCEEDED, 0, 5)
    assert world.forgotten == [RunId(task, 1, 0)], "the node may clean up once the outcome is recorded"
    kinds = [str(record.kind) for record in world.history if record.task == task]
    assert kinds == ["task-submitted", "task-accepted", "task-started", "task-succeeded"]


def test_fcfs_holds_small_tasks_behind_a_large_one_only_where_they_compete() -> None:
    world = World({"cpu": 1, "gpu": Resources(cpu_m=4000, gpus=2)}, ordering="fcfs")
    big = spec("big", cpus=1, resources=Resources(cpu_m=1000, gpus=2))
    (first, second) = world.submit(big, big)
    (small,) = world.submit(spec("small"))
    assert world.running() == [first, small], "the small task runs where the waiting one never could"
    assert world.nodes_of(small) == ["cpu"]
    (third,) = world.submit(spec("more"))
    assert third not in world.running(), "room on gpu is kept for the task ahead"
    assert second in world.state.ready


def test_easy_backfill_lets_short_tasks_pass_but_never_delays_the_head() -> None:
    world = World({"n1": 2}, ordering="backfill")
    (long,) = world.submit(spec("long", cpus=1, estimate_s=100))
    world.start(long)
    (head,) = world.submit(spec("head", cpus=2, estimate_s=10))
    (short,) = world.submit(spec("short", cpus=1, estimate_s=90))
    (slow,) = world.submit(spec("slow", cpus=1, estimate_s=200))
    assert world.running() == [long, short]
    world.start(short)
    world.end(short, after=50)
    assert slow not in world.running(), "it would still run when the head could start"
    world.end(long, after=50)
    assert world.running() == [head]


def test_multi_queue_serves_interrupted_then_urgent_then_normal() -> None:
    world = World({"n1": 1}, ordering="multi_queue", preemption="newest_first")
    (running,) = world.submit(spec("running"))
    world.start(running)
    normal, urgent = world.submit(spec("normal"), spec("urgent", urgency=Urgency.URGENT))
    (top,) = world.submit(spec("top", urgency=Urgency.HIGHEST))
    assert world.task(running).intent == "interrupt"
    assert top not in world.running(), "the slot is free only when the victim is verifiably gone"
    world.obey_stops()
    assert world.running() == [top]
    assert world.task(running).state is TaskState.INTERRUPTED
    order = []
    for _ in range(4):
        (task,) = world.running()
        order.append(task)
        world.start(task)
        world.end(task)
    assert order == [top, running, urgent, normal]
    assert world.final[running].attempt == 2 and world.final[running].interruptions == 1


def test_newest_started_yields_and_no_more_than_needed() -> None:
    world = World({"n1": 3}, ordering="multi_queue", preemption="newest_first")
    tasks = []
    for _ in range(3):
        (task,) = world.submit(spec(), after=1)
        world.start(task)
        tasks.append(task)
    world.submit(spec("top", urgency=Urgency.HIGHEST))
    assert world.stopped == [RunId(tasks[2], 1, 0)]
    assert "interrupts" in world.history[-1].reason or world.task(tasks[2]).intent == "interrupt"


def test_priority_requests_follow_equation_4_and_promote_at_the_threshold() -> None:
    world = World({}, ordering="multi_queue")
    (task,) = world.submit(spec(priority=4.8))
    world.do(PriorityRequested(task, ME, bumps=1), PriorityRequested(task, ME, bumps=1))
    assert world.task(task).priority == 4.8, "nothing changes before the period ends"
    world.do(after=1.0)
    assert (world.task(task).urgency, world.task(task).priority) == (Urgency.NORMAL, 5.0)
    world.do(PriorityRequested(task, ME, bumps=1))
    world.do(after=1.0)
    assert (world.task(task).urgency, world.task(task).priority) == (Urgency.URGENT, 5.0)
    world.do(PriorityRequested(task, ME, bumps=-1))
    world.do(after=1.0)
    assert (world.task(task).urgency, world.task(task).priority) == (Urgency.NORMAL, 5.0)


def test_lowest_priority_preempts_only_strictly_lower() -> None:
    world = World({"n1": 2}, ordering="priority", preemption="lowest_priority")
    low, mid = world.submit(spec("low", priority=1), spec("mid", priority=2))
    world.start(low)
    world.start(mid)
    world.submit(spec("equal", priority=1))
    assert world.stopped == []
    world.submit(spec("high", priority=3))
    assert world.stopped == [RunId(low, 1, 0)]


def test_retries_back_off_and_give_up() -> None:
    world = World({"n1": 1})
    retry = Retry(attempts=3, backoff_s=10, factor=2, jitter=0)
    (task,) = world.submit(spec(retry=retry))
    world.start(task)
    world.end(task, code=1)
    assert world.task(task).state is TaskState.QUEUED and task not in world.running()
    world.do(after=9.9)
    assert task not in world.running()
    world.do(after=0.2)
    assert world.launches[-1] == RunId(task, 2, 0)
    world.start(task)
    world.end(task, code=1)
    world.do(after=20.1)
    world.start(task)
    world.end(task, code=7)
    assert world.final[task].state is TaskState.FAILED
    assert world.final[task].exit_code == 7 and "3 attempts" in world.final[task].reason


def test_hopeless_faults_are_not_retried() -> None:
    world = World({"n1": 1})
    (task,) = world.submit(spec(retry=Retry(attempts=5)))
    run = RunId(task, 1, 0)
    world.report(run, RunState.EXITED, Exit(127, Fault.COMMAND_NOT_FOUND, "no such program: tru"))
    assert world.final[task].state is TaskState.FAILED
    assert world.final[task].reason == "command not found: no such program: tru"


def test_a_vanished_node_costs_no_attempt_of_the_task_and_old_reports_are_fenced() -> None:
    world = World({"n1": 1, "n2": 1}, placement="binpack")
    (task,) = world.submit(spec())
    world.start(task)
    (before,) = world.nodes_of(task)
    world.do(NodeVanished(NodeId(before)))
    (after,) = world.nodes_of(task)
    assert after != before and world.task(task).attempt == 2 and world.task(task).failures == 0
    old = RunReport(RunId(task, 1, 0), RunState.RUNNING, started_at=world.now)
    outcome = world.do(RunReported(NodeId(before), old))
    assert [c for c in outcome.commands if isinstance(c, Stop)], "the zombie is killed"
    assert world.task(task).attempt == 2


def test_cancel_means_dead_before_the_slot_is_used_again() -> None:
    world = World({"n1": 1})
    (task,) = world.submit(spec())
    world.start(task)
    (next_,) = world.submit(spec("next"))
    world.do(CancelRequested(task, ME))
    assert next_ not in world.running()
    world.obey_stops()
    assert world.final[task].state is TaskState.CANCELLED
    assert world.running() == [next_]
    world.do(CancelRequested(task, ME))
    assert isinstance(world.last.refused[0], TaskEnded)


def test_a_gang_starts_whole_or_not_at_all_and_ends_together() -> None:
    world = World({"n1": 2, "n2": 2})
    (gang,) = world.submit(spec("gang", min_workers=3, max_workers=3))
    assert len(world.launches) == 3
    (other,) = world.submit(spec("other", min_workers=2, max_workers=2))
    assert other not in world.running(), "one place is left, two are needed"
    world.start(gang)
    world.report(RunId(gang, 1, 1), RunState.EXITED, Exit(9))
    assert set(world.stopped) == {RunId(gang, 1, 0), RunId(gang, 1, 2)}
    world.obey_stops()
    assert world.final[gang].state is TaskState.FAILED and world.final[gang].exit_code == 9
    assert world.running() == [other]


def test_fair_and_fcfs_allotment_at_the_start() -> None:
    greedy = World({"n1": 6}, allotment="fcfs")
    first, second = greedy.submit(*[spec(min_workers=1, max_workers=4)] * 2)
    assert [greedy.task(t).workers for t in (first, second)] == [4, 2]
    fair = World({"n1": 6}, allotment="fair")
    (only,) = fair.submit(spec(min_workers=1, max_workers=4))
    assert fair.task(only).workers == 4
    (late,) = fair.submit(spec(min_workers=1, max_workers=4))
    assert fair.task(late).workers == 2


def test_dependencies_block_release_and_cancel() -> None:
    world = World({"n1": 1})
    (first,) = world.submit(spec("first"))
    (second,) = world.submit(spec("second", after=(first,)))
    (third,) = world.submit(spec("third", after=(first, second)))
    assert world.task(second).state is TaskState.BLOCKED
    world.start(first)
    world.end(first)
    assert world.running() == [second] and world.task(third).state is TaskState.BLOCKED
    world.start(second)
    world.end(second, code=1)
    assert world.final[third].state is TaskState.CANCELLED and second in world.final[third].reason
    with pytest.raises(UnknownTask):
        world.submit(spec("lost", after=(TaskId("t-nowhere"),)))


def test_quotas_limit_queue_and_workers() -> None:
    world = World({"n1": 4})
    world.do(QuotaChanged(Quota(UserName("ann"), running_workers=1, queued_tasks=1), ME))
    (first,) = world.submit(spec(user=UserName("ann")))
    (second,) = world.submit(spec(user=UserName("ann")))
    assert world.running() == [first]
    assert explain(world.state, world.task(second), world.now).blocking == "quota"
    with pytest.raises(QuotaExceeded) as refused:
        world.submit(spec(user=UserName("ann")))
    assert refused.value.fields["quota"] == 1
    (other,) = world.submit(spec(user=UserName("bob")))
    assert other in world.running(), "one user's quota holds up nobody else"


def test_impossible_needs_are_refused_with_the_largest_node() -> None:
    world = World({"g1": Resources(cpu_m=8000, memory=GB, gpus=2)})
    with pytest.raises(Unplaceable, match=r"4 GPUs asked for, the largest node has 2 \(g1\)") as refused:
        world.submit(spec(resources=Resources(gpus=4)))
    assert "--workers 4 --gpus 1" in refused.value.remedy
    with pytest.raises(Unplaceable, match="memory"):
        world.submit(spec(resources=Resources(memory=10 * GB)))
    with pytest.raises(Unplaceable, match="3 workers asked for, it holds at most 2"):
        world.submit(spec(resources=Resources(gpus=1), min_workers=3, max_workers=3))


def test_gpu_devices_are_given_one_by_one_and_come_back() -> None:
    world = World({"g1": Resources(cpu_m=8000, gpus=3)})
    one, two = world.submit(spec(resources=Resources(gpus=1)), spec(resources=Resources(gpus=2)))
    assert world.state.runs[one][0].devices == (0,)
    assert world.state.runs[two][0].devices == (1, 2)
    world.start(one)
    world.end(one)
    (three,) = world.submit(spec(resources=Resources(gpus=1)))
    assert world.state.runs[three][0].devices == (0,)


def test_torchruns_local_rank_is_a_gpu_that_the_worker_sees() -> None:
    def variables(need: Resources) -> list[tuple[str, ...]]:
        world = World({"g1": Resources(cpu_m=3000, gpus=3)})
        world.submit(spec(resources=need, min_workers=3, max_workers=3, elasticity=Elasticity.NONE))
        names = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE")
        launched = [order.run for order in world.last.commands if isinstance(order, Launch)]
        return sorted(tuple(dict(run.environment)[name] for name in names) for run in launched)

    assert variables(Resources(cpu_m=1000)) == [
        ("0", "0", "3", "0", "1"),
        ("1", "1", "3", "0", "1"),
        ("2", "2", "3", "0", "1"),
    ]
    # Each sees its own GPU only, as device 0.
    assert variables(Resources(cpu_m=1000, gpus=1)) == [
        ("0", "0", "1", "0", "3"),
        ("1", "0", "1", "1", "3"),
        ("2", "0", "1", "2", "3"),
    ]


def test_timeouts_kill_an_attempt_or_end_the_wait() -> None:
    world = World({"n1": 1})
    (task,) = world.submit(spec(timeout_s=10))
    (waits,) = world.submit(spec(queue_timeout_s=5))
    world.start(task)
    world.do(after=6)
    assert world.final[waits].state is TaskState.FAILED
    world.do(after=5)
    assert world.stopped == [RunId(task, 1, 0)]
    world.obey_stops()
    assert world.final[task].state is TaskState.FAILED and "timeout" in world.final[task].reason


def test_a_returning_node_is_reconciled() -> None:
    world = World({"n1": 3})
    asked, started, ended = world.submit(spec(), spec(), spec())
    world.start(started)
    world.start(ended)
    at, report = world.held[RunId(ended, 1, 0)]
    world.held[RunId(ended, 1, 0)] = (
        at,
        RunReport(report.id, RunState.EXITED, report.started_at, world.now, Exit(0)),
    )
    del world.held[RunId(started, 1, 0)]
    del world.held[RunId(asked, 1, 0)]
    outcome = world.join("n1", 3)
    relaunched = [c.run.id for c in outcome.commands if isinstance(c, Launch)]
    assert RunId(asked, 1, 0) in relaunched, "never confirmed, so it is asked for again"
    assert world.final[ended].state is TaskState.SUCCEEDED
    assert world.task(started).losses == 1 and world.task(started).attempt == 2


def test_draining_finishes_what_runs_and_takes_nothing_new() -> None:
    world = World({"n1": 2})
    (first,) = world.submit(spec())
    world.start(first)
    world.do(DrainRequested(NodeId("n1"), True, ME))
    (second,) = world.submit(spec())
    assert world.running() == [first]
    assert explain(world.state, world.task(second), world.now).blocking == "no node"
    world.do(DrainRequested(NodeId("n1"), False, ME))
    assert world.running() == [first, second]


def test_switching_the_profile_orders_the_queue_anew() -> None:
    world = World({"n1": 1}, ordering="fcfs")
    (running,) = world.submit(spec())
    first, second = world.submit(spec(priority=0), spec(priority=1))
    assert world.state.ready.ahead_of(second, 5) == (1, [first])
    world.do(ProfileSwitched("dtes", ME))
    assert world.state.ready.ahead_of(first, 5) == (1, [second])
    assert world.last.settings == {"profile": "dtes"}
    assert running in world.running()


def test_explain_names_what_stands_in_the_way() -> None:
    world = World({"n1": 1, "g1": Resources(cpu_m=1000, gpus=1)}, ordering="priority")
    (hog,) = world.submit(spec("hog", resources=Resources(cpu_m=1000, gpus=1), estimate_s=60))
    world.start(hog)
    waiting, behind = world.submit(*[spec("w", resources=Resources(gpus=1))] * 2)
    told = explain(world.state, world.task(waiting), world.now + 5)
    facts = {fact.topic: fact.text for fact in told.facts}
    assert told.blocking == "resources" and told.position == 1
    assert facts["fits on"] == "g1 (full)" and "no GPU" in facts["not on"]
    assert hog in facts["next"] and "55" in facts["next"]
    told = explain(world.state, world.task(behind), world.now)
    assert told.position == 2 and told.ahead == [waiting]
