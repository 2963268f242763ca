"""The paper's four steps."""

from __future__ import annotations

import numpy as np
import pytest

from trainmaster.dagsched import generate
from trainmaster.dagsched.errors import OptionError
from trainmaster.dagsched.kernels.ranks import hop_levels


@pytest.mark.parametrize(("tasks", "height"), [(500, 20), (500, 100), (4000, 40), (50, 50), (3, 3)])
def test_levels_entry_exit_and_adjacent_edges(tasks, height):
    graph = generate(tasks, height=height, out_degree=3, seed=5)
    a = graph.arrays
    level = hop_levels(a)
    indegree, outdegree = np.diff(a.pred_ptr), np.diff(a.succ_ptr)
    assert graph.n == tasks and graph.height == height
    assert (indegree == 0).sum() == 1 and (outdegree == 0).sum() == 1
    source, target, _ = graph.edges()
    assert np.all(level[target] - level[source] == 1)
    sizes = np.bincount(level)
    assert sizes[0] == sizes[-1] == 1
    assert outdegree[0] == (sizes[1] if height > 1 else 0)
    assert np.all(outdegree[level == height - 2] == 1)


def test_in_degrees_are_balanced_in_every_level():
    graph = generate(3000, height=30, out_degree=4, seed=1)
    a = graph.arrays
    level, indegree = hop_levels(a), np.diff(a.pred_ptr)
    for k in range(2, 29):
        here = indegree[level == k]
        assert here.max() - here.min() <= 1


def test_degrees_and_weights_follow_the_parameters():
    graph = generate(20_000, height=50, ccr=2.5, out_degree=5, cdr=0.5, seed=2, mean_work=10)
    a = graph.arrays
    inner = np.diff(a.succ_ptr)[(hop_levels(a) > 0) & (hop_levels(a) < 48)]
    assert inner.mean() == pytest.approx(5, rel=0.03)
    assert 1.2 < inner.std() < 2.2
    assert graph.work.mean() == pytest.approx(10, rel=0.02)
    assert graph.ccr == pytest.approx(2.5, rel=0.02)
    assert 5 <= graph.work.min() < 5.1 and 14.9 < graph.work.max() <= 15
    assert a.succ_cost.min() >= 12.5 and a.succ_cost.max() <= 37.5


def test_seeds_width_and_small_sizes():
    assert generate(300, seed=4) == generate(300, seed=4)
    assert generate(300, seed=4) != generate(300, seed=5)
    assert generate(1002, width=10, seed=0).height == 102
    for tasks in (1, 2, 3, 4):
        assert generate(tasks).n == tasks


@pytest.mark.parametrize(
    "bad",
    [
        {"tasks": 0},
        {"tasks": 10, "height": 11},
        {"tasks": 10, "height": 2},
        {"tasks": 10, "ccr": -1},
        {"tasks": 10, "cdr": 2},
        {"tasks": 10, "out_degree": 0},
        {"tasks": 10, "height": 5, "width": 2},
        {"tasks": 10, "ccr": float("nan")},
    ],
)
def test_impossible_parameters_are_refused(bad):
    with pytest.raises(OptionError):
        generate(**bad)
