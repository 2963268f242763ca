"""The kernels of TDCA, CPOP, the MACRO variants and single ports against their slow twins."""

from __future__ import annotations

import numpy as np
import pytest

from tests.naive import dagsched_cluster_twins as twins
from tests.naive import dagsched_twins as naive
from tests.naive.test_dagsched_twins import SEEDS, flat, random_lists, sample
from trainmaster.dagsched.algorithms.cpop import critical_path
from trainmaster.dagsched.algorithms.tdca import SLACK
from trainmaster.dagsched.blocks import place_blocks
from trainmaster.dagsched.bounds import join_aware_heads
from trainmaster.dagsched.clusters import quotient
from trainmaster.dagsched.dagp import partition
from trainmaster.dagsched.kernels import clusters, ranks
from trainmaster.dagsched.kernels.insertion import insert_producers
from trainmaster.dagsched.kernels.merging import merge_lists
from trainmaster.dagsched.machine import machine_for
from trainmaster.dagsched.problem import Problem
from trainmaster.dagsched.simulation import simulate


@pytest.mark.parametrize("seed", SEEDS)
def test_critical_path(seed):
    work, edges, graph, _, _ = sample(seed)
    g = graph.arrays
    priority = ranks.t_levels(g, graph.work, 1.0) + ranks.b_levels(g, graph.work, 1.0)
    assert set(np.flatnonzero(critical_path(g, priority)).tolist()) == twins.critical_path(work, edges)


def lists_of(member):
    return {q: set(np.flatnonzero(row).tolist()) for q, row in enumerate(member)}


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_chains_leftovers_and_insertion(seed, alike):
    work, edges, graph, p, rng = sample(seed, most=8)
    p += 1
    times = [[w] * p for w in work] if alike else [[rng.randint(1, 6) for _ in range(p)] for _ in work]
    given = graph.work.reshape(-1, 1) if alike else np.array(times, np.float64)
    order = naive.falling(work, edges)
    g = graph.arrays
    ect = clusters.earliest_completions(g, given, p)
    cpred, least = clusters.critical_parents(g, ect)
    member, assigned = clusters.chains(g, ect, least, cpred, np.array(order[::-1], np.int32))
    lists, chained = twins.chains(times, edges, order[::-1])
    assert {q: tasks for q, tasks in lists_of(member).items() if tasks} == lists
    assert set(np.flatnonzero(assigned).tolist()) == chained
    rules = {"start": clusters.BY_START, "rct": clusters.BY_COMPLETION, "load": clusters.BY_LOAD}
    for name, rule in rules.items():
        grown = member.copy()
        clusters.assign_leftovers(g, np.array(order, np.int32), given, grown, assigned, rule)
        wanted = twins.leftovers(times, edges, order, lists, chained, name)
        assert lists_of(grown) == wanted
    insert_producers(g, np.array(order, np.int32), given, grown)
    assert lists_of(grown) == twins.insert_producers(times, edges, order, wanted)


def test_merging():
    merged = kept = 0
    for seed in range(60):
        work, edges, graph, p, rng = sample(seed, most=7, zero=False)
        p += 1
        order = np.array(naive.falling(work, edges), np.int32)
        member = np.zeros((p, graph.n), np.bool_)
        for at in range(graph.n):
            member[rng.sample(range(p), rng.randint(1, 2)), at] = True
        lists = {q: set(order[row].tolist()) for q, row in enumerate(member)}
        before = twins.span(work, edges, order.tolist(), lists)
        givers = np.argsort(member.sum(axis=1), kind="stable")
        wanted = twins.merge(work, edges, order.tolist(), lists, givers.tolist())
        g, times = graph.arrays, graph.work.reshape(-1, 1)
        heads, tails = join_aware_heads(g, graph.work), ranks.b_levels(g, graph.work, 0.0)
        after = merge_lists(g, times, order, member, givers, None, heads, tails, float(before), SLACK)
        assert {q: set(order[row].tolist()) for q, row in enumerate(member)} == wanted
        assert after == twins.span(work, edges, order.tolist(), wanted) <= before
        merged += wanted != lists
        kept += sum(map(bool, wanted.values())) > 1
    assert merged > 10
    assert kept > 10


@pytest.mark.parametrize("earliest_first", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_blocks(seed, earliest_first):
    work, edges, graph, p, _ = sample(seed, most=14)
    part = partition(graph, max(1, graph.n // 3)).part
    coarse = quotient(graph, part)
    a = coarse.arrays
    levels = ranks.b_levels(a, coarse.work, 1.0)
    order = np.array(naive.falling(work, edges), np.int32)
    ptr = np.concatenate(([0], np.cumsum(np.bincount(part))))
    home, turn = place_blocks(
        graph.arrays, part, ptr, order[np.argsort(part[order], kind="stable")], np.diff(a.pred_ptr),
        a.succ_ptr, a.succ, levels, graph.work.reshape(-1, 1), p, earliest_first,
    )  # fmt: skip
    wanted = twins.blocks(work, edges, part.tolist(), levels.tolist(), order.tolist(), p, earliest_first)
    assert dict(enumerate(zip(home.tolist(), turn.tolist(), strict=True))) == wanted


def test_single_port_simulation():
    moved = blocked = 0
    for seed in range(150):
        work, edges, graph, p, rng = sample(seed, most=8, zero=False)
        lists = random_lists(work, edges, p, rng)
        wanted = twins.run_lists_single(work, edges, lists)
        if wanted is None:
            blocked += 1
            continue
        start, moves = wanted
        draft = simulate(Problem(graph, machine_for(graph, p), "single"), *flat(lists))
        got = zip(draft.task.tolist(), draft.processor.tolist(), draft.start.tolist(), strict=True)
        assert {(v, q): at for v, q, at in got} == start
        assert sorted(move[:-1] for move in draft.transfers.tolist()) == sorted(moves)
        moved += len(moves)
    assert blocked > 0
    assert moved > 100
