"""Replicas: processes that share one database, the roles they play, and what they leave for each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trainmaster.domain.ids import TaskId
from trainmaster.domain.task import TaskSpec


class Role(StrEnum):
    """The services of the coupled-scheduling paper (its Figure 3), and what they are here.

    API: unified management. SCHEDULER: task scheduling; one leads, the others stand by. PROCESSOR: task
    execution, hosts this machine's nodes. ALARM: task alarming.
    """

    API = "api"
    SCHEDULER = "scheduler"
    PROCESSOR = "processor"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may act in a role that only one may have. `token` rises each time it changes hands."""

    name: str
    holder: str
    token: int
    until: float  # by the database's clock


@dataclass(frozen=True, slots=True)
class Replica:
    """One process, as it told the registry. `beat_at` by the database's clock, like `until` of leases."""

    id: str
    host: str
    pid: int
    roles: tuple[Role, ...]
    url: str  # where its HTTP interface answers; empty if it has none
    started_at: float
    beat_at: float
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Letter:
    """A submission that was accepted while nobody led. `refusal`: why the next leader refused it."""

    task: TaskId
    spec: TaskSpec
    made_at: float
    key: str = ""
    digest: str = ""
    refusal: dict[str, Any] | None = None
