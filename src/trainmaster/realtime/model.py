"""Recurring tasks in integer ticks, and what a test says about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from fractions import Fraction

from trainmaster.domain.errors import TrainmasterError

# Steps of a fixed point, or deadlines looked at, before a test answers "unknown" instead of going on.
MOST_STEPS = 1_000_000


class InvalidTaskSet(TrainmasterError):
    """A set of recurring tasks that cannot be analysed; `fields["task"]` names the culprit."""

    code = "invalid-task-set"
    status = 422


class Order(StrEnum):
    """Who goes first: the shorter period, the shorter deadline (both fixed), or the earlier deadline."""

    RATE = "rm"
    DEADLINE = "dm"
    EARLIEST = "edf"


@dataclass(frozen=True, slots=True)
class Recurring:
    """A task that is released at most once every `period` ticks, needs `cost` ticks and has `deadline` ticks
    from its release. Sporadic or periodic, with any first release."""

    name: str
    cost: int
    period: int
    deadline: int

    def __post_init__(self) -> None:
        for field in ("cost", "period", "deadline"):
            value = getattr(self, field)
            if not isinstance(value, int) or value < 1:
                raise InvalidTaskSet(
                    f"{self.name}: {field} must be a whole number of ticks, at least 1, got {value}",
                    remedy="give a positive duration, or a finer tick",
                    task=self.name,
                    field=field,
                )

    @property
    def utilisation(self) -> Fraction:
        return Fraction(self.cost, self.period)

    @property
    def density(self) -> Fraction:
        """The cost over the shorter of deadline and period."""
        return Fraction(self.cost, min(self.deadline, self.period))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one test says. `feasible` None: it cannot tell.

    `exact`: a "no" means that some legal pattern of releases misses a deadline (else only that the test is
    not strong enough, and `feasible` is None rather than False). `responses`: worst response times in ticks
    by name, upper bounds where the test is not exact, None for a task past its deadline.
    """

    test: str
    feasible: bool | None
    exact: bool
    reason: str
    responses: dict[str, int | None] | None = None


def utilisation(tasks: Sequence[Recurring]) -> Fraction:
    """Σ Cᵢ/Tᵢ, in workers."""
    return sum((task.utilisation for task in tasks), Fraction(0))


def by_priority(tasks: Sequence[Recurring], order: Order) -> list[Recurring]:
    """Highest fixed priority first; ties go to the one given first. EDF has no such order: by deadline."""
    if order is Order.RATE:
        return sorted(tasks, key=lambda task: task.period)
    return sorted(tasks, key=lambda task: task.deadline)


def recurring(name: str, cost_s: float, period_s: float, deadline_s: float | None, tick_s: str) -> Recurring:
    """From seconds: the cost is rounded up, period and deadline down, so that no rounding flatters.

    `tick_s`: the length of a tick as a decimal, such as "0.001". Without a deadline it is the period.
    Raises InvalidTaskSet.
    """

    def ticks(seconds: float, rounding: str) -> int:
        return int((Decimal(repr(float(seconds))) / Decimal(tick_s)).to_integral_value(rounding))

    period = ticks(period_s, ROUND_FLOOR)
    deadline = period if deadline_s is None else ticks(deadline_s, ROUND_FLOOR)
    return Recurring(name, ticks(cost_s, ROUND_CEILING), period, deadline)
