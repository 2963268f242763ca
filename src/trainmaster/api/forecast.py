"""The forecast of the service's own volume, and how the cluster is sized by it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, model_validator

from trainmaster.api.deps import Operator, Serving, Viewer
from trainmaster.api.requests import Strict
from trainmaster.domain.sizing import SizingKnobs, SizingName
from trainmaster.service.service import Service

router = APIRouter(prefix="/v1", tags=["forecast"])


class KnobsIn(Strict):
    """What is left out stays as it is."""

    apply: bool | None = Field(
        None, description="drain and wake nodes by the recommendation; else only show it", examples=[True]
    )
    policy: SizingName | None = Field(None, examples=["conformal"])
    miss_cost: float | None = Field(
        None, gt=0, le=1e6, examples=[4.0],
        description="conformal: what a node-hour of late work costs, in idle node-hours",
    )  # fmt: skip
    margin: float | None = Field(
        None, ge=0, le=100, examples=[0.05], description="reactive: what it adds to the latest demand"
    )
    nodes: int | None = Field(None, ge=0, le=100_000, examples=[4], description="static: how many")
    target_utilisation: float | None = Field(
        None, gt=0, le=1, examples=[0.9], description="share of a node's time meant to be used"
    )
    min_nodes: int | None = Field(None, ge=0, le=100_000, examples=[1])
    max_nodes: int | None = Field(
        None, ge=0, le=100_000, examples=[8], description="null: all there are (give it to lift the bound)"
    )
    hold: int | None = Field(
        None, ge=1, le=1000, examples=[2],
        description="decisions in a row that must want fewer nodes before any is drained",
    )  # fmt: skip

    @model_validator(mode="after")
    def _ordered(self) -> KnobsIn:
        if self.max_nodes is not None and (self.min_nodes or 0) > self.max_nodes:
            raise ValueError("min_nodes is above max_nodes")
        return self

    def onto(self, knobs: SizingKnobs) -> SizingKnobs:
        given = {
            name: value
            for name in self.model_fields_set
            if (value := getattr(self, name)) is not None or name == "max_nodes"
        }
        return replace(knobs, **given)


class KnobsOut(BaseModel):
    apply: bool = Field(examples=[False])
    policy: str = Field(examples=["conformal"])
    miss_cost: float = Field(examples=[4.0])
    margin: float = Field(examples=[0.05])
    nodes: int = Field(examples=[1])
    target_utilisation: float = Field(examples=[0.9])
    min_nodes: int = Field(examples=[1])
    max_nodes: int | None = Field(examples=[None])
    hold: int = Field(examples=[2])


class PastOut(BaseModel):
    time: float = Field(description="start of the interval", examples=[1767225600.0])
    tasks: float = Field(description="submitted in it", examples=[112.0])
    forecast: float | None = Field(description="what the interval before would have said", examples=[108.4])


class ComingOut(BaseModel):
    time: float = Field(examples=[1767229200.0])
    tasks: float = Field(description="point forecast", examples=[104.2])
    lower: float | None = Field(description="one-sided bound; null with too little history", examples=[81.0])
    upper: float | None = Field(examples=[131.5])
    nodes: int | None = Field(description="wanted for it, were nothing waiting", examples=[6])


class FitOut(BaseModel):
    """Errors in per cent of the volume (wMAPE), one interval ahead; `floor`: of repeating the last value."""

    model: str = Field(examples=["ridge"])
    why: str
    rows: int = Field(examples=[500])
    error: float | None = Field(examples=[11.2])
    floor: float | None = Field(examples=[19.8])
    covered: float | None = Field(description="share at or below the upper bound, 0..1", examples=[0.9])


class SizedOut(BaseModel):
    time: float = Field(examples=[1767225600.0])
    wanted: int = Field(examples=[5])
    on: int = Field(examples=[8])
    applied: bool = Field(examples=[False])


class OutlookOut(BaseModel):
    at: float = Field(examples=[1767229201.0])
    next_at: float = Field(description="when it is made anew", examples=[1767232800.0])
    fit: FitOut
    capacity: float | None = Field(description="tasks one node completes per interval", examples=[21.0])
    wanted: int | None = Field(description="nodes for the running interval", examples=[6])
    reason: str
    history: list[PastOut] = Field(description="closed intervals, oldest first")
    coming: list[ComingOut]


class ForecastOut(BaseModel):
    """`outlook` is null while there is none: `why_not` says why. Beside one, that is a passing trouble."""

    time: float = Field(examples=[1767229300.0])
    interval_s: float = Field(examples=[3600.0])
    zone: str = Field(examples=["UTC"])
    level: float = Field(description="share meant to stay below the upper bound", examples=[0.9])
    on: int = Field(description="nodes that take work", examples=[8])
    asleep: int = Field(description="nodes that sizing drained", examples=[0])
    knobs: KnobsOut
    why_not: str = Field(examples=[""])
    outlook: OutlookOut | None
    track: list[SizedOut] = Field(description="recommended against on, oldest first")


def forecast_out(service: Service, rows: int) -> ForecastOut:
    sizing, told = service.sizing, service.sizing.outlook
    standing = sizing.standing
    outlook = None
    if told is not None:
        outlook = OutlookOut(
            at=told.at,
            next_at=told.next_at,
            fit=FitOut(**asdict(told.fit)),
            capacity=told.capacity,
            wanted=told.wanted,
            reason=told.reason,
            history=[PastOut(**row._asdict()) for row in told.history[-rows:]],
            coming=[ComingOut(**row._asdict()) for row in told.coming],
        )
    return ForecastOut(
        time=service.clock.now(),
        interval_s=sizing.grid.interval_s,
        zone=sizing.grid.zone,
        level=sizing.grid.level,
        on=len(standing.on),
        asleep=len(standing.asleep),
        knobs=KnobsOut(**asdict(sizing.knobs)),
        why_not=sizing.why_not,
        outlook=outlook,
        track=[SizedOut(**row._asdict()) for row in sizing.track],
    )


Rows = Annotated[int, Query(ge=1, le=10_000, description="closed intervals to show", examples=[168])]


@router.get("/forecast", summary="How much work comes, and how many nodes it calls for")
async def forecast(service: Serving, person: Viewer, rows: Rows = 336) -> ForecastOut:
    return forecast_out(service, rows)


@router.put("/forecast", summary="Set how the cluster is sized")
async def set_forecast(body: KnobsIn, service: Serving, person: Operator, rows: Rows = 336) -> ForecastOut:
    """Decides anew for the running interval. Without `apply`, all nodes that sizing drained wake up."""
    await service.sizing.change(body.onto(service.sizing.knobs), person.name)
    return forecast_out(service, rows)
