"""The history as a workload, and its replay under other profiles."""

from __future__ import annotations

from typing import Any

import pytest

from tests.samples import ended_run, make_task
from trainmaster.domain.cluster import Node, Quota
from trainmaster.domain.ids import NodeId, TaskId, UserName
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.task import Elasticity
from trainmaster.domain.units import Resources
from trainmaster.policies.registry import PROFILES
from trainmaster.ports import Metric, Past
from trainmaster.simulator.errors import BadSetting, EmptyHistory
from trainmaster.simulator.whatif import Question, ask, sized
from trainmaster.simulator.workload.history import history

ONE = Resources(1000)


def past(seq: int, at: float, low: float, high: float, workers: int = 1, **fields: Any) -> Past:
    """A task submitted at `at` whose workers ran from `low` to `high`."""
    spec = {"resources": ONE, **{name: fields.pop(name) for name in list(fields) if name not in FACTS}}
    task = make_task(
        seq, TaskState.SUCCEEDED, submitted_at=at, first_started_at=low, ended_at=high, attempt=1, **spec
    )
    runs = [
        ended_run(task.id, 1, rank, started_at=low, ended_at=high, launched_at=low, resources=ONE)
        for rank in range(workers)
    ]
    return Past(task, tuple(runs), **fields)


FACTS = ("generations", "reported")


def node(name: str, cores: int = 1) -> Node:
    return Node(NodeId(name), Resources(1000 * cores))


def question(pasts: list[Past], **fields: Any) -> Question:
    values = {
        "since": 100.0, "until": 1100.0, "present": PROFILES["dtes"], "other": PROFILES["dtes"],
        "pasts": pasts, "reports": {}, "cluster": [node("n1")], **fields,
    }  # fmt: skip
    return Question(**values)


def test_a_rigid_task_needs_the_seconds_of_its_last_attempt() -> None:
    task = past(1, 110.0, 120.0, 150.0)
    retried = Past(
        past(2, 110.0, 120.0, 150.0).task,
        (
            ended_run(TaskId("x"), 1, started_at=120.0, ended_at=130.0),
            ended_run(TaskId("x"), 2, started_at=140.0, ended_at=145.0),
        ),
    )
    goes_on = Past(retried.task, retried.runs, reported=True)
    for given, seconds in ((task, 30.0), (retried, 5.0), (goes_on, 15.0)):
        (arrival,) = history([given], {}, 100.0, 1100.0).arrivals
        assert arrival.training.ahead() == seconds and arrival.time == 10.0
        assert arrival.training.resumes == given.reported


def test_elastic_work_is_counted_at_the_measured_speeds() -> None:
    """100 s with two workers at 1.5 times the speed of one are 150 s of one."""
    made = past(1, 100.0, 100.0, 200.0, workers=2, max_workers=2, generations=1, reported=True)
    task = made.task.id
    reports = [Metric(made.runs[0].id, 110.0 + n, n, {"samples_s": 15.0}) for n in range(3)]
    one = ended_run(task, 2, 0, started_at=200.0, ended_at=210.0)
    told = [*reports, *(Metric(one.id, 201.0 + n, 5 + n, {"samples_s": 10.0}) for n in range(3))]
    both = Past(made.task, (*made.runs, one), 1, True)
    (arrival,) = history([both], {task: told}, 100.0, 1100.0).arrivals
    assert arrival.training.ahead() == pytest.approx(160.0, rel=0.01)
    assert arrival.spec.elasticity is Elasticity.AUTO
    (plain,) = history([past(1, 100.0, 100.0, 200.0, max_workers=2)], {}, 100.0, 1100.0).arrivals
    assert plain.spec.elasticity is Elasticity.NONE, "no group was ever formed: nobody could resize it"


def test_dependencies_keep_their_meaning_and_what_never_ran_is_left_out() -> None:
    first = past(1, 110.0, 110.0, 120.0)
    never = Past(make_task(3, TaskState.CANCELLED, submitted_at=130.0, ended_at=140.0), ())
    second = past(2, 111.0, 120.0, 130.0, after=(first.task.id, TaskId("t-long-ago")))
    workload = history([first, second, never], {}, 100.0, 1100.0)
    assert workload.arrivals[1].spec.after == (TaskId("t-0000001"),)
    assert workload.left_out == {"never started": 1}


def test_the_same_profile_tells_what_happened() -> None:
    """Three tasks of one node, one after the other."""
    pasts = [past(n, 110.0 + n, 120.0 + 50 * n, 170.0 + 50 * n) for n in range(3)]
    answer = ask(question(pasts))
    was, replayed, other = answer.columns
    assert (was.name, replayed.name, other.name) == ("as it was", "replayed", "what if")
    assert replayed.jct_s == other.jct_s and replayed.ended == 3 and not replayed.unended
    assert was.wait_s["mean"] == pytest.approx((10 + 59 + 108) / 3)
    assert replayed.wait_s["mean"] == pytest.approx((0 + 49 + 98) / 3)
    assert was.busy_node_hours == replayed.busy_node_hours == pytest.approx(150 / 3600, abs=1e-4)


def test_more_nodes_let_nobody_wait() -> None:
    pasts = [past(n, 110.0, 120.0 + 50 * n, 170.0 + 50 * n) for n in range(3)]
    answer = ask(question(pasts, nodes=3))
    assert answer.columns[1].nodes == 1 and answer.columns[2].nodes == 3
    assert answer.columns[2].wait_s["max"] == 0
    assert answer.rows[0].jct_s[2] == pytest.approx(50) and answer.rows[0].jct_s[1] == pytest.approx(150)


def test_the_order_of_another_profile_shows() -> None:
    """Under `dtes` (by priority) the late important task passes the others."""
    pasts = [past(n, 110.0 + n, 120.0 + 50 * n, 170.0 + 50 * n) for n in range(3)]
    pasts.append(past(3, 115.0, 270.0, 320.0, priority=9.0))
    answer = ask(question(pasts, present=PROFILES["planned"]))
    important = next(row for row in answer.rows if row.task == pasts[3].task.id)
    assert important.wait_s[2] == pytest.approx(45) and important.wait_s[1] == pytest.approx(145)


def test_tasks_that_never_end_are_counted() -> None:
    pasts = [
        past(1, 110.0, 120.0, 130.0, user="ann"),
        past(2, 110.0, 120.0, 130.0, workers=2, min_workers=2, max_workers=2),
    ]
    answer = ask(question(pasts, cluster=[node("n1", 2)], quotas=[Quota(UserName("ann"), running_workers=0)]))
    assert (answer.columns[2].ended, answer.columns[2].unended) == (1, 1)
    answer = ask(question(pasts, cluster=[node("n1"), node("n2")], nodes=1))
    assert (answer.columns[1].ended, answer.columns[2].ended) == (2, 1), "two workers need two nodes"


def test_nothing_to_replay_is_said() -> None:
    never = Past(make_task(3, TaskState.CANCELLED, submitted_at=130.0, ended_at=140.0), ())
    with pytest.raises(EmptyHistory, match="1 were there, but never started"):
        ask(question([never]))
    with pytest.raises(BadSetting, match="nodes"):
        ask(question([past(1, 110.0, 120.0, 130.0)], cluster=[], nodes=3))


def test_a_larger_cluster_has_copies_of_the_nodes_there_are() -> None:
    cluster = [node("a"), node("b", 4)]
    made = sized(cluster, 5)
    assert [n.id for n in made] == ["a", "b", "a+1", "b+1", "a+2"]
    assert made[3].capacity == cluster[1].capacity
    assert sized(cluster, 1) == [cluster[0]]
