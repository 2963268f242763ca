"""The front door: a graph and processors in, a plan with its bound out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from trainmaster.dagsched.bounds import machine_bounds
from trainmaster.dagsched.errors import OptionError
from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.machine import machine_for
from trainmaster.dagsched.plan import Plan, Ports
from trainmaster.dagsched.problem import Problem
from trainmaster.dagsched.registry import run


def schedule(
    graph: TaskGraph,
    processors: int | Sequence[float] | npt.NDArray[Any] = 8,
    algorithm: str = "auto",
    *,
    ports: Ports = "multi",
    seed: int = 0,
    **options: Any,
) -> Plan:
    """Plan ``graph`` on ``processors`` by ``algorithm``.

    ``processors``: a number of identical ones, p speeds, or an (n, p) array of task times. ``ports``:
    "multi" (data leave at once to everybody) or "single" (one transfer out and one in at a time).
    ``options``: see the function of the algorithm. The same arguments give the same plan. Raises
    ``RequestError`` kinds: ``ProcessorsError``, ``UnknownAlgorithmError``, ``OptionError``,
    ``MissingExtraError``.
    """
    if ports not in ("multi", "single"):
        raise OptionError("ports", ports, "must be 'multi' or 'single'")
    machine = machine_for(graph, processors)
    problem = Problem(graph, machine, ports, int(seed))
    draft = run(algorithm, problem, options)
    bound = draft.report.pop("lower_bound", None)
    if bound is None:
        bound = machine_bounds(graph, machine).best
    return Plan(
        graph=graph,
        machine=machine,
        placements=draft.placements(problem),
        algorithm=algorithm,
        lower_bound=min(bound, draft.makespan),
        ports=ports,
        transfers=draft.transfers,
        report=draft.report,
    )
