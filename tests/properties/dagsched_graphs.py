"""Hypothesis strategies: families of task graphs, machines and relabellings."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from trainmaster.dagsched import TaskGraph, generate

WEIGHTS = st.one_of(st.integers(0, 9), st.floats(0, 100, allow_nan=False, width=32))


@st.composite
def sparse_graphs(draw, most=14):
    """Any graph: shuffled numbers, isolated tasks, zero weights, several entries and exits."""
    n = draw(st.integers(1, most))
    names = draw(st.permutations(range(n)))
    work = draw(st.lists(WEIGHTS, min_size=n, max_size=n))
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=3 * n)) if pairs else []
    return TaskGraph(work, [(names[i], names[j], draw(WEIGHTS)) for i, j in chosen])


@st.composite
def layered_graphs(draw):
    """The paper's family, small."""
    n = draw(st.integers(1, 60))
    low = min(n, 3)
    return generate(
        n,
        height=draw(st.integers(low, n)),
        ccr=draw(st.sampled_from([0.0, 0.5, 1.0, 5.0])),
        out_degree=draw(st.sampled_from([1.0, 3.0])),
        cdr=draw(st.sampled_from([0.0, 0.5, 1.0])),
        seed=draw(st.integers(0, 99)),
    )


@st.composite
def shaped_graphs(draw):
    """Chains, forks, joins, trees, complete bipartite graphs, independent tasks; often equal weights."""
    n = draw(st.integers(2, 16))
    kind = draw(st.sampled_from(["chain", "fork", "join", "tree", "in_tree", "bipartite", "independent"]))
    edges = {
        "chain": [(i, i + 1) for i in range(n - 1)],
        "fork": [(0, i) for i in range(1, n)],
        "join": [(i, n - 1) for i in range(n - 1)],
        "tree": [((i - 1) // 2, i) for i in range(1, n)],
        "in_tree": [(n - 1 - i, n - 1 - (i - 1) // 2) for i in range(1, n)],
        "bipartite": [(i, j) for i in range(n // 2) for j in range(n // 2, n)],
        "independent": [],
    }[kind]
    equal = draw(st.booleans())
    work = [3] * n if equal else draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))
    return TaskGraph(work, [(u, v, 2 if equal else draw(st.integers(0, 20))) for u, v in edges])


graphs = st.one_of(sparse_graphs(), layered_graphs(), shaped_graphs())


@st.composite
def machines(draw, graph):
    """A number of processors, a list of speeds, or a table of times."""
    p = draw(st.integers(1, 6))
    kind = draw(st.sampled_from(["number", "number", "speeds", "times"]))
    if kind == "number":
        return p
    if kind == "speeds":
        return draw(st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=p, max_size=p))
    seed = draw(st.integers(0, 99))
    return np.random.default_rng(seed).integers(0, 9, (graph.n, p)).astype(np.float64)


def relabelled(graph, names):
    """The same graph with task v called ``names[v]``."""
    names = np.asarray(names)
    work = np.empty(graph.n)
    work[names] = graph.work
    source, target, cost = graph.edges()
    return TaskGraph.from_arrays(work, names[source], names[target], cost)
