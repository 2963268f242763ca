"""When a request that failed is sent again, and for how long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from trainmaster.client.errors import Unreachable, from_problem
from trainmaster.client.locate import Endpoint, locate

if TYPE_CHECKING:
    import httpx2

    from trainmaster.domain.errors import TrainmasterError

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0


class Patience:
    """The pauses between attempts: they double, and end `limit_s` after the last success."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self.renew()

    def renew(self) -> None:
        """Something worked: patience begins anew."""
        self._until = time.monotonic() + self._limit_s
        self._pause = _FIRST_PAUSE_S

    def pause(self) -> float | None:
        """How long to wait before the next attempt; None if patience is at its end."""
        left = self._until - time.monotonic()
        if left <= 0:
            return None
        pause = min(self._pause, left)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE_S)
        return pause


def failure(response: httpx2.Response) -> TrainmasterError:
    """The error in a response that has been read."""
    try:
        body: Any = response.json()
    except ValueError:
        body = None
    return from_problem(response.status_code, body)


def unreachable(endpoint: Endpoint, error: Exception) -> Unreachable:
    """One sentence about why nobody answers, and what to do."""
    if endpoint.pid is not None and not _alive(endpoint.pid):
        return Unreachable(
            f"the service (pid {endpoint.pid}) is not running any more",
            remedy="start it again with `trainmaster up`; tasks that still run are found again",
            url=endpoint.url,
        )
    why = str(error) or type(error).__name__
    return Unreachable(f"no service answers at {endpoint.url}: {why}", url=endpoint.url)


def _alive(pid: int) -> bool:
    import os

    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def found_again(endpoint: Endpoint) -> Endpoint:
    """A restarted service may listen elsewhere: read its credentials file again, if that is where we look."""
    if endpoint.file is None:
        return endpoint
    try:
        return locate(data=endpoint.file.parent)
    except Unreachable:
        return endpoint


def http_options(endpoint: Endpoint, timeout_s: float) -> dict[str, Any]:
    """How httpx2 is set up for this service."""
    from urllib.parse import urlsplit

    host = urlsplit(endpoint.url).hostname or ""
    return {
        "base_url": endpoint.url,
        "headers": {"Authorization": f"Bearer {endpoint.token}"} if endpoint.token else {},
        "timeout": timeout_s,
        # Loading the certificate authorities takes longer than a request; plain HTTP needs none.
        "verify": endpoint.url.startswith("https:"),
        # A proxy of the environment cannot reach this machine's loopback interface.
        "trust_env": host not in ("localhost", "::1") and not host.startswith("127."),
    }


# The service sends a sign of life every 15 s.
STREAM_SILENCE_S = 45.0
