"""Putting an agent for this machine together from its runners."""

from __future__ import annotations

import secrets
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
) -> Agent:
    """An agent for `node` on this machine, not started yet.

    `data` is the data folder (absolute); the node's own is `<data>/nodes/<id>`. `cpus` are the cores its runs
    may use, `lanes` the number of warm processes for functions. `more` makes further runners by kind from the
    node's folder and the callback for reports.
    """
    folder = f"{data}/nodes/{node.id}"
    board = Board(secrets.token_hex(8))
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
    agent = Agent(node, folder, board, runners, (warm,), monitor, devices=devices)
    warm.hints.listen("group", agent.wrote)
    return agent
