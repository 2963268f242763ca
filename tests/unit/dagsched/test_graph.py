"""Task graphs: what is refused, what is shared, what is computed."""

from __future__ import annotations

import numpy as np
import pytest

from trainmaster.dagsched import TaskGraph, schedule
from trainmaster.dagsched.errors import (
    CycleError,
    DanglingEdgeError,
    DuplicateEdgeError,
    EmptyGraphError,
    OptionError,
    ProcessorsError,
    ShapeError,
    UnknownAlgorithmError,
    WeightError,
    WeightOverflowError,
)


def test_a_cycle_is_named_in_the_direction_of_its_edges():
    with pytest.raises(CycleError) as caught:
        TaskGraph([1] * 5, [(0, 1, 1), (1, 2, 1), (2, 3, 1), (3, 1, 1), (3, 4, 1)])
    cycle = caught.value.cycle
    start = cycle.index(1)
    assert cycle[start:] + cycle[:start] == (1, 2, 3)
    assert "1" in str(caught.value) and "remove one" in str(caught.value)


def test_a_loop_is_a_cycle_of_one():
    with pytest.raises(CycleError) as caught:
        TaskGraph([1, 1], [(1, 1, 0)])
    assert caught.value.cycle == (1,)


def test_a_long_cycle_is_named_in_short():
    n = 1000
    with pytest.raises(CycleError) as caught:
        TaskGraph([1] * n, [(i, (i + 1) % n, 1) for i in range(n)])
    assert len(caught.value.cycle) == n
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf"), -float("inf")])
def test_bad_weights_are_refused_with_their_place(bad):
    with pytest.raises(WeightError) as work:
        TaskGraph([1, bad])
    assert (work.value.what, work.value.index) == ("work", 1)
    with pytest.raises(WeightError) as cost:
        TaskGraph([1, 1, 1], [(0, 1, 1), (0, 2, bad)])
    assert (cost.value.what, cost.value.index) == ("cost", 1)


def test_weights_whose_sum_overflows_are_refused():
    with pytest.raises(WeightOverflowError) as work:
        TaskGraph([1e308, 1e308])
    assert work.value.what == "work"
    with pytest.raises(WeightOverflowError):
        TaskGraph([1, 1, 1], [(0, 1, 1e308), (1, 2, 1.7e308)])
    with pytest.raises(WeightOverflowError) as both:
        TaskGraph([1e308, 1], [(0, 1, 1e308)])
    assert both.value.what == "work and cost"


def test_huge_integers_become_floats_or_an_error():
    assert TaskGraph([2**60, 2**62]).work.sum() == pytest.approx(2**60 + 2**62)
    assert TaskGraph([10**30, 1]).work[0] == pytest.approx(1e30)
    with pytest.raises((ShapeError, WeightError)):
        TaskGraph([10**400])
    small = np.array([200, 100], np.uint8)
    plan = schedule(TaskGraph(small, [(0, 1, 250)]), 2, "heft")
    assert plan.makespan == 300


@pytest.mark.parametrize(("edge", "where"), [((0, 2, 1), 0), ((-1, 1, 1), 0), ((0, 2**40, 1), 0)])
def test_dangling_edges_are_refused(edge, where):
    with pytest.raises(DanglingEdgeError) as caught:
        TaskGraph([1, 1], [edge])
    assert caught.value.edge == where
    assert (caught.value.source, caught.value.target) == edge[:2]


def test_duplicate_edges_are_refused_whatever_their_order():
    with pytest.raises(DuplicateEdgeError) as caught:
        TaskGraph([1, 1, 1], [(0, 2, 1), (0, 1, 1), (0, 2, 5)])
    assert (caught.value.source, caught.value.target) == (0, 2)


def test_shapes_and_types():
    with pytest.raises(EmptyGraphError):
        TaskGraph([])
    with pytest.raises(ShapeError):
        TaskGraph([[1, 2]])
    with pytest.raises(ShapeError):
        TaskGraph(["long"])
    with pytest.raises(ShapeError):
        TaskGraph([1, 2j])
    with pytest.raises(ShapeError):
        TaskGraph([1, 1], [(0, 1, 1, 1)])
    with pytest.raises(ShapeError):
        TaskGraph([1, 1], [(0, 0.5, 1)])
    with pytest.raises(ShapeError):
        TaskGraph([1, 1], names=["a"])
    with pytest.raises(ShapeError):
        TaskGraph.from_arrays([1, 1], [0], [1, 1], [1])
    with pytest.raises(ShapeError):
        TaskGraph.from_csr([1, 1], [0, 2, 1], [1], [1])


def test_arrays_are_shared_when_they_fit():
    work = np.array([1.0, 2.0, 3.0])
    source, target = np.array([0, 0, 1]), np.array([1, 2, 2], np.int32)
    cost = np.array([1.0, 1.0, 4.0])
    graph = TaskGraph.from_arrays(work, source, target, cost)
    assert np.shares_memory(graph.work, work)
    assert np.shares_memory(graph.arrays.succ, target)
    assert np.shares_memory(graph.arrays.succ_cost, cost)
    ptr = np.array([0, 2, 3, 3])
    rows = TaskGraph.from_csr(work, ptr, target, cost)
    assert np.shares_memory(rows.arrays.succ_ptr, ptr)
    assert rows == graph


def test_read_only_arrays_and_edge_matrices_work():
    work = np.array([1.0, 2.0])
    work.flags.writeable = False
    assert TaskGraph(work, np.array([[0, 1, 2.5]])) == TaskGraph([1, 2], [(0, 1, 2.5)])
    assert TaskGraph([1, 2], np.array([[0, 1]])) == TaskGraph([1, 2], [(0, 1)])
    assert TaskGraph([1, 2], np.zeros((0, 3))).m == 0


def test_figures_of_a_graph():
    graph = TaskGraph([2, 2, 2, 2], [(0, 1, 4), (0, 2, 4), (1, 3, 4), (2, 3, 4)], names="abcd")
    assert (graph.n, graph.m, graph.height, graph.width, graph.ccr) == (4, 4, 3, 4 / 3, 2.0)
    assert graph.name(2) == "c"
    assert TaskGraph([1, 2]).name(1) == "1"
    assert TaskGraph([0, 0]).ccr == 0
    assert "n=4" in repr(graph)


@pytest.mark.parametrize(
    "bad", [0, -3, [], [0.0], [1, -1], [float("nan")], True, "many", 2**30, [[1, 2]], None]
)
def test_impossible_processors_are_refused(bad):
    with pytest.raises(ProcessorsError) as caught:
        schedule(TaskGraph([1, 2, 3]), bad, "heft")
    assert caught.value.reason


def test_times_per_processor_are_checked():
    graph = TaskGraph([1, 2])
    with pytest.raises(ProcessorsError):
        schedule(graph, np.array([[1.0, -1.0], [1.0, 1.0]]), "heft")
    for overflowing in ([1e-320, 1.0], np.full((2, 2), 1e308)):
        with pytest.raises(ProcessorsError):
            schedule(graph, overflowing, "heft")
    plan = schedule(graph, np.array([[5.0, 1.0], [1.0, 5.0]]), "heft")
    assert plan.makespan == 1
    assert schedule(graph, [2.0, 1.0], "heft").makespan == 1.0


def test_unknown_names_and_options():
    graph = TaskGraph([1])
    with pytest.raises(UnknownAlgorithmError) as caught:
        schedule(graph, 1, "magic")
    assert "heft" in caught.value.known
    for name, options in {
        "heft": {"depth": 3},
        "duplication": {"depth": 0},
        "tdca": {"leftovers": "nowhere"},
        "tdpatd": {"parts": 99},
        "auto": {"gap": -1},
        "forward_backward": {"start_from": "auto"},
        "local_search": {"iterations": 0},
    }.items():
        with pytest.raises(OptionError):
            schedule(graph, 1, name, **options)
    with pytest.raises(OptionError):
        schedule(graph, 1, "heft", ports="triple")


@pytest.mark.parametrize("name", ["heft", "etf", "duplication", "tdca", "tdpatd", "auto", "etf_busy"])
def test_the_smallest_graphs(name):
    for ports in ("multi", "single"):
        one = schedule(TaskGraph([7]), 5, name, ports=ports)
        assert one.makespan == 7 and one.gap == pytest.approx(0)
        nothing = schedule(TaskGraph([0, 0], [(0, 1, 0)]), 2, name, ports=ports)
        assert nothing.makespan == 0 and nothing.gap == 0
        apart = schedule(TaskGraph([3, 3, 3]), 2, name, ports=ports)
        apart.validate()
        assert apart.makespan >= 6


def test_more_processors_than_tasks_keep_their_number():
    plan = schedule(TaskGraph([1, 1]), 1000, "etf")
    assert plan.processors == 1000 and plan.makespan == 1
    assert len(plan.lanes()) == 1000


def test_a_star_of_a_hundred_thousand_edges_is_planned():
    n = 100_001
    target = np.arange(1, n)
    graph = TaskGraph.from_arrays(np.ones(n), np.zeros(n - 1, int), target, np.full(n - 1, 3.0))
    for name in ("heft", "etf", "duplication"):
        plan = schedule(graph, 4, name)
        plan.validate()
        assert plan.gap < 1e-3
    join = TaskGraph.from_arrays(np.ones(n), target, np.zeros(n - 1, int), np.full(n - 1, 3.0))
    plan = schedule(join, 4, "etf")
    plan.validate()
    assert plan.gap < 1e-3
