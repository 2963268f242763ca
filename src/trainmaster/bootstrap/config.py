"""The configuration: `trainmaster.toml`, then TRAINMASTER_* variables, then flags; the last word wins."""

from __future__ import annotations

import difflib
import os
import tomllib
from dataclasses import fields
from datetime import date
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from trainmaster.domain.errors import InvalidTask, TrainmasterError, UnknownPolicy
from trainmaster.domain.sizing import Grid, SizingKnobs, SizingName
from trainmaster.domain.units import parse_duration
from trainmaster.policies.registry import PROFILES, Profile, build

# Names of `forecasting.models.registry`, written out so that reading a configuration does not import numpy.
ModelName = Literal[
    "auto", "mean", "stack", "ridge", "weekly_median", "theta", "smoothing", "seasonal_naive", "persistence",
    "lsp", "gru", "arima",
]  # fmt: skip
RoleName = Literal["api", "scheduler", "processor", "alarm"]


class BadConfig(TrainmasterError):
    code = "bad-config"
    status = 500


def default_data() -> Path:
    """Where a service keeps everything unless told otherwise."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(os.environ.get("TRAINMASTER_DATA") or Path(base) / "trainmaster")


class ProfileConfig(BaseModel):
    """A set of policies of one's own: `[profiles.NAME]` in the file."""

    model_config = ConfigDict(extra="forbid")

    ordering: str = "multi_queue"
    allotment: str = "fair"
    placement: str = "least_loaded"
    preemption: str = "newest_first"
    summary: str = ""


class ForecastConfig(BaseModel):
    """How the service forecasts its volume, and sizes its cluster until somebody sets it: `[forecast]`."""

    model_config = ConfigDict(extra="forbid")

    interval: str = Field("1h", description="length of an interval: whole seconds, a divisor of a day")
    zone: str = Field("UTC", description="time zone whose days and weeks count")
    holidays: list[date] = Field([], description="dates that count as Sundays")
    model: ModelName = Field("auto", description="forecasting model")
    horizon: int = Field(24, ge=1, le=1000, description="intervals to forecast")
    level: float = Field(0.9, gt=0.5, lt=1, description="share meant to stay below the upper bound")
    boot: str = Field("0s", description="from waking a node until it works")
    apply: bool = Field(False, description="drain and wake nodes by the recommendation; else only show it")
    policy: SizingName = Field("conformal", description="sizing policy: static, reactive, lsp or conformal")
    miss_cost: float = Field(
        4.0, gt=0, le=1e6, description="conformal: cost of a node-hour of late work, in idle node-hours"
    )
    margin: float = Field(
        0.05, ge=0, le=100, description="reactive: added to the latest demand, a share of it"
    )
    nodes: int = Field(1, ge=0, description="static: how many nodes")
    target_utilisation: float = Field(0.9, gt=0, le=1, description="share of a node's time meant to be used")
    min_nodes: int = Field(1, ge=0, description="nodes kept on")
    max_nodes: int | None = Field(None, ge=0, description="nodes that may be on; all if left out")
    hold: int = Field(2, ge=1, le=1000, description="decisions that must want fewer before a node is drained")

    @field_validator("interval", "boot")
    @classmethod
    def _duration(cls, value: str, about: ValidationInfo) -> str:
        try:
            seconds = parse_duration(value)
        except InvalidTask as error:
            raise ValueError(f"{value!r} is not a duration; {error.remedy}") from None
        if about.field_name == "interval" and (seconds < 1 or seconds % 1 or 86400 % seconds):
            raise ValueError(f"{value!r} is not a divisor of a day in whole seconds; write it like 1h or 5m")
        return value

    @field_validator("zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{value!r} is no time zone; write it like Europe/Berlin") from None
        return value

    def grid(self, lane_depth: int) -> Grid:
        return Grid(
            interval_s=parse_duration(self.interval),
            zone=self.zone,
            holidays=frozenset(self.holidays),
            model=self.model,
            horizon=self.horizon,
            level=self.level,
            boot_s=parse_duration(self.boot),
            lane_depth=lane_depth,
        )

    def knobs(self) -> SizingKnobs:
        return SizingKnobs(**{field.name: getattr(self, field.name) for field in fields(SizingKnobs)})


class Config(BaseSettings):
    """All there is to set. Every field is also a variable, e.g. TRAINMASTER_PORT."""

    model_config = SettingsConfigDict(env_prefix="TRAINMASTER_", extra="forbid")

    data: Path = Field(default_factory=default_data, description="folder for database, logs and run folders")
    database: str = Field("", description="database URL; empty for SQLite in the data folder")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(7070, ge=0, le=65535, description="port to listen on; 0 for any free one")
    nodes: int = Field(1, ge=1, le=64, description="logical nodes to divide this machine into")
    shares: list[float] = Field(
        [], description="relative sizes of the logical nodes; equal if left out", examples=[[4, 2, 1, 1]]
    )
    cores: float = Field(0, ge=0, description="cores to offer; 0 for all of the machine")
    memory_share: float = Field(0.9, gt=0, le=1, description="part of the machine's memory to offer")
    lanes: int = Field(2, ge=0, le=64, description="warm lanes per node for function tasks")
    roles: list[RoleName] = Field(
        ["api", "scheduler", "processor", "alarm"],
        min_length=1,
        description="what this process does; all but one need a database server",
    )
    profile: str = Field("default", description="policies of a new data folder")
    profiles: dict[str, ProfileConfig] = Field({}, description="further sets of policies, by name")
    forecast: ForecastConfig = Field(
        default_factory=lambda: ForecastConfig.model_validate({}),
        description="forecast of the service's volume, and sizing by it",
    )
    auth: bool = Field(True, description="ask for tokens")
    docker: str = Field("", description="container engine; empty for DOCKER_HOST or the usual socket")
    containers: bool = Field(True, description="offer container tasks if an engine is reachable")
    volume_roots: list[str] = Field([], description="host folders that containers may mount")
    alarm_networks: list[str] = Field(
        [], description="private networks that alarm channels may lead to", examples=[["10.0.0.0/8"]]
    )
    keep_tasks: str = Field("30d", description="ended tasks are deleted after this")
    keep_events: str = Field("90d", description="history is deleted after this")
    keep_logs: str = Field("30d", description="logs are deleted after this")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="what to log")

    @field_validator("keep_tasks", "keep_events", "keep_logs")
    @classmethod
    def _duration(cls, value: str) -> str:
        try:
            parse_duration(value)
        except InvalidTask as error:
            raise ValueError(f"{value!r} is not a duration; {error.remedy}") from None
        return value

    @field_validator("alarm_networks")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for text in value:
            try:
                ip_network(text)
            except ValueError:
                raise ValueError(f"{text!r} is not a network; write it like 10.0.0.0/8") from None
        return value

    @field_validator("data")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("profiles")
    @classmethod
    def _known_policies(cls, value: dict[str, ProfileConfig]) -> dict[str, ProfileConfig]:
        for name, profile in value.items():
            try:
                build(Profile(name, **profile.model_dump()))
            except UnknownPolicy as error:
                raise ValueError(f"{name}: {error.message}; {error.remedy}") from None
        return value

    def all_profiles(self) -> dict[str, Profile]:
        """Those that come with the product, and the configured ones, which win."""
        own = {name: Profile(name, **profile.model_dump()) for name, profile in self.profiles.items()}
        return {**PROFILES, **own}

    @model_validator(mode="after")
    def _alone(self) -> Config:
        if not self.replicated and set(self.roles) != set(get_args(RoleName)):
            raise ValueError(
                "roles: SQLite is for one process that has all of them; name a server with database"
            )
        return self

    @property
    def replicated(self) -> bool:
        """Several processes may share the database."""
        return not self.database_url.startswith("sqlite")

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.data / 'trainmaster.db'}"


def load_config(file: Path | None = None, **flags: Any) -> Config:
    """Read the configuration. `file`: default `trainmaster.toml` here or in the data folder, if there is one.

    Raises BadConfig naming the file, the field and the remedy.
    """
    chosen = file or next(
        (p for p in (Path("trainmaster.toml"), default_data() / "trainmaster.toml") if p.is_file()), None
    )
    values: dict[str, Any] = {}
    if chosen is not None:
        try:
            values = tomllib.loads(chosen.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadConfig(
                f"{chosen} is not valid TOML: {error}", remedy="mend the file, or name another with --config"
            ) from None
        except OSError as error:
            raise BadConfig(
                f"{chosen} cannot be read: {error.strerror}", remedy="check the path and its permissions"
            ) from None
        for name in values:
            if name not in Config.model_fields:
                near = difflib.get_close_matches(name, Config.model_fields, n=1)
                hint = (
                    f"did you mean {near[0]!r}?" if near else "see docs/configuration.md for the known ones"
                )
                raise BadConfig(f"{chosen}: there is no setting {name!r}", remedy=hint, field=name)
    # Variables beat the file, flags beat both: only what no variable sets is taken from the file.
    prefix = str(Config.model_config["env_prefix"])
    kept = {name: value for name, value in values.items() if (prefix + name).upper() not in os.environ}
    kept.update({name: value for name, value in flags.items() if value is not None})
    try:
        return Config(**kept)
    except ValidationError as error:
        first = error.errors()[0]
        name, top = ".".join(str(part) for part in first["loc"]), str(first["loc"][0])
        source = str(chosen) if top in kept and top in values else f"{prefix}{top}".upper()
        raise BadConfig(
            f"{source}: {name}: {first['msg']}",
            remedy="correct it, or leave it out for the default",
            field=name,
        ) from None
