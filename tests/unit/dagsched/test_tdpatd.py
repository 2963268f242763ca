"""TDPATD: the formulas, and the paper's worked example as far as its text gives it.

Table 3 gives the weights of v1 … v15 and Table 4 those of the five parts. Only one division of the tasks fits
both: {1, 3, 4, 5}, {7}, {6, 11}, {2, 8, 12}, {9, 10, 13, 14, 15}. The text prints rct(3,1) = 217,
rct(12,1) = 437, 305 > 244 = rct(3,1) + c(3,9) and 331 > 281 = rct(5,2) + c(5,12), so c(3,9) = 27 and
c(5,12) = 24, processor 1 runs 1 2 3 8 5 4 12 without a pause and processor 2 begins 1, {6, 7}, 3, 5.
The other edge costs are in figures that are lost; here they are the least that fit.
"""

from __future__ import annotations

import numpy as np
import pytest

from trainmaster.dagsched import TaskGraph, generate, schedule
from trainmaster.dagsched.clusters import quotient
from trainmaster.dagsched.machine import machine_for
from trainmaster.dagsched.plan import Plan
from trainmaster.dagsched.problem import Problem
from trainmaster.dagsched.simulation import simulate
from trainmaster.dagsched.tdpatd import formulas
from trainmaster.dagsched.tdpatd.deduplicate import deduplicate

WEIGHTS = [62, 67, 88, 43, 40, 75, 80, 74, 40, 60, 69, 63, 78, 39, 31]
PARTS = [{1, 3, 4, 5}, {7}, {6, 11}, {2, 8, 12}, {9, 10, 13, 14, 15}]
LISTS = [[1, 2, 3, 8, 5, 4, 12], [1, 6, 7, 3, 5, 9, 11, 10, 13, 14, 15]]
EDGES = {
    (1, 2): 20, (1, 3): 30, (1, 6): 25, (1, 7): 25, (2, 8): 20, (3, 4): 20, (1, 5): 30, (3, 9): 27,
    (5, 12): 24, (8, 12): 10, (7, 9): 20, (6, 11): 20, (9, 10): 10, (5, 11): 14, (10, 13): 10, (11, 13): 10,
    (13, 14): 10, (14, 15): 10,
}  # fmt: skip


@pytest.fixture
def example():
    graph = TaskGraph(WEIGHTS, [(u - 1, v - 1, c) for (u, v), c in EDGES.items()])
    problem = Problem(graph, machine_for(graph, 2))
    ptr = np.array([0, len(LISTS[0]), sum(map(len, LISTS))])
    task = np.array([v - 1 for tasks in LISTS for v in tasks], np.int32)
    return problem, simulate(problem, ptr, task)


def completions(draft):
    return {
        (int(v) + 1, int(q) + 1): float(f)
        for v, q, f in zip(draft.task, draft.processor, draft.finish, strict=True)
    }


def test_weights_of_the_parts_are_those_of_table_4(example):
    problem, _ = example
    part = np.empty(15, np.int64)
    for k, tasks in enumerate(PARTS):
        part[[v - 1 for v in tasks]] = k
    # Only weights are asked here: the parts of the lost figure need not be acyclic with our edges.
    work = np.bincount(part, weights=problem.graph.work)
    assert work.tolist() == [233, 80, 144, 204, 248]
    assert WEIGHTS[0] + WEIGHTS[2] + WEIGHTS[3] + WEIGHTS[4] == 233


def test_run_time_completions_are_the_printed_ones(example):
    _, draft = example
    rct = completions(draft)
    assert (rct[3, 1], rct[5, 1], rct[12, 1], rct[3, 2]) == (217, 331, 437, 305)


def test_deduplication_deletes_what_the_paper_deletes(example):
    problem, draft = example
    rct = completions(draft)
    assert rct[3, 2] > rct[3, 1] + EDGES[3, 9] == 244
    for rule in ("every_consumer", "first_child"):
        after = deduplicate(problem, draft, rule=rule)
        left = completions(after)
        assert (3, 2) not in left and (3, 1) in left
        # With v3 gone, v5 ends at 257 on processor 2 and reaches v12 at 281, before 331.
        assert left[5, 2] == 257
        assert rct[5, 1] > left[5, 2] + EDGES[5, 12] == 281
        assert (5, 1) not in left
        assert left[12, 1] == 437 - 40
        assert after.makespan <= draft.makespan


def test_the_quotient_takes_sums_and_the_dearest_crossing_edge():
    graph = TaskGraph([1, 2, 3, 4], [(0, 2, 5), (0, 3, 9), (1, 2, 7), (0, 1, 2)])
    coarse = quotient(graph, np.array([0, 0, 1, 1]))
    assert coarse == TaskGraph([3, 7], [(0, 1, 9)])


def test_the_formulas_agree_with_the_simulation():
    graph = generate(40, height=6, ccr=1, seed=8)
    plan = schedule(graph, 3, "b_deduplication", parts=12)
    check_formulas(plan)
    check_formulas(schedule(graph, 3, "tdpatd", parts=40))


def check_formulas(plan: Plan):
    graph = plan.graph
    costs = {(int(u), int(v)): float(c) for u, v, c in zip(*graph.edges(), strict=True)}
    done = {(int(r["task"]), int(r["processor"])): float(r["finish"]) for r in plan.placements}
    exits = []
    for q, lane in enumerate(plan.lanes()):
        sequence = lane["task"].tolist()
        for row in lane:
            i = int(row["task"])
            above = {u: [(r, f) for (w, r), f in done.items() if w == u] for u, v in costs if v == i}
            available = formulas.pat(sequence, i, lambda task, q=q: done[task, q])
            start = formulas.rst(i, q, available, above, lambda j, v: costs[j, v])
            # A copy of a parent counts once it has run, so later copies can only look earlier here.
            assert start <= row["start"] + 1e-9
            assert formulas.rct(float(row["start"]), float(graph.work[i])) == pytest.approx(row["finish"])
            assert start == pytest.approx(row["start"])
            if not any(u == i for u, _ in costs):
                exits.append(float(row["finish"]))
    assert formulas.makespan(exits) == pytest.approx(plan.makespan)


def test_est_and_ect_are_formulas_1_and_2():
    from trainmaster.dagsched.kernels.clusters import earliest_completions

    graph = generate(30, height=6, ccr=2, seed=3)
    times = np.random.default_rng(0).uniform(1, 9, (30, 3))
    table = earliest_completions(graph.arrays, times, 3)
    costs = {(int(u), int(v)): float(c) for u, v, c in zip(*graph.edges(), strict=True)}
    for i in range(30):
        above = [u for u, v in costs if v == i]
        for p in range(3):
            start = formulas.est(i, p, above, 3, lambda j, q: table[j, q], lambda j, v: costs[j, v])
            assert formulas.ect(start, times[i, p]) == pytest.approx(table[i, p])


def test_rules_differ_and_the_unsafe_one_may_lengthen():
    """v has two children beside its late copy: the first child's edge is cheap, the second's is dear."""
    graph = TaskGraph([10, 20, 1, 1], [(0, 1, 5), (1, 2, 1), (1, 3, 100)])
    problem = Problem(graph, machine_for(graph, 2))
    ptr, task = np.array([0, 2, 6]), np.array([0, 1, 0, 1, 2, 3], np.int32)
    slow = simulate(Problem(graph, machine_for(graph, [1.0, 0.5])), ptr, task)
    assert slow.makespan == 64
    different = Problem(graph, machine_for(graph, [1.0, 0.5]))
    assert deduplicate(different, slow, rule="every_consumer").makespan <= slow.makespan
    assert deduplicate(different, slow, rule="first_child").makespan > slow.makespan
    assert problem.p == 2


@pytest.mark.parametrize("mapping", ["b_level", "block"])
@pytest.mark.parametrize("leftovers", ["rct", "load", "start"])
def test_every_variant_is_valid(mapping, leftovers):
    graph = generate(200, height=15, ccr=2, seed=6)
    for ports in ("multi", "single"):
        plan = schedule(graph, 4, "tdpatd", parts=50, mapping=mapping, leftovers=leftovers, ports=ports)
        plan.validate()
        assert plan.report["parts"] == 50
