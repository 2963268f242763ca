"""Where this process stands: what its environment says of the run, the group and the folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Context:
    """All that a worker is told from outside. Everything is empty when a script runs on its own."""

    group: str = ""  # folder with the plan file; empty: no group, train alone
    rank: int = 0  # names the member; never used twice within an attempt
    run: str = ""  # run id
    report: str = ""  # progress file
    hints: str = ""  # FIFO of the node's agent
    checkpoints: str = ""  # folder that outlives the attempt
    address: str = "127.0.0.1"  # under which the other members reach this process

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> Context:
        rank = int(env.get("TRAINMASTER_RANK", "0"))
        task, attempt = env.get("TRAINMASTER_TASK", ""), env.get("TRAINMASTER_ATTEMPT", "1")
        return cls(
            group=env.get("TRAINMASTER_GROUP", ""),
            rank=rank,
            run=f"{task}.{attempt}.{rank}" if task else "",
            report=env.get("TRAINMASTER_REPORT", ""),
            hints=env.get("TRAINMASTER_HINTS", ""),
            checkpoints=env.get("TRAINMASTER_CHECKPOINT_DIR", ""),
            address=env.get("TRAINMASTER_ADDRESS", "") or "127.0.0.1",
        )
