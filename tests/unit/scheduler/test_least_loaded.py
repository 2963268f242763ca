"""Placement by pressure (DTES) while the gauges lag behind what was placed."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scenario import World, spec

from trainmaster.domain.cluster import Gauges
from trainmaster.domain.events import NodeMeasured
from trainmaster.domain.ids import NodeId, TaskId
from trainmaster.domain.units import Resources
from trainmaster.policies.base import NodeView
from trainmaster.policies.placement.least_loaded import LeastLoaded, demand, load
from trainmaster.scheduler.room import view_of

MODEST = 0.01  # cores asked for by tasks that use far more


def measured(world: World, interval: float = 5.0, **cpu: float) -> None:
    """The nodes report their use of the last seconds."""
    world.do(
        *(
            NodeMeasured(NodeId(node), Gauges(time=world.now, interval=interval, cpu=part), None)
            for node, part in cpu.items()
        )
    )


def view(world: World, node: str) -> NodeView:
    return view_of(world.state, world.state.nodes[NodeId(node)], 0)


def where(world: World, *tasks: TaskId) -> Counter[str]:
    return Counter(node for task in tasks for node in world.nodes_of(task))


def test_modest_tasks_between_two_measurements_do_not_herd_to_one_node() -> None:
    world = World({"n1": 4, "n2": 4, "n3": 4}, placement="least_loaded")
    measured(world, n1=0.5, n2=0.0, n3=0.26)
    tasks = []
    for _ in range(5):
        tasks += world.submit(spec(cpus=MODEST), after=0.5)
    assert where(world, *tasks) == {"n1": 1, "n2": 3, "n3": 1}
    burst = world.submit(*[spec(cpus=MODEST)] * 6)
    assert where(world, *burst) == {"n1": 2, "n2": 2, "n3": 2}, "nor within one cycle"


def test_a_run_counts_as_measured_after_a_whole_interval() -> None:
    world = World({"n1": 4}, placement="least_loaded")
    measured(world, n1=0.0)
    world.submit(spec(cpus=MODEST), after=1.0)
    assert view(world, "n1").unmeasured == 1
    world.now += 4.0
    measured(world, n1=0.2)
    assert view(world, "n1").unmeasured == 1, "launched within the interval"
    world.now += 5.0
    measured(world, n1=0.25)
    assert (view(world, "n1").unmeasured, view(world, "n1").runs) == (0, 1)


def test_measured_use_decides_where_it_is_known() -> None:
    world = World({"n1": 4, "n2": 4}, placement="least_loaded")
    idle, busy = world.submit(*[spec(cpus=MODEST)] * 2)
    world.now += 10.0
    measured(world, n1=0.0, n2=0.9)
    first, second = world.submit(*[spec(cpus=MODEST)] * 2)
    assert where(world, idle, busy) == {"n1": 1, "n2": 1}
    assert where(world, first, second) == {"n1": 2}, "an idle run is no load"


def test_full_nodes_are_told_apart_by_how_many_runs_divide_them() -> None:
    world = World({"n1": 1, "n2": 2}, placement="least_loaded")
    old = world.submit(*[spec(cpus=MODEST)] * 6)
    assert where(world, *old) == {"n1": 2, "n2": 4}
    world.now += 10.0
    measured(world, n1=1.0, n2=1.0)
    tasks = world.submit(*[spec(cpus=MODEST)] * 3)
    assert where(world, *tasks) == {"n1": 1, "n2": 2}


def test_half_of_a_large_node_is_better_than_an_idle_small_one() -> None:
    world = World({"small": 0.25, "large": 1}, placement="least_loaded")
    measured(world, small=0.0, large=1.0)
    (task,) = world.submit(spec(cpus=MODEST))
    assert where(world, task) == {"large": 1}


def test_what_ended_since_the_measurement_is_no_load() -> None:
    world = World({"n1": 2, "n2": 2}, placement="least_loaded")
    gone, stays = world.submit(*[spec(cpus=MODEST)] * 2)
    assert where(world, gone, stays) == {"n1": 1, "n2": 1}
    world.now += 10.0
    measured(world, n1=0.5, n2=0.5)
    world.end(gone, after=1.0)
    assert demand(view(world, "n1")) == pytest.approx(0.0)
    assert demand(view(world, "n2")) == pytest.approx(0.5)
    world.now += 4.0
    measured(world, n1=0.1, n2=0.5)
    assert demand(view(world, "n1")) == pytest.approx(0.0), "a fifth of that interval it still ran"
    world.now += 5.0
    measured(world, n1=0.1, n2=0.5)
    assert demand(view(world, "n1")) == pytest.approx(0.1), "somebody else's load"


def test_a_full_node_that_a_run_has_left_counts_those_that_stay() -> None:
    world = World({"n1": 1}, placement="least_loaded")
    gone, _ = world.submit(*[spec(cpus=MODEST)] * 2)
    world.now += 10.0
    measured(world, n1=1.0)
    world.end(gone, after=1.0)
    assert demand(view(world, "n1")) == pytest.approx(1.0)


def test_an_idle_run_takes_no_more_than_a_core_of_another_load_with_it() -> None:
    world = World({"n1": 8}, placement="least_loaded")
    (idle,) = world.submit(spec(cpus=MODEST))
    world.now += 10.0
    measured(world, n1=0.5)
    world.end(idle, after=1.0)
    assert demand(view(world, "n1")) == pytest.approx(0.5 - 1 / 8)


views = st.builds(
    NodeView,
    id=st.just(NodeId("n")),
    capacity=st.builds(Resources, cpu_m=st.integers(0, 8000)),
    free=st.just(Resources()),
    pressure=st.floats(0, 1),
    index=st.just(0.0),
    runs=st.integers(0, 10),
    order=st.just(0),
)


@given(views, st.integers(0, 10), st.floats(0, 1))
def test_demand_rises_with_pressure_and_with_what_is_not_measured(
    node: NodeView, unmeasured: int, higher: float
) -> None:
    node = replace(node, free=node.capacity, runs=node.runs + unmeasured, unmeasured=unmeasured)
    assert 0 <= load(node) <= 1
    assert demand(node) >= node.pressure
    assert demand(replace(node, pressure=max(higher, node.pressure))) >= demand(node)
    more = replace(node, runs=node.runs + 1, unmeasured=unmeasured + 1)
    assert demand(more) > demand(node), "each launch makes the node less attractive at once"
    score = LeastLoaded().score
    task = None  # it looks at the node alone
    assert score(more, task, None) > score(node, task, None)  # type: ignore[arg-type]


def test_what_is_given_away_counts_even_if_nothing_of_it_is_used() -> None:
    node = NodeView(NodeId("n"), Resources(cpu_m=4000), Resources(cpu_m=1000), 0.1, 0.0, 1, 0)
    assert demand(node) == pytest.approx(0.75)
