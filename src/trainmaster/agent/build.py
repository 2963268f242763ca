"""Putting an agent for this machine together from its runners."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence

from trainmaster.agent.agent import Agent, Monitor
from trainmaster.agent.board import Board
from trainmaster.domain.cluster import Node
from trainmaster.domain.run import RunReport
from trainmaster.ports import Runner
from trainmaster.runners.function import FunctionRunner
from trainmaster.runners.process import ProcessRunner
from trainmaster.runners.warm import Warm


def build_agent(
    node: Node,
    data: str,
    *,
    cpus: Sequence[int] | None = None,
    lanes: int = 1,
    monitor: Monitor | None = None,
    devices: Sequence[int] = (),
    more: Mapping[str, Callable[[str, Callable[[RunReport], None]], Runner]] | None = None,
    through: Callable[[RunReport], RunReport] | None = None,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> Agent:
    """An agent for `node` on this machine, not started yet.

    `data` is the data folder (absolute); the node's own is `<data>/nodes/<id>`. `cpus` are the cores its runs
    may use, `lanes` the number of warm processes for functions. `more` makes further runners by kind from the
    node's folder and the callback for reports. `through` is handed every report first and returns what is to
    be told; `clock` and `monotonic` are the time the agent lives in.
    """
    folder = f"{data}/nodes/{node.id}"
    board = Board(secrets.token_hex(8), through)
    warm = Warm(data, folder)
    runners: dict[str, Runner] = {
        "process": ProcessRunner(
            folder,
            node.id,
            warm.server,
            warm.hints,
            board.report,
            cpus,
            f"{data}/checkpoints",
            warm.interpreters,
        ),
        "function": FunctionRunner(folder, node.id, warm.server, warm.hints, board.report, cpus, lanes),
    }
    for kind, make in (more or {}).items():
        runners[kind] = make(folder, board.report)
    agent = Agent(
        node, folder, board, runners, (warm,), monitor, devices=devices, clock=clock, monotonic=monotonic
    )
    warm.hints.listen("group", agent.wrote)
    return agent
