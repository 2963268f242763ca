"""The exact solver, against every plan of tiny graphs and against the portfolio."""

from __future__ import annotations

import itertools
import sys

import pytest

from trainmaster.dagsched import TaskGraph, generate, schedule
from trainmaster.dagsched.errors import MissingExtraError, OptionError


def best_without_copies(graph, p):
    """Every order with every assignment, appended in order: a list schedule reaches the optimum."""
    source, target, cost = (column.tolist() for column in graph.edges())
    costs = dict(zip(zip(source, target, strict=True), cost, strict=True))
    best = float("inf")
    for order in itertools.permutations(range(graph.n)):
        if any(order.index(u) > order.index(v) for u, v in costs):
            continue
        for where in itertools.product(range(p), repeat=graph.n):
            free, finish = [0.0] * p, {}
            for v in order:
                at = free[where[v]]
                for (u, w), c in costs.items():
                    if w == v:
                        at = max(at, finish[u] + (0 if where[u] == where[v] else c))
                finish[v] = free[where[v]] = at + graph.work[v]
            best = min(best, max(finish.values()))
    return best


def test_without_the_solver_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ortools.sat.python", None)
    with pytest.raises(MissingExtraError) as caught:
        schedule(TaskGraph([1]), 1, "exact")
    assert caught.value.package == "ortools"


def test_tiny_graphs_are_solved_to_the_optimum():
    for seed in range(3):
        graph = generate(6, height=4, ccr=1.5, out_degree=2, seed=seed)
        plan = schedule(graph, 2, "exact", copies=False, limit=20.0)
        plan.validate()
        assert plan.report["proved"] and plan.copies == 0
        assert plan.makespan == pytest.approx(best_without_copies(graph, 2), rel=1e-5)
        both = schedule(graph, 2, "exact", limit=20.0)
        assert both.makespan <= plan.makespan * (1 + 1e-9)
        assert both.makespan <= schedule(graph, 2, "auto").makespan


def test_copies_can_be_needed_for_the_best_plan():
    graph = TaskGraph([2, 5, 5], [(0, 1, 50), (0, 2, 50)])
    assert schedule(graph, 2, "exact").makespan == pytest.approx(7)
    assert schedule(graph, 2, "exact", copies=False).makespan == pytest.approx(12)
    assert schedule(graph, 2, "auto").makespan == pytest.approx(7)


def test_requests_it_cannot_meet():
    with pytest.raises(OptionError):
        schedule(TaskGraph([1]), 1, "exact", ports="single")
    with pytest.raises(OptionError):
        schedule(generate(30), 2, "exact", most=10)
