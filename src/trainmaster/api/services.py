"""The registry: processes, their roles and beats, who leads, and the agents."""

from __future__ import annotations

from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from trainmaster.api.deps import Serving, Viewer
from trainmaster.domain.replica import Lease, Replica

router = APIRouter(prefix="/v1", tags=["cluster"])


class Registry(Protocol):
    async def look(self) -> tuple[list[Replica], list[Lease], float]:
        """Replicas, leases, and what time it is by the clock of their times."""
        ...


def _registry(request: Request) -> Registry:
    registry: Registry = request.app.state.registry
    return registry


class ReplicaOut(BaseModel):
    id: str = Field(examples=["3f1c9a27b0de"])
    host: str = Field(examples=["gpu-1"])
    pid: int = Field(examples=[4711])
    roles: list[str] = Field(examples=[["api", "scheduler", "processor", "alarm"]])
    leads: list[str] = Field(description="roles that only one may have, and it has", examples=[["scheduler"]])
    url: str = Field(examples=["http://127.0.0.1:7070"])
    started_at: float = Field(examples=[1767225600.0])
    beat_age_s: float = Field(description="since its latest beat", examples=[0.4])


class AgentOut(BaseModel):
    node: str = Field(examples=["node-1"])
    state: str = Field(examples=["UP"])
    beat_age_s: float | None = Field(description="null: never, as far as this process knows", examples=[1.2])


class ServicesOut(BaseModel):
    leader: str | None = Field(
        description="the replica that schedules; null: nobody", examples=["3f1c9a27b0de"]
    )
    token: int = Field(description="rises each time another leads", examples=[3])
    replicas: list[ReplicaOut]
    agents: list[AgentOut]


@router.get("/services", summary="Who serves: roles, leader, agents, and their beats")
async def services(
    service: Serving, person: Viewer, registry: Annotated[Registry, Depends(_registry)]
) -> ServicesOut:
    replicas, leases, now = await registry.look()
    held = {lease.name: lease for lease in leases if lease.until > now}
    schedules = held.get("scheduler")
    agents = []
    for node in service.nodes():
        beat = max(node.seen_at, node.gauges.time)
        age = max(service.clock.now() - beat, 0.0) if beat else None
        agents.append(AgentOut(node=node.id, state=str(node.state), beat_age_s=age))
    return ServicesOut(
        leader=schedules.holder if schedules is not None else None,
        token=schedules.token if schedules is not None else 0,
        replicas=[
            ReplicaOut(
                id=one.id,
                host=one.host,
                pid=one.pid,
                roles=[str(role) for role in one.roles],
                leads=[name for name, lease in held.items() if lease.holder == one.id],
                url=one.url,
                started_at=one.started_at,
                beat_age_s=max(now - one.beat_at, 0.0),
            )
            for one in replicas
        ],
        agents=agents,
    )
