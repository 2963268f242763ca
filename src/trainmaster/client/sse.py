"""Server-sent events, parsed line by line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """`id` resumes the stream after this event."""

    kind: str
    data: Any
    id: int | None


class Parser:
    """Feed it the lines of a stream; it answers with an event whenever one is complete."""

    def __init__(self) -> None:
        self._kind = ""
        self._data: list[str] = []
        self._id: int | None = None

    def feed(self, line: str) -> ServerEvent | None:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                self._kind = value
            elif name == "data":
                self._data.append(value)
            elif name == "id" and value.isdigit():
                self._id = int(value)
            return None
        if not self._data:
            return None  # a comment that keeps the connection alive
        event = ServerEvent(self._kind or "message", json.loads("\n".join(self._data)), self._id)
        self._kind, self._data = "", []
        return event
