"""The demo's training in a container that has nothing but read-only mounts of this machine's interpreter."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.docker_engine import DockerEngine
from tests.integration.container_node import ContainerNode, run_id, until
from trainmaster.domain.run import Exit, Fault, RunSpec, Stream
from trainmaster.domain.units import Resources
from trainmaster.runners.image import ensure_host_image

pytestmark = pytest.mark.needs("docker")


async def test_training_runs_reports_and_resumes_in_the_host_image(
    tmp_path: Path, docker_engine: DockerEngine
) -> None:
    pytest.importorskip("torch")
    image = await ensure_host_image(docker_engine.url)
    assert await ensure_host_image(docker_engine.url) == image
    saved = tmp_path / "checkpoints"
    saved.mkdir()
    node = ContainerNode(tmp_path / "node", docker_engine.url, allowed_roots=[*image.roots, str(saved)])

    def training(name: str, *words: str) -> RunSpec:
        return RunSpec(
            run_id(name),
            "container",
            (sys.executable, "-m", "trainmaster.train.examples.digits_mlp", "--epochs", "2", *words),
            image=image.name,
            volumes=(*image.volumes, f"{saved}:/checkpoints"),
            environment=(*image.environment, ("TRAINMASTER_CHECKPOINT_DIR", "/checkpoints")),
            resources=Resources(cpu_m=1000, memory=2**30),
        )

    try:
        first = training("a", "--step-delay", "0.02")
        await node.runner.launch(first)
        await node.running(first)
        await until(lambda: b"epoch 1/2" in node.log(first), "the first epoch", within_s=60)
        await node.runner.stop(first.id, 30.0)
        assert (await node.end(first)).exit == Exit(143, Fault.STOPPED)
        second = training("b")
        await node.runner.launch(second)
        report = await node.end(second, within_s=60)
        assert report.exit == Exit(0), node.log(second, Stream.STDERR)
        assert b"resumed after epoch 1" in node.log(second)
        (told,) = map(json.loads, node.log(second, Stream.PROGRESS).splitlines())
        assert told["epoch"] == 2 and told["accuracy"] > 0.5
    finally:
        await node.runner.close(leave_running=False)
        docker_engine.docker("rm", "--force", *docker_engine.containers())
