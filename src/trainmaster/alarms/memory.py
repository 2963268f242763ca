"""Watches as JSON, so that an evaluation goes on where an earlier life left it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import inf

from trainmaster.alarms.rules.watch import Watch, Watches
from trainmaster.domain.alarm import Alarm


def to_json(watches: Watches) -> str:
    return json.dumps(
        [
            [
                *key, watch.recent, watch.since, None if watch.told_at == -inf else watch.told_at,
                watch.opening_told, watch.untold, watch.alarm.id if watch.alarm is not None else None,
            ]
            for key, watch in sorted(watches.items())
        ],
        separators=(",", ":"),
    )  # fmt: skip


def from_json(text: str, alarms: Iterable[Alarm]) -> Watches:
    """`alarms`: the open ones. They and the watches are stored in one transaction, so they agree."""
    by_id = {alarm.id: alarm for alarm in alarms}
    watches: Watches = {}
    for rule, group, recent, since, told_at, opening_told, untold, alarm in json.loads(text):
        told = -inf if told_at is None else told_at
        watches[rule, group] = Watch(recent, since, by_id.get(alarm), told, opening_told, untold)
    return watches
