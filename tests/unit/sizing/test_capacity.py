"""What a node completes, measured: the true value from work that ran, whatever is on."""

from __future__ import annotations

import pytest

from trainmaster.domain.sizing import Done, Worked
from trainmaster.domain.units import Resources
from trainmaster.policies.sizing import BadSizing
from trainmaster.policies.sizing.capacity import Capacity, measure, share

NODE = Resources(cpu_m=4000, memory=8 * 10**9, gpus=2, lanes=256)
ONE_CORE = Resources(cpu_m=1000)


def test_tasks_per_node_and_interval() -> None:
    """Ten one-core minutes on nodes of four cores: 2.5 node-minutes, so 240 tasks per node and hour."""
    found = measure([Worked(10, (Done(ONE_CORE, 10, 600.0),))], NODE)
    assert found.per_node(3600.0) == pytest.approx(240.0)


def test_idle_nodes_do_not_lower_it() -> None:
    """The paper's average would fall with every quiet interval; ours does not move."""
    busy = Worked(10, (Done(ONE_CORE, 10, 600.0),))
    quiet = Worked(1, (Done(ONE_CORE, 1, 60.0),))
    assert measure([busy, quiet, Worked(0), quiet], NODE).per_node(3600.0) == pytest.approx(240.0)


def test_the_average_is_weighted_as_in_equation_2() -> None:
    found = measure([Worked(10, (Done(NODE, 10, 100.0),)), Worked(10, (Done(NODE, 10, 300.0),))], NODE)
    assert found.tasks == pytest.approx(0.8 * 2 + 0.2 * 10)
    assert found.node_s == pytest.approx(0.8 * 20 + 0.2 * 300)


def test_several_workers_and_attempts_are_one_task() -> None:
    found = measure([Worked(1, (Done(ONE_CORE, 4, 400.0),))], NODE)
    assert found.per_node(3600.0) == pytest.approx(36.0)


def test_nothing_measured_is_no_capacity() -> None:
    assert measure([], NODE).per_node(3600.0) is None
    assert measure([Worked(0)], NODE).per_node(3600.0) is None


def test_work_of_no_length_still_takes_something() -> None:
    assert measure([Worked(5)], NODE).per_node(1.0) == pytest.approx(1000.0)


@pytest.mark.parametrize("rho", [-0.1, 1.0, float("nan")])
def test_a_weight_out_of_range(rho: float) -> None:
    with pytest.raises(BadSizing, match="rho"):
        Capacity().after(Worked(1), NODE, rho=rho)


@pytest.mark.parametrize(
    ("need", "expected"),
    [
        (ONE_CORE, 0.25),
        (Resources(cpu_m=1000, gpus=1), 0.5),
        (Resources(cpu_m=0, memory=10**9), 0.125),
        (Resources(cpu_m=0, lanes=1), 0.5),  # one of two lanes, each 128 deep
        (Resources(cpu_m=9000), 1.0),
        (Resources(cpu_m=0), 0.0),
    ],
)
def test_the_dominant_share(need: Resources, expected: float) -> None:
    assert share(need, NODE, lane_depth=128) == pytest.approx(expected)


def test_a_node_without_the_resource_is_taken_whole() -> None:
    assert share(Resources(gpus=1), Resources(cpu_m=1000)) == 1.0
