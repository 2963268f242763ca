"""Every kernel against its slow twin on many small random graphs with whole-number weights."""

from __future__ import annotations

import random

import numba
import numpy as np
import pytest

from tests.naive import dagsched_twins as naive
from trainmaster.dagsched import TaskGraph
from trainmaster.dagsched.bounds import combined_bound, join_aware_heads
from trainmaster.dagsched.clusters import quotient
from trainmaster.dagsched.dagp import partition
from trainmaster.dagsched.dagp.coarsen import contract, match
from trainmaster.dagsched.dagp.refine import cut_cost
from trainmaster.dagsched.improve.moves import Draws, change, undo
from trainmaster.dagsched.kernels import ranks
from trainmaster.dagsched.kernels.clusters import critical_parents, earliest_completions
from trainmaster.dagsched.kernels.duplicate import duplicate_in_order
from trainmaster.dagsched.kernels.earliest import earliest_task_first
from trainmaster.dagsched.kernels.inorder import schedule_in_order
from trainmaster.dagsched.kernels.ports import free_ports
from trainmaster.dagsched.kernels.prune import superfluous_copies
from trainmaster.dagsched.kernels.readyscan import schedule_ready
from trainmaster.dagsched.kernels.simulate import simulate_lists
from trainmaster.dagsched.kernels.sorting import rising
from trainmaster.dagsched.tdpatd.deduplicate import late_copies

SEEDS = range(40)


def sample(seed, most=11, zero=True):
    """A random graph with scattered ties, as (work, edges) and as a TaskGraph; p processors."""
    rng = random.Random(seed)
    n = rng.randint(1, most)
    names = list(range(n))
    rng.shuffle(names)
    low = 0 if zero else 1
    work = [rng.randint(low, 6) for _ in range(n)]
    density = rng.choice([0.15, 0.35, 0.6])
    edges = {
        (names[i], names[j]): rng.randint(0, 8)
        for i in range(n)
        for j in range(i + 1, n)
        if rng.random() < density
    }
    graph = TaskGraph(work, [(u, v, c) for (u, v), c in edges.items()])
    return work, edges, graph, rng.randint(1, 4), rng


def free_group(n):
    return np.full(n, -1, np.int64), np.zeros(0, np.int64)


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_and_order(seed):
    _, edges, graph, _, _ = sample(seed)
    a = graph.arrays
    for v in range(graph.n):
        assert a.pred[a.pred_ptr[v] : a.pred_ptr[v + 1]].tolist() == naive.parents(edges, v)
        assert a.succ[a.succ_ptr[v] : a.succ_ptr[v + 1]].tolist() == naive.children(edges, v)
        costs = a.pred_cost[a.pred_ptr[v] : a.pred_ptr[v + 1]].tolist()
        assert costs == [edges[u, v] for u in naive.parents(edges, v)]
    assert a.topo.tolist() == naive.kahn(graph.n, edges)


@pytest.mark.parametrize("seed", SEEDS)
def test_levels_and_orders(seed):
    work, edges, graph, _, rng = sample(seed)
    g, w = graph.arrays, graph.work
    tasks = range(graph.n)
    for communication in (0.0, 1.0):
        assert ranks.b_levels(g, w, communication).tolist() == [
            naive.b_level(work, edges, v, communication) for v in tasks
        ]
        assert ranks.t_levels(g, w, communication).tolist() == [
            naive.t_level(work, edges, v, communication) for v in tasks
        ]
    assert ranks.hop_levels(g).tolist() == [naive.hop_level(edges, v) for v in tasks]
    assert ranks.descending(g, ranks.b_levels(g, w, 1.0)).tolist() == naive.falling(work, edges)
    priority = np.array([rng.randint(0, 3) for _ in tasks], np.float64)
    assert ranks.priority_order(g, priority).tolist() == naive.priority_order(graph.n, edges, priority)


@numba.njit
def sorted_by(key):
    """``rising`` is for kernels only."""
    return rising(key)


def test_sorting_is_stable():
    rng = np.random.default_rng(0)
    for size in (0, 1, 15, 16, 17, 33, 200, 1000):
        key = rng.integers(0, 7, size).astype(np.float64)
        assert sorted_by(key).tolist() == np.argsort(key, kind="stable").tolist()


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("insertion", [False, True])
@pytest.mark.parametrize("finish_counts", [False, True])
def test_in_order(single, insertion, finish_counts):
    for seed in SEEDS:
        # Tasks of no length may sit at the edge of a busy stretch in more than one way: leave them out.
        work, edges, graph, p, _ = sample(seed, zero=False)
        order = naive.falling(work, edges)
        group, home = free_group(graph.n)
        got = schedule_in_order(
            graph.arrays, np.array(order, np.int32), graph.work.reshape(-1, 1), p, insertion, finish_counts,
            None, group, home, free_ports(p, single),
        )  # fmt: skip
        wanted = naive.in_order(work, edges, order, p, insertion, finish_counts, single=single)
        assert [column.tolist() for column in got[:3]] == list(wanted)


def test_in_order_with_groups_and_different_processors():
    for seed in SEEDS:
        work, edges, graph, p, rng = sample(seed, zero=False)
        p += 1
        order = naive.falling(work, edges)
        times = [[rng.randint(1, 6) for _ in range(p)] for _ in work]
        bias = [[rng.randint(0, 4) for _ in range(p)] for _ in work]
        group = [rng.choice([None, 0, 1, 2]) for _ in work]
        got = schedule_in_order(
            graph.arrays, np.array(order, np.int32), np.array(times, np.float64), p, True, True,
            np.array(bias, np.float64), np.array([-1 if k is None else k for k in group], np.int64),
            np.array([1, -1, -1], np.int64), None,
        )  # fmt: skip
        wanted = naive.in_order(work, edges, order, p, True, True, times, bias, group, {0: 1})
        assert [column.tolist() for column in got[:3]] == list(wanted)


@pytest.mark.parametrize("seed", SEEDS)
def test_earliest_task_first(seed):
    work, edges, graph, p, _ = sample(seed)
    priority = ranks.b_levels(graph.arrays, graph.work, 1.0)
    got = earliest_task_first(graph.arrays, priority, graph.work.reshape(-1, 1), p)
    wanted = naive.earliest_first(work, edges, priority.tolist(), p)
    assert [column.tolist() for column in got] == list(wanted)


@pytest.mark.parametrize("rule", [0, 1, 2])
@pytest.mark.parametrize(("grouped", "busy"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("single", [False, True])
def test_ready_scan(rule, grouped, busy, single):
    for seed in SEEDS:
        work, edges, graph, p, rng = sample(seed)
        priority = [rng.randint(0, 9) for _ in work]
        group = [rng.randint(0, 2) for _ in work] if grouped else None
        groups = (None, None, None)
        if grouped:
            groups = np.array(group, np.int64), np.full(3, -1, np.int64), np.bincount(group, minlength=3)
        got = schedule_ready(
            graph.arrays, np.array(priority, float), graph.work.reshape(-1, 1), p, rule, None, *groups, busy,
            free_ports(p, single),
        )  # fmt: skip
        wanted = naive.ready_scan(work, edges, priority, p, rule, group, busy, single)
        assert [column.tolist() for column in got[:3]] == list(wanted)


def random_lists(work, edges, p, rng):
    """Lists with copies, sometimes with two neighbours exchanged so that they may block."""
    order = naive.kahn(len(work), edges)
    lists = [[] for _ in range(p)]
    for v in order:
        for q in rng.sample(range(p), rng.randint(1, p)):
            lists[q].append(v)
    if rng.random() < 0.3:
        q = rng.randrange(p)
        if len(lists[q]) > 1:
            i = rng.randrange(len(lists[q]) - 1)
            lists[q][i], lists[q][i + 1] = lists[q][i + 1], lists[q][i]
    return lists


def flat(lists):
    ptr = np.concatenate(([0], np.cumsum([len(tasks) for tasks in lists]))).astype(np.int64)
    return ptr, np.array([v for tasks in lists for v in tasks], np.int32)


def simulated(seed):
    work, edges, graph, p, rng = sample(seed, most=8, zero=False)
    lists = random_lists(work, edges, p, rng)
    ptr, task = flat(lists)
    start, finish, _, ran, *_ = simulate_lists(
        graph.arrays, graph.work.reshape(-1, 1), ptr, task, None, graph.work, graph.work, np.inf
    )
    return work, edges, graph, lists, ptr, task, (start, finish, ran)


def test_simulation():
    blocked = 0
    for seed in range(150):
        work, edges, _, lists, _, task, columns = simulated(seed)
        wanted = naive.run_lists(work, edges, lists)
        if wanted is None:
            blocked += 1
            assert columns[2] < task.size
            continue
        where = [q for q, tasks in enumerate(lists) for _ in tasks]
        assert columns[2] == task.size
        assert columns[0].tolist() == [wanted[v, q] for v, q in zip(task.tolist(), where, strict=True)]
    assert 0 < blocked < 75


def test_simulation_gives_up_exactly_when_the_limit_is_missed():
    gave_up = 0
    for seed in range(150):
        _, _, graph, _, ptr, task, (_, finish, ran) = simulated(seed)
        if ran < task.size:
            continue
        tail = ranks.b_levels(graph.arrays, graph.work, 0.0)
        head = join_aware_heads(graph.arrays, graph.work)
        for limit in (finish.max(), finish.max() - 1):
            _, again, _, count, *_ = simulate_lists(
                graph.arrays, graph.work.reshape(-1, 1), ptr, task, None, head, tail, limit
            )
            assert (count == task.size) == (limit == finish.max())
            assert count < task.size or again.tolist() == finish.tolist()
            gave_up += count < task.size
    assert gave_up > 50


@pytest.mark.parametrize("rule", ["superfluous", "every_consumer", "first_child"])
def test_pruning(rule):
    found = 0
    for seed in range(150):
        _, edges, graph, lists, _, task, (start, finish, ran) = simulated(seed)
        if ran < task.size:
            continue
        processor = np.array([q for q, tasks in enumerate(lists) for _ in tasks], np.int32)
        copies = list(zip(task.tolist(), processor.tolist(), start.tolist(), finish.tolist(), strict=True))
        if rule == "superfluous":
            got = superfluous_copies(graph.arrays, task, processor, start, finish)
            wanted = naive.superfluous(edges, copies)
        else:
            got = late_copies(graph.arrays, task, processor, start, finish, rule == "first_child")
            wanted = naive.late(edges, copies, rule == "first_child")
        assert set(np.flatnonzero(got).tolist()) == wanted
        found += len(wanted)
    assert found > 50


@pytest.mark.parametrize("seed", SEEDS)
def test_bounds(seed):
    work, edges, graph, p, _ = sample(seed, most=9)
    heads = join_aware_heads(graph.arrays, graph.work)
    assert heads.tolist() == [naive.head(work, edges, v) for v in range(graph.n)]
    tails = ranks.b_levels(graph.arrays, graph.work, 0.0) - graph.work
    got = combined_bound(
        heads, tails, graph.work, float(p), np.unique(heads), np.argsort(-tails, kind="stable")
    )
    assert got == pytest.approx(naive.combined(heads.tolist(), tails.tolist(), work, p))


@pytest.mark.parametrize("seed", SEEDS)
def test_duplication(seed):
    work, edges, graph, p, _ = sample(seed, zero=False)
    order = naive.falling(work, edges)
    got = duplicate_in_order(
        graph.arrays, np.array(order, np.int32), graph.work.reshape(-1, 1), p, 1, 3, 5, True,
        np.full(graph.n, -1, np.int64),
    )  # fmt: skip
    wanted = naive.Copying(work, edges, p, 3, 5).run(order)
    assert list(zip(*(column.tolist() for column in got), strict=True)) == wanted


@pytest.mark.parametrize("seed", SEEDS)
def test_tables_on_different_processors(seed):
    from trainmaster.dagsched.algorithms.peft import optimistic_costs

    work, edges, graph, p, rng = sample(seed, most=8)
    p += 1
    times = [[rng.randint(1, 6) for _ in range(p)] for _ in work]
    given = np.array(times, np.float64)
    tasks = range(graph.n)
    table = optimistic_costs(graph.arrays, given, p)
    assert table.tolist() == [[naive.optimistic(times, edges, v, q) for q in range(p)] for v in tasks]
    ect = earliest_completions(graph.arrays, given, p)
    assert ect.tolist() == [[naive.completion(times, edges, v, q) for q in range(p)] for v in tasks]
    cpred, least = critical_parents(graph.arrays, ect)
    assert cpred.tolist() == [naive.critical_parent(times, edges, v) for v in tasks]
    assert least.tolist() == [min(row) for row in ect.tolist()]


@numba.njit
def cut_of(source, target, cost, side):
    """``cut_cost`` is for kernels only."""
    return cut_cost(source, target, cost, side)


@numba.njit
def coarser(g, weight, count, most):
    """``match``, then ``contract``, which are for kernels only."""
    mate = match(g, weight, most)
    return mate, contract(g, weight, count, mate)


@pytest.mark.parametrize("parents", [16, 17, 40, 100])
def test_heads_below_more_parents_than_the_sort_has_in_one_run(parents):
    rng = np.random.default_rng(parents)
    # Each parent has one of its own, so that the parents start at different times.
    before, time, cost = rng.integers(0, 30, (3, parents)).astype(float)
    edges = [(u, parents + u, 0.0) for u in range(parents)]
    edges += [(parents + u, 2 * parents, cost[u]) for u in range(parents)]
    graph = TaskGraph([*before, *time, 1.0], edges)
    remote = before + time + cost
    least = np.inf
    falling = np.argsort(-remote, kind="stable")
    for beside in range(parents + 1):
        now = max(remote[falling[beside:]], default=0.0)
        local = 0.0
        for u in sorted(falling[:beside], key=lambda u: before[u]):
            local = max(local, before[u]) + time[u]
        least = min(least, max(now, local))
    assert join_aware_heads(graph.arrays, graph.work)[-1] == least


@pytest.mark.parametrize("seed", SEEDS)
def test_partition_cut_and_quotient(seed):
    work, edges, graph, p, _ = sample(seed, most=30)
    parts = min(p, graph.n)
    found = partition(graph, parts)
    assert found.cut == naive.cut(edges, found.part)
    if parts == 2:
        assert cut_of(*graph.edges(), found.part.astype(np.int8)) == found.cut
    coarse = quotient(graph, found.part)
    weights, costs = naive.quotient(work, edges, found.part.tolist())
    assert coarse.work.tolist() == [weights[k] for k in range(parts)]
    source, target, cost = coarse.edges()
    assert {(int(u), int(v)): c for u, v, c in zip(source, target, cost, strict=True)} == costs


@pytest.mark.parametrize("seed", SEEDS)
def test_coarsening_keeps_the_graph(seed):
    work, edges, graph, _, _ = sample(seed, most=30)
    count = np.ones(graph.n, np.int64)
    mate, contracted = coarser(graph.arrays, graph.work, count, 1e9)
    for v, other in enumerate(mate.tolist()):
        assert other < 0 or (mate[other] == v and ((v, other) in edges or (other, v) in edges))
    coarse, weight, counts, to, acyclic = contracted
    assert acyclic
    part = to.tolist()
    summed = {}
    for (u, v), c in edges.items():
        if part[u] != part[v]:
            summed[part[u], part[v]] = summed.get((part[u], part[v]), 0) + c
    got = {
        (k, int(coarse.succ[e])): coarse.succ_cost[e]
        for k in range(weight.size)
        for e in range(coarse.succ_ptr[k], coarse.succ_ptr[k + 1])
    }
    assert got == summed
    assert weight.tolist() == [sum(w for v, w in enumerate(work) if part[v] == k) for k in range(weight.size)]
    assert counts.sum() == graph.n


@pytest.mark.parametrize("seed", SEEDS)
def test_search_moves_stay_topological_and_can_be_undone(seed):
    _, edges, graph, p, _ = sample(seed)
    order = graph.arrays.topo.copy()
    place = np.argsort(order).astype(np.int64)
    home = np.full(graph.n, -1, np.int64)
    draws = Draws(seed)
    for _ in range(50):
        before = order.tolist(), home.tolist()
        made = change(graph.arrays, order, place, home, p, draws)
        assert all(place[u] < place[v] for u, v in edges)
        assert order[place].tolist() == list(range(graph.n))
        assert home.max() < p
        after = order.tolist(), home.tolist()
        undo(order, place, home, *made)
        assert (order.tolist(), home.tolist()) == before
        assert place[order].tolist() == list(range(graph.n))
        order[:], home[:] = after
        place[order] = np.arange(graph.n)
