"""What a message says: for people, and for programs."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime

from trainmaster.domain.alarm import Notice, NoticeKind, Send, Severity

_ORDER = [Severity.INFO, Severity.WARNING, Severity.CRITICAL]
_LONGEST = 150  # characters of a subject
_WORDS = {
    NoticeKind.OPENED: "",
    NoticeKind.AGAIN: "still: ",
    NoticeKind.RESOLVED: "resolved: ",
    NoticeKind.TEST: "test: ",
}


def subject(send: Send) -> str:
    """One line, without line ends whatever the notices hold."""
    worst = max((notice.severity for notice in send.notices), key=_ORDER.index)
    if len(send.notices) == 1 and not send.more:
        notice = send.notices[0]
        text = f"[trainmaster] {worst}: {_WORDS[notice.kind]}{notice.rule}: {notice.text}"
    else:
        kinds = Counter(str(notice.kind) for notice in send.notices)
        parts = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
        more = f", {send.more} more" if send.more else ""
        text = f"[trainmaster] {worst}: {len(send.notices) + send.more} notices: {parts}{more}"
    return _clipped(" ".join(text.split()))


def body(send: Send) -> str:
    """Plain text, one paragraph for each notice."""
    parts = [_paragraph(notice) for notice in send.notices]
    if send.more:
        parts.append(f"{send.more} more were not written out; `trainmaster alarm list` shows them.")
    return "\n\n".join(parts) + "\n"


def payload(send: Send) -> bytes:
    """JSON for programs. The same message has the same bytes, however often it is tried."""
    told = {
        "id": send.id,
        "time": send.created_at,
        "subject": subject(send),
        "notices": [notice.to_dict() for notice in send.notices],
        "more": send.more,
    }
    return json.dumps(told, separators=(",", ":")).encode()


def _paragraph(notice: Notice) -> str:
    group = f", {notice.group}" if notice.group else ""
    lines = [
        f"{_WORDS[notice.kind]}{notice.text}".replace("\0", " "),
        f"rule {notice.rule}{group}, {notice.severity}",
    ]
    if notice.alarm:
        since = datetime.fromtimestamp(notice.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        lines.append(f"alarm {notice.alarm} since {since}, {notice.count} times")
    return "\n".join(lines)


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
