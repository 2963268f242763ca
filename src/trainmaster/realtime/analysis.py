"""All tests that apply to a set, and what follows from them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainmaster.realtime.bounds import edf_utilisation, hyperbolic, liu_layland
from trainmaster.realtime.model import InvalidTaskSet, Order, Recurring, Verdict, utilisation
from trainmaster.realtime.multiprocessor import gfb, global_response_times, too_much
from trainmaster.realtime.partition import partitioned
from trainmaster.realtime.processor_demand import processor_demand
from trainmaster.realtime.response_time import response_times


@dataclass(frozen=True, slots=True)
class Analysis:
    """`feasible`: True if a test proves it, False if one refutes it, None if neither."""

    feasible: bool | None
    utilisation: float
    workers: int
    order: Order
    preemptive: bool
    verdicts: tuple[Verdict, ...]

    @property
    def responses(self) -> dict[str, int | None]:
        """Worst response times in ticks, of the last test that knows them."""
        found = [verdict.responses for verdict in self.verdicts if verdict.responses is not None]
        return found[-1] if found else {}


def analyse(
    tasks: Sequence[Recurring], workers: int = 1, order: Order = Order.EARLIEST, preemptive: bool = False
) -> Analysis:
    """Will every job of `tasks` end within its deadline on `workers` under one queue ordered by `order`?

    With several workers a partition counts as well only when tasks are kept to their workers; its verdict is
    listed and does not decide. Raises InvalidTaskSet for a repeated name or no worker.
    """
    if workers < 1:
        raise InvalidTaskSet(
            f"there must be a worker, got {workers}", remedy="give at least 1", field="workers"
        )
    names = [task.name for task in tasks]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidTaskSet(
            f"{twice} is there twice", remedy="give every task a name of its own", task=twice
        )
    deciding, listed = (
        _one(tasks, order, preemptive) if workers == 1 else _many(tasks, workers, order, preemptive)
    )
    known = [verdict.feasible for verdict in deciding]
    feasible = False if False in known else True if True in known else None
    return Analysis(feasible, float(utilisation(tasks)), workers, order, preemptive, (*deciding, *listed))


def _one(tasks: Sequence[Recurring], order: Order, preemptive: bool) -> tuple[list[Verdict], list[Verdict]]:
    if order is Order.EARLIEST:
        bounds = [edf_utilisation(tasks)] if preemptive else []
        return [*bounds, processor_demand(tasks, preemptive)], []
    # The bounds are for rate-monotonic priorities; with densities they hold for deadline-monotonic ones too,
    # as those are the rate-monotonic ones of the shortened periods.
    constrained = all(task.deadline <= task.period for task in tasks)
    implicit = all(task.deadline == task.period for task in tasks)
    fitting = implicit if order is Order.RATE else constrained
    bounds = [liu_layland(tasks), hyperbolic(tasks)] if preemptive and fitting else []
    return [*bounds, response_times(tasks, order, preemptive)], []


def _many(
    tasks: Sequence[Recurring], workers: int, order: Order, preemptive: bool
) -> tuple[list[Verdict], list[Verdict]]:
    impossible = too_much(tasks, workers)
    if impossible is not None:
        return [impossible], []
    deciding = [gfb(tasks, workers)] if preemptive and order is Order.EARLIEST else []
    deciding.append(global_response_times(tasks, order, workers, preemptive))

    def alone(part: Sequence[Recurring]) -> Verdict:
        if order is Order.EARLIEST:
            return processor_demand(part, preemptive)
        return response_times(part, order, preemptive)

    return deciding, [partitioned(tasks, workers, alone, order.value)]
