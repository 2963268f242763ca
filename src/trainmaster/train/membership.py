"""Generations: waiting for the plan that names us, meeting its members, and leaving."""

from __future__ import annotations

from collections.abc import Callable

from trainmaster.train.clock import Clock
from trainmaster.train.communicator import Alone, Communicator, LinkFailed
from trainmaster.train.context import Context
from trainmaster.train.gpu import Gpu
from trainmaster.train.pace import Pace
from trainmaster.train.plan import Plan, PlanFile
from trainmaster.train.rendezvous import Meeting
from trainmaster.train.uplink import Uplink

_POLL_S, _SLOW_POLL_S, _SLOW_AFTER_S = 0.002, 0.02, 10.0
_PATIENCE_S = 1.0  # a newer plan ends a wait for the others after so long


class Left(Exception):
    """A plan no longer names this worker."""


class Told(Exception):
    """The worker was told to stop while it waited for a plan."""


class Group:
    """This worker's place among the others. Outside a group it is a generation of one that never changes."""

    def __init__(self, context: Context, pace: Pace, uplink: Uplink, clock: Clock) -> None:
        self._context = context
        self._clock = clock
        self._pace = pace
        self._uplink = uplink
        self._plans = PlanFile(f"{context.group}/plan") if context.group else None
        self._meeting = Meeting(context.address, context.rank, clock) if context.group else None
        self.generation = 0  # the newest that was entered or tried
        self.members: tuple[int, ...] = () if context.group else (context.rank,)
        self.link: Communicator | None = None
        self.holders: Callable[[int], int] = lambda size: 0  # how many of so many members need `link.inner`
        self._waiting_since = 0.0
        self._was_member = False

    @property
    def size(self) -> int:
        return len(self.members)

    @property
    def position(self) -> int:
        return self.members.index(self._context.rank)

    @property
    def leads(self) -> bool:
        return bool(self.members) and self.members[0] == self._context.rank

    def newest(self) -> int:
        """The newest generation this worker has heard of."""
        plan = self._plans.look() if self._plans is not None else None
        return plan.generation if plan is not None else self.generation

    def announce(self) -> None:
        """Say that this worker can be planned."""
        if self._meeting is not None:
            self._uplink.tell("ready", store=self._meeting.store)

    def enter(self, told: Callable[[], bool]) -> None:
        """Become part of the next generation. Raises LinkFailed, Left, and Told if `told` says so first.

        The old link is kept until the new one stands: a slower member may still be reading from it.
        """
        if self._plans is None or self._meeting is None:
            self.link = Alone()
            return
        plan = self._await_plan(told)
        before, self.link = self.link, None
        self.generation, self.members = plan.generation, plan.members
        self._begin_waiting()
        self.link = self._meeting.join(
            plan,
            self.holders(len(plan.members)),
            lambda: self._look(0.0),
            self.look,
        )
        self._was_member = True
        if before is not None:
            before.drop()

    def accelerate(self, gpu: Gpu) -> str:
        """Exchange by NCCL from now on, as all members have a GPU of their own. Returns "", or why not.

        All members do this, and come to the same. Raises LinkFailed.
        """
        assert self.link is not None and self._meeting is not None
        self.begin()
        holders = self.holders(self.size)
        made = self._meeting.accelerate(
            self.link, self.members, holders, gpu, lambda: self._look(0.0), self.look
        )
        self.begin()
        problems = [said for said in self.link.gather(made if isinstance(made, str) else "") if said]
        if not isinstance(made, str):
            if problems:
                made.abandon()
            else:
                self.link = made
        return next(iter(problems), "")

    def begin(self) -> None:
        """A message to the others begins: from here on their time runs."""
        self._begin_waiting()

    def look(self) -> None:
        """While a message of another kind is waited for. Raises LinkFailed."""
        self._look(_PATIENCE_S)

    def broken(self, failed: LinkFailed) -> None:
        """The generation is over for us: let go of it and say why."""
        if self.link is not None:
            self.link.drop()
            self.link = None
        if failed.why:
            others = [rank for rank in failed.suspects if rank != self._context.rank]
            self._uplink.tell("broken", generation=self.generation, suspects=others, why=failed.why[:300])

    def close(self) -> None:
        if self.link is not None:
            self.link.drop()
            self.link = None

    # --- inside --------------------------------------------------------------------------------------------

    def _begin_waiting(self) -> None:
        self._waiting_since = self._clock.monotonic()

    def _look(self, patience_s: float) -> None:
        """While waiting for the others: has the plan moved on, or do they take too long?"""
        waited_s = self._clock.monotonic() - self._waiting_since
        if waited_s >= patience_s and self.newest() > self.generation:
            raise LinkFailed("")
        if waited_s > self._pace.limit_s:
            why = f"nothing heard from the others for {waited_s:.1f} s"
            raise LinkFailed(why, tuple(self.members))

    def _await_plan(self, told: Callable[[], bool]) -> Plan:
        assert self._plans is not None
        since = self._clock.monotonic()
        while True:
            plan = self._plans.look()
            if plan is not None and plan.generation > self.generation:
                if self._context.rank in plan.members:
                    return plan
                if self._was_member:
                    raise Left
            if told() and (not self._was_member or self._clock.monotonic() - since > _PATIENCE_S):
                raise Told
            self._clock.pause(_POLL_S if self._clock.monotonic() - since < _SLOW_AFTER_S else _SLOW_POLL_S)
