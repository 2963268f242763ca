"""The agents of this machine's logical nodes, with their runners and monitors."""

from __future__ import annotations

from collections.abc import Callable

from trainmaster.agent.agent import Agent
from trainmaster.agent.build import build_agent
from trainmaster.agent.gpu import Gpus
from trainmaster.agent.monitor import Monitor
from trainmaster.bootstrap.config import Config
from trainmaster.bootstrap.machine import Slice, divide
from trainmaster.domain.run import RunReport
from trainmaster.ports import Runner
from trainmaster.runners.container import ContainerRunner
from trainmaster.runners.container_engine import ContainerEngine


async def make_agents(config: Config) -> list[Agent]:
    """One agent per logical node, not started yet. Container tasks are offered if an engine answers now."""
    containers = config.containers and await _engine_answers(config.docker)
    return [_agent(config, part, containers) for part in divide(config, len(Gpus()), containers)]


def _agent(config: Config, part: Slice, containers: bool) -> Agent:
    def container_runner(folder: str, on_report: Callable[[RunReport], None]) -> Runner:
        return ContainerRunner(
            folder,
            part.node.id,
            on_report,
            checkpoints=f"{config.data}/checkpoints",
            allowed_roots=config.volume_roots,
            cpus=part.cpus,
            url=config.docker,
        )

    return build_agent(
        part.node,
        str(config.data),
        cpus=part.cpus,
        lanes=config.lanes,
        devices=part.devices,
        monitor=Monitor(part.node, part.cpus, part.share, folder=str(config.data), devices=part.devices),
        more={"container": container_runner} if containers else None,
    )


async def _engine_answers(url: str) -> bool:
    engine = ContainerEngine(url)
    try:
        return await engine.answers()
    finally:
        await engine.close()
