"""The evaluation of rules against a twin that keeps everything and counts anew each time.

Source of the rules' meaning: `domain.alarm.Rule`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from trainmaster.alarms.rules.gather import MOST_NOTICES, PACE_S, Outbox
from trainmaster.alarms.rules.occurrences import Occurrence
from trainmaster.alarms.rules.watch import Watches, evaluate
from trainmaster.domain.alarm import (
    Channel,
    ChannelKind,
    Condition,
    Grouping,
    Notice,
    NoticeKind,
    Rule,
    Severity,
)

Tick = tuple[float, list[tuple[float, str]]]  # now, and what failed since the last one: when and what


@dataclass
class Open:
    times: list[float]
    told: list[float] = field(default_factory=list)


def twin(rule: Rule, ticks: list[Tick], group: str) -> list[tuple[str, float, int]]:
    """(kind, when, count) of everything told of one group."""
    told: list[tuple[str, float, int]] = []
    loose: list[float] = []  # occurrences that belong to no alarm
    alarm: Open | None = None
    for now, seen in ticks:
        for time, name in seen:
            if rule.group is Grouping.NAME and name != group:
                continue
            if alarm is not None:
                alarm.times.append(time)
                continue
            loose.append(time)
            window = [other for other in loose if time - rule.within_s < other <= time]
            if len(window) >= rule.after:
                alarm, loose = Open(window), []
        spoken = [when for kind, when, _ in told if kind != "resolved"]
        if alarm is not None and now - max(alarm.times) >= (rule.resolve_s or 0.0):
            if alarm.told:
                told.append(("resolved", now, len(alarm.times)))
            alarm = None
        if alarm is not None and all(now - when >= rule.quiet_s for when in spoken):
            counted = sum(1 for _ in alarm.times)
            if not alarm.told:
                told.append(("opened", now, counted))
                alarm.told.append(counted)
            elif counted > alarm.told[-1]:
                told.append(("again", now, counted))
                alarm.told.append(counted)
    return told


@st.composite
def histories(draw: st.DrawFn) -> list[Tick]:
    now, ticks = 0.0, []
    for _ in range(draw(st.integers(1, 25))):
        before, now = now, now + draw(st.sampled_from([1.0, 2.0, 5.0, 17.0, 40.0]))
        offsets = sorted(draw(st.lists(st.floats(0.0, 1.0), max_size=4)))
        seen = [(before + (now - before) * share, draw(st.sampled_from("ab"))) for share in offsets]
        ticks.append((now, seen))
    return ticks


RULES = st.builds(
    Rule,
    name=st.just("r"),
    condition=st.just(Condition.TASK_FAILED),
    after=st.integers(1, 4),
    within_s=st.sampled_from([3.0, 10.0, 60.0]),
    quiet_s=st.sampled_from([0.0, 8.0, 30.0]),
    resolve_s=st.sampled_from([4.0, 20.0, 50.0]),
    group=st.sampled_from([Grouping.RULE, Grouping.NAME]),
)


@given(RULES, histories())
def test_as_the_twin(rule: Rule, ticks: list[Tick]) -> None:
    watches: Watches = {}
    told: dict[str, list[tuple[str, float, int]]] = {}
    for now, seen in ticks:
        found = [Occurrence(Condition.TASK_FAILED, time, "", name, name) for time, name in seen]
        for notice in evaluate({"r": rule}, watches, found, None, frozenset(), now).notices:
            told.setdefault(notice.group, []).append((str(notice.kind), notice.time, notice.count))
    for group in ("a", "b") if rule.group is Grouping.NAME else ("",):
        assert told.get(group, []) == twin(rule, ticks, group)


@given(st.lists(st.tuples(st.floats(0.0, 20.0), st.integers(0, 200)), min_size=1, max_size=60))
def test_messages_are_bounded_by_time_and_none_is_lost(steps: list[tuple[float, int]]) -> None:
    """Whoever takes messages when they are due gets every notice once, in messages PACE_S apart."""
    channels = {"c": Channel("c", ChannelKind.WEBHOOK)}
    outbox, waiting, taken, now, put = Outbox(), {}, [], 0.0, 0
    for wait, number in steps:
        now += wait
        for send in [send for send in waiting.values() if send.due_at <= now]:
            outbox.taken(send)
            taken.append(waiting.pop(send.id))
        notices = [
            Notice(NoticeKind.OPENED, "r", str(put + n), Severity.INFO, "", now, channels=("c",))
            for n in range(number)
        ]
        put += number
        waiting.update({send.id: send for send in outbox.put(notices, channels, now)})
    taken += waiting.values()
    assert sum(len(send.notices) + send.more for send in taken) == put
    assert all(len(send.notices) <= MOST_NOTICES for send in taken)
    dues = sorted(send.due_at for send in taken)
    assert all(later - earlier >= PACE_S - 1e-9 for earlier, later in pairwise(dues))
    assert len({send.id for send in taken}) == len(taken)
