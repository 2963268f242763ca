"""The configuration: `trainmaster.toml`, then TRAINMASTER_* variables, then flags; the last word wins."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from trainmaster.domain.errors import InvalidTask, TrainmasterError, UnknownPolicy
from trainmaster.domain.units import parse_duration
from trainmaster.policies.registry import PROFILES, Profile, build


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
    profile: str = Field("default", description="policies of a new data folder")
    profiles: dict[str, ProfileConfig] = Field({}, description="further sets of policies, by name")
    auth: bool = Field(True, description="ask for tokens")
    docker: str = Field("", description="container engine; empty for DOCKER_HOST or the usual socket")
    containers: bool = Field(True, description="offer container tasks if an engine is reachable")
    volume_roots: list[str] = Field([], description="host folders that containers may mount")
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
        name = ".".join(str(part) for part in first["loc"])
        source = str(chosen) if name in kept and name in values else f"{prefix}{name}".upper()
        raise BadConfig(
            f"{source}: {name}: {first['msg']}",
            remedy="correct it, or leave it out for the default",
            field=name,
        ) from None
