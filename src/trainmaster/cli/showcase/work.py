"""The tasks of the demo: small networks with one, two and three hidden layers, and one that cannot wait."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainmaster.cli.showcase.service import CORES, NODES, package_root
from trainmaster.client.fields import TaskFields

if TYPE_CHECKING:
    from trainmaster.runners.image import HostImage

PROGRAM = "trainmaster.train.examples.digits_mlp"
KINDS = (1, 2, 3)
URGENT_EPOCHS = 10


@dataclass(frozen=True, slots=True)
class Settings:
    """`each`: tasks of each kind. `step_delay`: seconds before each batch, so that there is time to watch."""

    each: int = 4
    epochs: int = 30
    step_delay: float = 0.01


@dataclass(frozen=True, slots=True)
class Job:
    """A task of the demo before it is submitted."""

    name: str
    hidden: int
    epochs: int
    fields: TaskFields


# From a job's number, its own folder and the program's arguments to what runs it.
Vehicle = Callable[[int, Path, list[str]], TaskFields]


def processes(number: int, folder: Path, arguments: list[str]) -> TaskFields:
    """With this very Python."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "command": [sys.executable, "-m", PROGRAM, *arguments],
        "directory": str(folder),
        "environment": {
            "PYTHONPATH": package_root(),
            "TRAINMASTER_CHECKPOINT_DIR": str(folder),
            "TMPDIR": str(folder),  # torch leaves a folder there
            # Two cores are shared by four nodes: threads would only get in each other's way.
            "OMP_NUM_THREADS": "1",
        },
    }


def in_containers(image: HostImage) -> Vehicle:
    """With this very Python, seen through read-only mounts of an almost empty image."""

    def vehicle(number: int, folder: Path, arguments: list[str]) -> TaskFields:
        fields = processes(number, folder, arguments)
        fields["image"] = image.name
        fields["volumes"] = [*image.volumes, f"{folder}:{folder}"]
        fields["environment"] |= dict(image.environment)
        return fields

    return vehicle


def ordinary(settings: Settings, folder: Path, vehicle: Vehicle = processes) -> list[Job]:
    """Several networks of each kind, with priorities 1 to 3 in turn."""
    jobs = []
    for number in range(1, settings.each * len(KINDS) + 1):
        hidden = KINDS[(number - 1) % len(KINDS)]
        job = _job(f"mlp-{hidden} #{number}", number, hidden, settings.epochs, settings, folder, vehicle)
        # Another order than that of submission: else priorities would change nothing.
        job.fields["priority"] = float((number * 2) % 3 + 1)
        jobs.append(job)
    return jobs


def urgent(settings: Settings, folder: Path, vehicle: Vehicle = processes) -> Job:
    """Shorter than the others, and before all of them."""
    number = settings.each * len(KINDS) + 1
    epochs = min(URGENT_EPOCHS, settings.epochs)
    job = _job(f"urgent #{number}", number, 2, epochs, settings, folder, vehicle)
    job.fields["urgency"] = "highest"
    return job


def _job(
    name: str, number: int, hidden: int, epochs: int, settings: Settings, folder: Path, vehicle: Vehicle
) -> Job:
    arguments = ["--hidden", str(hidden), "--epochs", str(epochs), "--seed", str(number)]
    arguments += ["--step-delay", f"{settings.step_delay:g}"]
    fields = vehicle(number, folder / f"task-{number}", arguments)
    fields |= {"name": name, "cpus": CORES / NODES, "grace": 10.0}
    return Job(name, hidden, epochs, fields)
