"""Which service the options before the command mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from trainmaster.client import Client


@dataclass(frozen=True, slots=True)
class Target:
    url: str | None = None
    token: str | None = None
    data: str | None = None


def target(context: typer.Context) -> Target:
    found = context.find_root().obj
    return found if isinstance(found, Target) else Target()


def connect(context: typer.Context, timeout: float = 30.0) -> Client:
    """A client of that service, which may take `timeout` seconds to answer. Raises Unreachable."""
    from trainmaster.client import Client

    where = target(context)
    return Client(where.url, where.token, data=where.data, timeout=timeout)
