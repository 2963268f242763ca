"""The triggers there are, their firings that wait, and a wheel of what is due next."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from trainmaster.domain.firing import Firing, Started, Trigger
from trainmaster.domain.ids import TriggerId
from trainmaster.domain.target import WorkflowTarget
from trainmaster.domain.trigger import Overlap, Timing
from trainmaster.policies.firing.due import due_times, is_fixed_delay


class Triggers:
    """Part of the scheduler's state. Of each trigger only the next due time is held: the rule gives the rest.

    The wheel is a heap of (when to decide, due time, trigger). Setting never replaces: a due time that is not
    the trigger's next any more is passed over when it is taken.
    """

    def __init__(self) -> None:
        self.all: dict[TriggerId, Trigger] = {}
        self.waiting: dict[
            TriggerId, list[Firing]
        ] = {}  # held by the overlap policy, the first to come first
        self.live: dict[TriggerId, set[Started]] = {}  # what was started by each and is not over
        self.freed: set[TriggerId] = set()  # something they wait for may have changed
        # Of changed triggers what was claimed ahead by the earlier definition and is being taken back: until
        # it is known whether it had begun, nothing more is decided (`held`: and they were off the wheel).
        self.recalled: dict[TriggerId, set[Started]] = {}
        self.held: set[TriggerId] = set()
        self._wheel: list[tuple[float, int, TriggerId]] = []
        # Beginning a rule anew costs several times as much as going on with it.
        self._begun: dict[TriggerId, tuple[Timing, int, Iterator[int]]] = {}

    @staticmethod
    def lead_ms(trigger: Trigger, lead_s: float) -> int:
        """How long before its due time a firing is decided on.

        Ahead only where the decision does not depend on what is live when it is due, and where a lane will
        then keep the time.
        """
        if isinstance(trigger.target, WorkflowTarget) or trigger.overlap is not Overlap.ALLOW:
            return 0
        return int(lead_s * 1000) if trigger.target.could_be_handed_ahead else 0

    def put(self, trigger: Trigger, lead_s: float) -> None:
        """Add a trigger, or replace its value. `lead_s`: how long before it is due to decide."""
        before = self.all.get(trigger.id)
        self.all[trigger.id] = trigger
        if trigger.next_ms is None or trigger.paused:
            return
        if before is None or (before.next_ms, before.paused, before.target, before.overlap) != (
            trigger.next_ms, False, trigger.target, trigger.overlap,
        ):  # fmt: skip
            self.again(trigger, lead_s)

    def drop(self, trigger: TriggerId) -> None:
        """Forget a trigger. What it started goes on."""
        for index in (self.all, self.waiting, self.live, self.recalled, self._begun):
            index.pop(trigger, None)
        self.freed.discard(trigger)
        self.held.discard(trigger)

    def started(self, trigger: TriggerId, what: Started) -> None:
        """Note something live that one of the triggers there are has started."""
        if trigger in self.all:
            self.live.setdefault(trigger, set()).add(what)

    def busy(self, trigger: TriggerId) -> bool:
        """Something it started is not over, or waits to be started."""
        return bool(self.live.get(trigger) or self.waiting.get(trigger))

    def over(self, trigger: TriggerId, what: Started) -> None:
        """What a firing started has ended."""
        live = self.live.get(trigger)
        if live is not None and what in live:
            live.discard(what)
            self.freed.add(trigger)
        recalled = self.recalled.get(trigger)
        if recalled is not None:
            recalled.discard(what)
            if not recalled:
                del self.recalled[trigger]

    def recall(self, trigger: TriggerId, claimed: Iterable[Started]) -> None:
        """Decide on nothing of a trigger until all of `claimed` is over, and wait for nothing else."""
        self.recalled.pop(trigger, None)
        if waits := set(claimed):
            self.recalled[trigger] = waits

    def back_on_wheel(self, trigger: Trigger, lead_s: float) -> None:
        """Of a trigger that was held, if nothing holds it any more."""
        if trigger.id in self.held and trigger.id not in self.recalled:
            self.held.discard(trigger.id)
            if trigger.next_ms is not None and not trigger.paused:
                self.again(trigger, lead_s)

    def take(self, now: float) -> Trigger | None:
        """Take the trigger that is to be decided on first, if its time has come."""
        while self._wheel and self._wheel[0][0] <= now:
            _, due, trigger_id = heapq.heappop(self._wheel)
            trigger = self.all.get(trigger_id)
            if trigger is None or trigger.paused or trigger.next_ms != due:
                continue
            if trigger_id not in self.recalled:
                return trigger
            self.held.add(trigger_id)
        return None

    def dues_after_next(self, trigger: Trigger) -> Iterator[int]:
        """The due times after the next one; none of a fixed delay, whose due times depend on ends."""
        timing, begun = trigger.timing, self._begun.pop(trigger.id, None)
        if begun is not None and begun[0] is timing and begun[1] == trigger.next_ms:
            return begun[2]
        if trigger.next_ms is None or is_fixed_delay(timing):
            return iter(())
        return due_times(timing, trigger.next_ms)

    def remember(self, trigger: Trigger, dues: Iterator[int]) -> None:
        """`dues` goes on after the trigger's next due time."""
        if trigger.next_ms is not None and not is_fixed_delay(trigger.timing):
            self._begun[trigger.id] = (trigger.timing, trigger.next_ms, dues)

    def again(self, trigger: Trigger, lead_s: float) -> None:
        """Put one that was taken back: there is more to decide on than one step should."""
        assert trigger.next_ms is not None
        at = (trigger.next_ms - self.lead_ms(trigger, lead_s)) / 1000
        heapq.heappush(self._wheel, (at, trigger.next_ms, trigger.id))

    def next_due(self) -> float | None:
        """When to look again; passes over what is out of date."""
        while self._wheel:
            at, due, trigger_id = self._wheel[0]
            trigger = self.all.get(trigger_id)
            if trigger is not None and not trigger.paused and trigger.next_ms == due:
                return at
            heapq.heappop(self._wheel)
        return None

    def on_wheel(self) -> set[TriggerId]:
        """The triggers whose next due time is on the wheel (for the invariants)."""
        return {
            trigger_id
            for _, due, trigger_id in self._wheel
            if trigger_id in self.all and self.all[trigger_id].next_ms == due
        }

    def restore(self, triggers: Iterable[Trigger], waiting: Iterable[Firing], lead_s: float) -> None:
        """Fill it with what the store knows, after a restart."""
        for trigger in triggers:
            self.put(trigger, lead_s)
        for firing in sorted(waiting, key=lambda firing: (firing.decided_at, firing.due_ms)):
            if firing.trigger in self.all:
                self.waiting.setdefault(firing.trigger, []).append(firing)
        self.freed.update(self.all)
