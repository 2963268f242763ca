"""The environment a run is started with: a small base of the agent's own, our variables, then the task's."""

from __future__ import annotations

import os
from collections.abc import Mapping

from trainmaster.domain.ids import NodeId
from trainmaster.domain.run import RunSpec
from trainmaster.runners import life

# What a program needs to find itself at home. Everything else, secrets above all, stays with the service.
_INHERITED = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
    "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip


def base() -> dict[str, str]:
    """The part that is the same for every run of this agent."""
    values = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    values.setdefault("PATH", os.defpath)
    values.setdefault("HOME", "/")
    values.setdefault("LANG", "C.UTF-8")
    values.setdefault("TMPDIR", "/tmp")
    values["PYTHONUNBUFFERED"] = "1"  # or a live log would come in blocks of 8 KB
    return values


def home(common: Mapping[str, str]) -> str:
    """Where a run starts that names no directory."""
    return common["HOME"] if os.path.isdir(common["HOME"]) else "/"


def identity(run: RunSpec, node: NodeId, folder: str) -> dict[str, str]:
    """What a run may want to know of itself. Its reports and its output go to files in its `folder`."""
    return {
        "TRAINMASTER_TASK": run.id.task,
        "TRAINMASTER_ATTEMPT": str(run.id.attempt),
        "TRAINMASTER_RANK": str(run.id.rank),
        "TRAINMASTER_WORLD_SIZE": str(run.world_size),
        "TRAINMASTER_NODE": node,
        "TRAINMASTER_REPORT": f"{folder}/{life.PROGRESS}",
        "TRAINMASTER_OUTPUT": f"{folder}/{life.OUTPUT}",
        "CUDA_VISIBLE_DEVICES": ",".join(map(str, run.devices)),
    }


def training(group: str, hints: str, checkpoints: str) -> dict[str, str]:
    """What `trainmaster.train` needs: where its group's plan will be, whom to nudge, where to save."""
    return {
        "TRAINMASTER_GROUP": group,
        "TRAINMASTER_HINTS": hints,
        "TRAINMASTER_CHECKPOINT_DIR": checkpoints,
    }


def complete(run: RunSpec, node: NodeId, folder: str, common: Mapping[str, str]) -> dict[str, str]:
    """Everything; what the task sets itself wins."""
    return {**common, **identity(run, node, folder), **dict(run.environment)}
