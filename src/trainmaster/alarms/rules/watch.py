"""The life of alarms: what opens one, what is told of it, and when it is over.

`evaluate` is deterministic: the same watches, occurrences, look and time give the same alarms and notices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from trainmaster.alarms.rules.occurrences import OTHERS, Occurrence, concerns, group_of
from trainmaster.alarms.rules.standing import Look, breaches
from trainmaster.domain.alarm import STANDING, Alarm, Condition, Notice, NoticeKind, Rule
from trainmaster.domain.units import format_duration

MOST_GROUPS = 200  # that a rule watches at a time; what is beyond shares one more
LATE_S = 3600.0  # history may be read so much later than it happened, and still counts together
CALM_S = 3600.0  # what happened at a moment is over if it does not happen again for so long


@dataclass(slots=True)
class Watch:
    """What is remembered of one group of one rule.

    `recent`: times of occurrences that have not opened an alarm yet. `since`: since when a standing condition
    holds, or when the latest success was. `told_at`: of the latest notice, the end of an alarm aside.
    `opening_told`: that the present alarm is open was told. `untold`: occurrences after the latest notice.
    """

    recent: list[float] = field(default_factory=list)
    since: float | None = None
    alarm: Alarm | None = None
    told_at: float = -inf
    opening_told: bool = False
    untold: int = 0


Watches = dict[tuple[str, str], Watch]  # by rule and group


@dataclass(slots=True)
class Verdict:
    """What an evaluation changed: alarms by id, and notices in the order they came up."""

    alarms: dict[str, Alarm] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)


def evaluate(
    rules: Mapping[str, Rule],
    watches: Watches,
    seen: Iterable[Occurrence],
    look: Look | None,
    acknowledged: frozenset[str],
    now: float,
) -> Verdict:
    """Move the watches on to `now`.

    `seen`: what happened since the last time, oldest first. `look`: the present, None if nobody looked.
    `acknowledged`: ids of open alarms somebody takes care of. Rules that are disabled or gone let go of
    their alarms without a word.
    """
    turn = _Turn(watches, now)
    active = {name: rule for name, rule in sorted(rules.items()) if rule.enabled}
    for key in sorted(key for key in watches if key[0] not in active):
        turn.change(watches.pop(key), resolved_at=now)
    by_condition: dict[Condition, list[Rule]] = {}
    for rule in active.values():
        by_condition.setdefault(rule.condition, []).append(rule)
    for one in seen:
        for rule in by_condition.get(one.condition, ()):
            if concerns(rule, one):
                turn.happened(rule, group_of(rule, one), one)
    for rule in active.values():
        if rule.condition is Condition.NO_SUCCESS:
            turn.missing(rule)
        elif rule.condition in STANDING and look is not None:
            turn.looked(rule, look)
    for key in sorted(watches):
        turn.settle(active[key[0]], key[1], acknowledged)
    return turn.verdict


class _Turn:
    """One evaluation."""

    def __init__(self, watches: Watches, now: float) -> None:
        self.verdict = Verdict()
        self._watches = watches
        self._now = now
        self._groups: dict[str, int] = {}
        for name, _ in watches:
            self._groups[name] = self._groups.get(name, 0) + 1

    # --- what is seen --------------------------------------------------------------------------------------

    def happened(self, rule: Rule, group: str, one: Occurrence) -> None:
        group, watch = self._watch(rule, group)
        if rule.condition is Condition.NO_SUCCESS:
            watch.since = max(watch.since or 0.0, one.time)
        elif one.clears:
            watch.recent.clear()
            self._over(rule, watch, one.time, one.text)
        elif watch.alarm is not None:
            watch.untold += 1
            last, count = max(watch.alarm.last_at, one.time), watch.alarm.count + 1
            self.change(watch, last_at=last, count=count, text=one.text)
        else:
            watch.recent = [time for time in watch.recent if time > one.time - rule.within_s] + [one.time]
            if len(watch.recent) >= rule.after:
                self._open(rule, group, watch, one.time, len(watch.recent), one.text)

    def missing(self, rule: Rule) -> None:
        """An expected success: absent for longer than the limit, or there."""
        group, watch = self._watch(rule, "")
        since = watch.since or rule.made_at
        if self._now - since <= rule.bound:
            self._over(rule, watch, self._now, "a task has succeeded")
            return
        which = "no task" if rule.tasks == "*" else f"no task named {rule.tasks}"
        text = f"{which} has succeeded for {format_duration(self._now - since)}"
        self._goes_on(rule, group, watch, 1, text)

    def looked(self, rule: Rule, look: Look) -> None:
        found = breaches(rule, look)
        for group in sorted(key[1] for key in self._watches if key[0] == rule.name):
            watch = self._watches[rule.name, group]
            if group not in found and group != OTHERS:
                watch.since = None
                if watch.alarm is not None and self._now - watch.alarm.last_at >= (rule.resolve_s or 0.0):
                    self._over(rule, watch, self._now, "it no longer holds")
        overflow = 0
        for group, breach in found.items():
            kept, watch = self._watch(rule, group)
            if kept == OTHERS:
                overflow += breach.count
                continue
            watch.since = self._now if watch.since is None else watch.since
            if self._now - watch.since >= rule.for_s:
                self._goes_on(rule, group, watch, breach.count, breach.text)
        if (others := self._watches.get((rule.name, OTHERS))) is not None:
            if overflow:
                self._goes_on(rule, OTHERS, others, overflow, f"{overflow} more than are told apart")
            else:
                self._over(rule, others, self._now, "it no longer holds")

    # --- what becomes of it --------------------------------------------------------------------------------

    def settle(self, rule: Rule, group: str, acknowledged: frozenset[str]) -> None:
        """End what has calmed down, tell what is to be told, forget what no longer matters."""
        watch, now = self._watches[rule.name, group], self._now
        if watch.alarm is not None and rule.condition not in STANDING | {Condition.NO_SUCCESS}:
            calm_s = rule.resolve_s if rule.resolve_s is not None else CALM_S
            # A lost node is over when it is back, and not just because time passes.
            waits = rule.condition is Condition.NODE_LOST and rule.resolve_s is None
            if not waits and now - watch.alarm.last_at >= calm_s:
                self._over(rule, watch, now, f"not again for {format_duration(calm_s)}")
        if watch.alarm is not None and now >= watch.told_at + rule.quiet_s:
            if not watch.opening_told:
                self._tell(NoticeKind.OPENED, rule, watch)
            elif watch.untold and watch.alarm.id not in acknowledged:
                self._tell(NoticeKind.AGAIN, rule, watch)
        if watch.recent and watch.recent[-1] <= now - rule.within_s - LATE_S:
            watch.recent.clear()
        if (
            watch.alarm is None
            and watch.since is None
            and not watch.recent
            and now >= watch.told_at + rule.quiet_s
        ):
            del self._watches[rule.name, group]

    def change(self, watch: Watch, **values: Any) -> None:
        if watch.alarm is not None:
            watch.alarm = replace(watch.alarm, **values)
            self.verdict.alarms[watch.alarm.id] = watch.alarm

    def _watch(self, rule: Rule, group: str) -> tuple[str, Watch]:
        if (rule.name, group) not in self._watches:
            if self._groups.get(rule.name, 0) >= MOST_GROUPS:
                group = OTHERS
            if (rule.name, group) not in self._watches:
                self._watches[rule.name, group] = Watch()
                self._groups[rule.name] = self._groups.get(rule.name, 0) + 1
        return group, self._watches[rule.name, group]

    def _open(self, rule: Rule, group: str, watch: Watch, at: float, count: int, text: str) -> None:
        name = alarm_id(rule.name, group, at)
        watch.alarm = Alarm(name, rule.name, group, rule.severity, text, at, at, count)
        watch.opening_told, watch.untold = False, 0
        watch.recent.clear()
        self.verdict.alarms[name] = watch.alarm

    def _goes_on(self, rule: Rule, group: str, watch: Watch, count: int, text: str) -> None:
        if watch.alarm is None:
            self._open(rule, group, watch, self._now, count, text)
        else:
            self.change(watch, last_at=self._now, count=count, text=text)

    def _over(self, rule: Rule, watch: Watch, at: float, text: str) -> None:
        if watch.alarm is None:
            return
        self.change(watch, resolved_at=max(at, watch.alarm.opened_at))
        if watch.opening_told and rule.tell_resolved:
            self.verdict.notices.append(self._notice(NoticeKind.RESOLVED, rule, watch.alarm, text))
        watch.alarm, watch.opening_told, watch.untold = None, False, 0

    def _tell(self, kind: NoticeKind, rule: Rule, watch: Watch) -> None:
        assert watch.alarm is not None
        self.change(watch, told=watch.alarm.told + 1)
        self.verdict.notices.append(self._notice(kind, rule, watch.alarm, watch.alarm.text))
        watch.told_at, watch.opening_told, watch.untold = self._now, True, 0

    def _notice(self, kind: NoticeKind, rule: Rule, alarm: Alarm, text: str) -> Notice:
        return Notice(
            kind, rule.name, alarm.group, alarm.severity, text, self._now, alarm.id, alarm.count,
            alarm.opened_at, rule.channels,
        )  # fmt: skip


def alarm_id(rule: str, group: str, opened_at: float) -> str:
    """The same alarm has the same id, however often it is evaluated."""
    digest = hashlib.sha256(f"{rule}\0{group}\0{opened_at!r}".encode("utf-8", "surrogatepass"))
    return "a-" + digest.hexdigest()[:12]
