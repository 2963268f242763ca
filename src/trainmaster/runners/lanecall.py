"""What the agent tells a lane: how it is to live, and the line for each call."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from trainmaster.domain.ids import NodeId
from trainmaster.domain.run import RunSpec
from trainmaster.runners import environment

_encoder = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def encode(message: Mapping[str, Any]) -> bytes:
    """One line of an inbox."""
    return _encoder(message).encode() + b"\n"


def plan(common: Mapping[str, str], hints: str, cpus: Sequence[int] | None) -> dict[str, Any]:
    """What the shims of all lanes of a node are told. Functions may import what this process can."""
    return {
        "env": dict(common),
        "sys_path": [os.path.abspath(path) for path in sys.path if path],
        "cwd": environment.home(common),
        "cpus": list(cpus) if cpus is not None else None,
        "memory": 0,
        "grace_s": 0.0,
        "lease_s": None,
        "hints": hints,
    }


def line(run: RunSpec, node: NodeId) -> bytes:
    """The call of a function run."""
    task, attempt, rank = run.id
    variables = {
        "TRAINMASTER_TASK": task,
        "TRAINMASTER_ATTEMPT": str(attempt),
        "TRAINMASTER_RANK": str(rank),
        "TRAINMASTER_WORLD_SIZE": str(run.world_size),
        "TRAINMASTER_NODE": node,
        "CUDA_VISIBLE_DEVICES": ",".join(map(str, run.devices)),
    }
    if run.environment:
        variables.update(run.environment)
    call: dict[str, Any] = {
        "run": str(run.id),
        "fn": run.function,
        "args": run.arguments,
        "dir": run.directory,
        "env": variables,
    }
    if run.not_before:
        call["at"] = run.not_before
        call["first"] = run.priority
    return _encoder(call).encode() + b"\n"
