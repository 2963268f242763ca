"""Any of the services that Apprise knows, by its address of it (`slack://…`, `tgram://…`). In a thread.

Apprise connects by itself, so its connections cannot be held to a checked address: the host of an address
that names one is checked before, and no more is promised. Only admins set channels.
"""

from __future__ import annotations

from typing import Any

from trainmaster.alarms.channels.message import body, subject
from trainmaster.domain.alarm import Notice, NoticeKind, Send, Severity
from trainmaster.domain.errors import ChannelRefused, InvalidChannel

# They run programs, write files or lead back into this machine: no business of a message to people.
_REFUSED_HOSTS = ("syslog", "dbus", "gnome", "macosx", "windows", "glib", "qt", "kde")


def check(settings: dict[str, str]) -> None:
    """Raises InvalidChannel."""
    _plugin(settings)


def host_of(settings: dict[str, str]) -> str | None:
    """The host in the address, for services that have one of their own."""
    host = getattr(_plugin(settings), "host", None)
    return host if (isinstance(host, str) and "." in host) or host == "localhost" else None


def run(settings: dict[str, str], message: Send) -> None:
    """Blocks. Raises ChannelRefused; what exactly went wrong Apprise tells only its own log."""
    done = _plugin(settings).notify(
        body=body(message), title=subject(message), notify_type=_type(message.notices)
    )
    if not done:
        raise ChannelRefused("the service did not take the message")


def _plugin(settings: dict[str, str]) -> Any:
    try:
        import apprise
    except ImportError:
        raise InvalidChannel(
            "kind: Apprise is not installed", remedy="pip install 'trainmaster[alarms]'", field="kind"
        ) from None
    url = settings["url"]
    scheme = url.partition(":")[0].lower()
    plugin = None if scheme in _REFUSED_HOSTS else apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if plugin is None:
        # Without the address, which is a secret.
        raise InvalidChannel(
            "url: Apprise knows no such address", remedy="see https://appriseit.com/services/", field="url"
        )
    return plugin


def _type(notices: tuple[Notice, ...]) -> str:
    if all(notice.kind is NoticeKind.RESOLVED for notice in notices):
        return "success"
    worst = {notice.severity for notice in notices}
    return "failure" if Severity.CRITICAL in worst else "warning" if Severity.WARNING in worst else "info"
