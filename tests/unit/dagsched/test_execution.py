"""Planned graphs of functions run as planned."""

from __future__ import annotations

import operator
import os
from functools import partial

import numpy as np
import pytest

from trainmaster.dagsched import Lanes, TaskGraph, execute, generate, schedule
from trainmaster.dagsched.errors import ExecutionError, OptionError
from trainmaster.dagsched.execution.orders import orders_of


def label(task, *parents):
    """The set of all ancestors, so that a wrong or missing input shows."""
    return frozenset({task}).union(*parents)


def fail(*_):
    raise ValueError("on purpose")


def die(*_):
    os._exit(3)


def ancestors(graph):
    sets = {}
    a = graph.arrays
    for v in a.topo.tolist():
        sets[v] = label(v, *(sets[u] for u in a.pred[a.pred_ptr[v] : a.pred_ptr[v + 1]].tolist()))
    return sets


@pytest.fixture(scope="module")
def lanes():
    with Lanes(3) as pool:
        yield pool


@pytest.mark.parametrize("ports", ["multi", "single"])
@pytest.mark.parametrize("name", ["heft", "duplication", "tdpatd"])
def test_results_order_and_copies(lanes, name, ports):
    graph = generate(60, height=9, ccr=4, seed=2)
    plan = schedule(graph, 3, name, ports=ports)
    done = execute([partial(label, v) for v in range(60)], graph, plan, lanes=lanes)
    assert done.results == ancestors(graph)
    assert done.makespan > 0
    # Same copies on the same lanes in the same order, measured instead of planned.
    for column in ("task", "processor"):
        assert np.array_equal(done.placements[column], plan.placements[column])
    for lane in range(3):
        mine = done.placements[done.placements["processor"] == lane]
        assert np.all(mine["start"][1:] >= mine["finish"][:-1])
    if name == "duplication" and ports == "multi":
        assert plan.copies > 0


def test_each_copy_takes_the_data_the_plan_gives_it():
    graph = TaskGraph([2, 3, 1], [(0, 1, 9), (0, 2, 1)])
    plan = schedule(graph, 2, "duplication")
    steps = orders_of(plan)
    assert sum(len(lane) for lane in steps) == plan.placements.size
    assert sum(step.keep for lane in steps for step in lane) == 3


def test_arrays_cross_lanes_and_lanes_stay_warm(lanes):
    graph = TaskGraph([1, 1, 1], [(0, 2, 0), (1, 2, 0)])
    functions = [partial(np.full, 300_000, 1.0), partial(np.full, 300_000, 2.0), operator.add]
    plan = schedule(graph, 2, "etf")
    for _ in range(3):
        done = execute(functions, graph, plan, lanes=lanes)
        assert done.results[2].sum() == 900_000


def test_a_failing_function_is_reported_with_its_traceback():
    graph = TaskGraph([1, 1], [(0, 1, 1)])
    with pytest.raises(ExecutionError) as caught:
        execute([partial(label, 0), fail], graph, schedule(graph, 2, "serial"))
    assert caught.value.task == 1
    assert "on purpose" in caught.value.detail


def test_a_lane_that_dies_is_reported():
    graph = TaskGraph([1, 1], [(0, 1, 1)])
    with Lanes(2) as pool:
        with pytest.raises(ExecutionError) as caught:
            execute([die, label], graph, schedule(graph, 2, "serial"), lanes=pool)
        assert "3" in caught.value.detail or "ended" in caught.value.detail
        with pytest.raises(OptionError):
            execute([die, label], graph, schedule(graph, 2, "serial"), lanes=pool)


def test_wrong_requests_are_refused(lanes):
    graph = TaskGraph([1, 1])
    plan = schedule(graph, 2, "etf")
    with pytest.raises(OptionError):
        execute([label], graph, plan, lanes=lanes)
    with pytest.raises(OptionError):
        execute([label] * 2, TaskGraph([5, 5]), plan, lanes=lanes)
    with pytest.raises(OptionError):
        execute([label] * 9, TaskGraph([1] * 9), schedule(TaskGraph([1] * 9), 9, "etf"), lanes=lanes)
    with pytest.raises(OptionError):
        Lanes(0)
