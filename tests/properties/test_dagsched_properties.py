"""What must hold of every algorithm on every graph."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.properties.dagsched_graphs import graphs, layered_graphs, machines, relabelled, sparse_graphs
from trainmaster.dagsched import ALGORITHMS, TaskGraph, lower_bounds, schedule
from trainmaster.dagsched.clusters import quotient
from trainmaster.dagsched.dagp import partition

MEMBERS = [name for name in ALGORITHMS if name not in ("exact", "auto")]
QUICK = {"local_search": {"iterations": 8}, "auto": {"effort": 0.01}}

few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("ports", ["multi", "single"])
@pytest.mark.parametrize("name", [*MEMBERS, "auto"])
def test_plans_are_valid_and_not_below_the_bound(name, ports):
    @few
    @given(st.data())
    def check(data):
        graph = data.draw(graphs)
        machine = data.draw(machines(graph))
        plan = schedule(graph, machine, name, ports=ports, **QUICK.get(name, {}))
        plan.validate()
        assert plan.lower_bound <= plan.makespan
        assert lower_bounds(graph, machine).best <= plan.makespan * (1 + 1e-9)
        assert plan.gap >= 0
        assert plan.inflation >= 1 - 1e-9

    check()


@pytest.mark.parametrize("name", [*MEMBERS, "auto"])
def test_the_same_arguments_give_the_same_plan(name):
    @few
    @given(graphs, st.integers(1, 5), st.integers(0, 3))
    def check(graph, p, seed):
        options = QUICK.get(name, {})
        first = schedule(graph, p, name, seed=seed, **options)
        again = schedule(graph, p, name, seed=seed, **options)
        assert np.array_equal(first.placements, again.placements)

    check()


@some
@given(graphs, st.integers(1, 5), st.sampled_from(["multi", "single"]))
def test_auto_is_never_worse_than_its_members_and_rivals(graph, p, ports):
    best = schedule(graph, p, "auto", ports=ports, effort=0.05)
    # These run whatever the effort, so the promise holds exactly.
    for rival in ("serial", "etf", "heft", "tdpatd", "duplication"):
        assert best.makespan <= schedule(graph, p, rival, ports=ports).makespan * (1 + 1e-9)
    assert best.makespan == min(best.report["members"].values())
    full = schedule(graph, p, "auto", ports=ports, effort=1.0)
    assert "tdca" not in full.report["skipped"]
    assert full.makespan <= schedule(graph, p, "tdca", ports=ports).makespan * (1 + 1e-9)


@some
@given(st.data())
def test_bounds_do_not_depend_on_the_numbers_of_tasks(data):
    graph = data.draw(st.one_of(sparse_graphs(), layered_graphs()))
    names = data.draw(st.permutations(range(graph.n)))
    p = data.draw(st.integers(1, 5))
    assert lower_bounds(relabelled(graph, names), p).best == pytest.approx(lower_bounds(graph, p).best)


@some
@given(st.data())
def test_algorithms_do_not_depend_on_numbers_without_ties(data):
    graph = data.draw(sparse_graphs())
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    source, target, _ = graph.edges()
    # Random real weights: ties have probability nought.
    graph = TaskGraph.from_arrays(rng.uniform(1, 9, graph.n), source, target, rng.uniform(1, 9, graph.m))
    names = data.draw(st.permutations(range(graph.n)))
    for name in ("serial", "heft", "etf", "bl_est", "dls", "duplication"):
        plain = schedule(graph, 3, name).makespan
        assert schedule(relabelled(graph, names), 3, name).makespan == pytest.approx(plain)


@some
@given(graphs)
def test_bounds_fall_with_more_processors(graph):
    values = [lower_bounds(graph, p).best for p in (1, 2, 3, 7, 50)]
    assert all(a >= b * (1 - 1e-12) for a, b in pairwise(values))


@some
@given(graphs, st.integers(1, 4))
def test_one_processor_takes_all_the_work(graph, extra):
    total = graph.work.sum()
    for name in ("heft", "etf", "bl_est", "duplication", "auto"):
        assert schedule(graph, 1, name).makespan == pytest.approx(total)
    assert schedule(graph, extra, "serial").makespan == pytest.approx(total)


@some
@given(graphs)
def test_more_processors_than_tasks_change_nothing_for_list_schedulers(graph):
    for name in ("heft", "etf", "duplication"):
        few_processors = schedule(graph, graph.n, name)
        many = schedule(graph, 10 * graph.n + 5, name)
        assert many.makespan == few_processors.makespan
        many.validate()


@some
@given(st.data())
def test_partitions_are_acyclic_complete_and_exact_in_number(data):
    graph = data.draw(graphs)
    parts = data.draw(st.integers(1, graph.n))
    found = partition(graph, parts)
    source, target, cost = graph.edges()
    assert np.unique(found.part).tolist() == list(range(parts))
    assert np.all(found.part[source] <= found.part[target])
    assert found.cut == pytest.approx(cost[found.part[source] != found.part[target]].sum())
    coarse = quotient(graph, found.part)
    assert coarse.n == parts
    assert coarse.work.sum() == pytest.approx(graph.work.sum())


@some
@given(graphs, st.integers(1, 4))
def test_safe_deduplication_never_lengthens(graph, p):
    parts = max(1, graph.n // 3)
    before = schedule(graph, p, "b_deduplication", parts=parts)
    after = schedule(graph, p, "tdpatd", parts=parts)
    assert after.makespan <= before.makespan * (1 + 1e-12)
    assert after.placements.size <= before.placements.size


@some
@given(graphs, st.integers(1, 4))
def test_improvement_never_lengthens(graph, p):
    for base in ("heft", "etf"):
        better = schedule(graph, p, "forward_backward", start_from=base)
        assert better.makespan <= schedule(graph, p, base).makespan


@few
@given(graphs, st.integers(1, 4), st.floats(0.25, 8))
def test_scaling_all_weights_scales_the_plan(graph, p, factor):
    factor = 2.0 ** round(np.log2(factor))
    source, target, cost = graph.edges()
    scaled = TaskGraph.from_arrays(graph.work * factor, source, target, cost * factor)
    for name in ("heft", "etf", "duplication", "tdca"):
        assert schedule(scaled, p, name).makespan == pytest.approx(factor * schedule(graph, p, name).makespan)
