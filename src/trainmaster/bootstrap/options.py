"""From the configuration to what the service is told."""

from __future__ import annotations

from trainmaster.bootstrap.config import Config
from trainmaster.bootstrap.machine import LANE_BACKLOG
from trainmaster.bootstrap.weights import own_networks
from trainmaster.domain.units import parse_duration
from trainmaster.service.service import ServiceOptions


def service_options(config: Config) -> ServiceOptions:
    """Raises BadConfig, WrongWeights."""
    return ServiceOptions(
        profile=config.profile,
        profiles=config.all_profiles(),
        networks=own_networks(config.data),
        volume_roots=tuple(config.volume_roots),
        grid=config.forecast.grid(LANE_BACKLOG),
        sizing=config.forecast.knobs(),
        keep_tasks_s=parse_duration(config.keep_tasks),
        keep_events_s=parse_duration(config.keep_events),
        keep_logs_s=parse_duration(config.keep_logs),
    )
