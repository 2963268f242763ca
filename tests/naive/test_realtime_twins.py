"""Schedulability tests against schedules written out tick by tick."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest

from tests.naive.realtime_simulation import simulate
from trainmaster.realtime.analysis import analyse
from trainmaster.realtime.bounds import hyperbolic, liu_layland
from trainmaster.realtime.model import InvalidTaskSet, Order, Recurring, recurring, utilisation
from trainmaster.realtime.processor_demand import processor_demand
from trainmaster.realtime.response_time import response_times

SETS = 1000


def random_set(draw: random.Random, workers: int) -> list[Recurring]:
    """Two to five tasks around the edge of feasibility, with periods whose common multiple is small."""
    count = draw.randint(2, 4 + workers // 2)
    target = draw.uniform(0.4, 1.05) if workers == 1 else workers * draw.uniform(0.2, 0.9)
    shares = [draw.random() + 0.05 for _ in range(count)]
    tasks = []
    for number, share in enumerate(shares):
        period = draw.choice((4, 5, 6, 8, 10, 12, 15, 20, 24, 30))
        cost = max(1, min(round(target * share / sum(shares) * period), period))
        kind = draw.random()
        longest = period if kind < 0.5 else 2 * period if kind > 0.9 and workers == 1 else period - 1
        deadline = period if kind < 0.5 else draw.randint(min(cost, longest), longest)
        tasks.append(Recurring(f"t{number}", cost, period, max(deadline, 1)))
    return tasks


def patterns(tasks: list[Recurring], draw: random.Random) -> list[list[int]]:
    """First releases: all together; each task one tick before all the others (it blocks); some at random."""
    found = [[0] * len(tasks)]
    found += [[int(other != early) for other in range(len(tasks))] for early in range(len(tasks))]
    found += [[draw.randrange(task.period) for task in tasks] for _ in range(3)]
    return found


def horizon(tasks: list[Recurring]) -> int:
    return min(2 * math.lcm(*(task.period for task in tasks)), 240) + 31


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("preemptive", [True, False], ids=["preemptive", "to-completion"])
@pytest.mark.parametrize("order", list(Order))
def test_never_feasible_where_a_schedule_misses_a_deadline(
    order: Order, preemptive: bool, workers: int
) -> None:
    proven = refuted = 0
    draw = random.Random(f"{order} {preemptive} {workers}")
    for _ in range(SETS // 18 + 1 if workers > 1 else SETS // 9 + 1):
        tasks = random_set(draw, workers)
        analysis = analyse(tasks, workers, order, preemptive)
        runs = [
            simulate(tasks, order, workers, preemptive, first, horizon(tasks))
            for first in patterns(tasks, draw)
        ]
        missed = [late for _, late in runs if late is not None]
        if analysis.feasible:
            proven += 1
            assert not missed, (tasks, analysis)
            for longest, _ in runs:
                for name, response in longest.items():
                    bound = analysis.responses.get(name)
                    assert bound is None or response <= bound, (tasks, name, response, bound)
        elif analysis.feasible is False:
            refuted += 1
            if workers == 1:  # exact: the critical pattern is among those looked at
                assert missed, (tasks, analysis)
    assert proven > 5
    assert refuted > 5 or workers > 1


def test_a_thousand_sets_on_one_worker_are_judged_exactly() -> None:
    """Preemptive, released together: the worst case is known, so both directions must agree with the
    schedule."""
    draw = random.Random(7)
    counts = {True: 0, False: 0}
    for number in range(SETS):
        tasks = random_set(draw, 1)
        order = list(Order)[number % 3]
        if utilisation(tasks) > 1:
            continue  # refused at once, while the schedule may take long to fall behind
        feasible = analyse(tasks, 1, order, preemptive=True).feasible
        until = 2 * math.lcm(*(task.period for task in tasks))
        longest, late = simulate(tasks, order, 1, True, [0] * len(tasks), until)
        assert feasible == (late is None), tasks
        if feasible and order is not Order.EARLIEST:
            assert response_times(tasks, order, preemptive=True).responses == longest, tasks
        counts[bool(feasible)] += 1
    assert min(counts.values()) > 100, counts


def test_the_bounds_never_pass_what_the_exact_test_refuses() -> None:
    draw = random.Random(3)
    for _ in range(SETS):
        tasks = [Recurring(t.name, t.cost, t.period, t.period) for t in random_set(draw, 1)]
        exact = response_times(tasks, Order.RATE, preemptive=True).feasible
        if liu_layland(tasks).feasible:
            assert hyperbolic(tasks).feasible  # never weaker
        if hyperbolic(tasks).feasible:
            assert exact


def test_the_first_job_need_not_be_the_slowest() -> None:
    """The counterexample to the original analysis of CAN (Davis et al. 2007, table 3): the second job is
    late."""
    tasks = [Recurring("a", 20, 50, 50), Recurring("b", 20, 70, 70), Recurring("c", 20, 70, 70)]
    verdict = response_times(tasks, Order.DEADLINE)
    assert verdict.responses is not None
    assert verdict.responses["c"] is None or verdict.responses["c"] > 60


def test_the_halved_formula_would_pass_a_set_that_fails() -> None:
    """U = Σ C/2T, printed for RMS, says 0.9 of a set that needs 1.8 workers."""
    tasks = [Recurring("a", 9, 10, 10), Recurring("b", 9, 10, 10)]
    assert utilisation(tasks) / 2 < 1
    assert response_times(tasks, Order.RATE).feasible is False
    assert processor_demand(tasks).feasible is False


def test_verdicts_do_not_hang_on_floats() -> None:
    """Three tasks exactly on the bound of Liu and Layland cannot be written in fractions; U = 1 exactly
    can."""
    full = [Recurring("a", 1, 3, 3), Recurring("b", 1, 3, 3), Recurring("c", 1, 3, 3)]
    assert utilisation(full) == Fraction(1)
    assert processor_demand(full, preemptive=True).feasible is True
    over = [*full, Recurring("d", 1, 10**9, 10**9)]
    assert processor_demand(over, preemptive=True).feasible is False


def test_seconds_become_ticks_that_flatter_nobody() -> None:
    task = recurring("a", 0.0101, 0.0999, None, "0.001")
    assert (task.cost, task.period, task.deadline) == (11, 99, 99)
    with pytest.raises(InvalidTaskSet, match="whole number of ticks"):
        recurring("a", 0.5, 0.0001, None, "0.001")
    with pytest.raises(InvalidTaskSet, match="twice"):
        analyse([task, task])
