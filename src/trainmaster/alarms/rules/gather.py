"""From notices to messages: the first at once, what follows on the same channel together.

So the number of messages is bounded by time alone, whatever happens: one, and one more for every `PACE_S`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace

from trainmaster.domain.alarm import Channel, Notice, Send

PACE_S = 30.0  # between the messages of a channel
MOST_NOTICES = 50  # written out in a message; more are counted


@dataclass(slots=True)
class Pace:
    """Of one channel: when the latest message was due, and the one that still gathers."""

    due_at: float = float("-inf")
    gathering: Send | None = None


@dataclass(slots=True)
class Outbox:
    """What is to be sent. A message that is being tried gathers nothing more (`taken`)."""

    paces: dict[str, Pace] = field(default_factory=dict)

    def put(self, notices: Iterable[Notice], channels: Mapping[str, Channel], now: float) -> list[Send]:
        """Messages that are new or hold more than before. Notices for unknown or disabled channels go
        nowhere."""
        changed: dict[str, Send] = {}
        for notice in notices:
            for name in notice.channels:
                if name in channels and channels[name].enabled:
                    send = self._put(notice, name, now)
                    changed[send.id] = send
        return list(changed.values())

    def taken(self, send: Send) -> None:
        """It is being tried: later notices go into another."""
        pace = self.paces.get(send.channel)
        if pace is not None and pace.gathering is not None and pace.gathering.id == send.id:
            pace.gathering = None

    def restore(self, pending: Iterable[Send], tried: Container[str]) -> None:
        """Begin anew with what is stored: messages that nobody tried yet gather on."""
        self.paces.clear()
        for send in sorted(pending, key=lambda send: send.due_at):
            pace = self.paces.setdefault(send.channel, Pace())
            pace.due_at = max(pace.due_at, send.due_at)
            if not send.attempts and send.id not in tried:
                pace.gathering = send

    def _put(self, notice: Notice, channel: str, now: float) -> Send:
        pace = self.paces.setdefault(channel, Pace())
        send = pace.gathering
        if send is None:
            due = max(now, pace.due_at + PACE_S)
            send = Send(send_id(channel, notice, due), channel, now, due, (notice,))
            pace.due_at = due
        elif len(send.notices) < MOST_NOTICES:
            send = replace(send, notices=(*send.notices, notice))
        else:
            send = replace(send, more=send.more + 1)
        pace.gathering = send
        return send


def send_id(channel: str, notice: Notice, due: float) -> str:
    """Deterministic, so that a repeated evaluation makes no second message."""
    words = f"{channel}\0{notice.rule}\0{notice.group}\0{notice.kind}\0{notice.time!r}\0{due!r}"
    return "m-" + hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:16]
