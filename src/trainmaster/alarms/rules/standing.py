"""Conditions that hold for a while: seen by looking at the present, not in the history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from trainmaster.alarms.rules.occurrences import Occurrence, concerns, group_of
from trainmaster.domain.alarm import Condition, Idle, Late, Rule
from trainmaster.domain.cluster import Gauges
from trainmaster.domain.units import format_duration


@dataclass(frozen=True, slots=True)
class Look:
    """The present as rules see it. `late`: firings decided on lately. `needed`: forecast work over what all
    nodes can do; None if unknown."""

    time: float
    waiting: tuple[Idle, ...] = ()
    silent: tuple[Idle, ...] = ()  # running tasks
    late: tuple[Late, ...] = ()
    nodes: dict[str, Gauges] = field(default_factory=dict)
    needed: float | None = None


@dataclass(frozen=True, slots=True)
class Breach:
    """A group in which a standing condition holds now: how often, and the worst of it."""

    count: int
    text: str


def breaches(rule: Rule, look: Look) -> dict[str, Breach]:
    """Groups in which the rule's condition holds. Ties between the worst go to the first by name."""
    found: dict[str, list[Occurrence]] = {}
    for seen in _holding(rule, look):
        if concerns(rule, seen):
            found.setdefault(group_of(rule, seen), []).append(seen)
    return {group: Breach(len(all_), _told(all_)) for group, all_ in sorted(found.items())}


def _told(seen: list[Occurrence]) -> str:
    worst = min(seen, key=lambda one: (-(one.value or 0.0), one.name, one.task, one.node))
    return worst.text if len(seen) == 1 else f"{worst.text}; {len(seen) - 1} more"


def _holding(rule: Rule, look: Look) -> Iterator[Occurrence]:
    if rule.condition is Condition.QUEUE_WAIT:
        yield from _idle(rule, look, look.waiting, "has waited for a start for")
    elif rule.condition is Condition.FIRING_DELAY:
        for one in look.late:
            if one.late_s > rule.bound:
                text = f"{one.trigger} began {format_duration(one.late_s)} late"
                name = one.trigger
                yield Occurrence(rule.condition, look.time, text, name=name, trigger=name, value=one.late_s)
    elif rule.condition is Condition.NO_PROGRESS:
        yield from _idle(rule, look, look.silent, "runs and has reported no progress for")
    elif rule.condition is Condition.NODE_PRESSURE:
        for node, gauges in sorted(look.nodes.items()):
            share = _share(gauges, rule.resource)
            if fnmatchcase(node, rule.nodes) and gauges.time and share > rule.bound:
                text = f"{node}: {rule.resource.replace('_', ' ')} used to {share:.0%}"
                yield Occurrence(rule.condition, look.time, text, node=node, value=share)
    elif look.needed is not None and look.needed > rule.bound:
        text = f"the forecast calls for {look.needed:.0%} of what all nodes can do"
        yield Occurrence(rule.condition, look.time, text, value=look.needed)


def _idle(rule: Rule, look: Look, tasks: tuple[Idle, ...], words: str) -> Iterator[Occurrence]:
    for one in tasks:
        for_s = look.time - one.since
        if for_s > rule.bound:
            text = f"{one.name} ({one.task}) {words} {format_duration(for_s)}"
            yield Occurrence(rule.condition, look.time, text, one.task, one.name, one.user, value=for_s)


def _share(gauges: Gauges, resource: str) -> float:
    value = getattr(gauges, resource)
    return max(value, default=0.0) if isinstance(value, tuple) else float(value)
