"""`trainmaster simulate`: a workload under a set of policies, in virtual time."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import typer


def simulate(
    workload: Annotated[
        Path | None,
        typer.Argument(help="A Philly CSV (timestamp,duration,num_gpus,cluster); none: synthetic."),
    ] = None,
    ordering: Annotated[str, typer.Option(help="Ordering policy.")] = "backfill",
    allotment: Annotated[str, typer.Option(help="Allotment policy.")] = "fixed",
    placement: Annotated[str, typer.Option(help="Placement policy.")] = "binpack",
    preemption: Annotated[str, typer.Option(help="Preemption policy.")] = "none",
    nodes: Annotated[int, typer.Option(min=1, help="Nodes.")] = 16,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs of each node.")] = 8,
    jobs: Annotated[int | None, typer.Option(min=1, help="Only the first so many tasks.")] = None,
    every: Annotated[float, typer.Option(help="Synthetic: seconds between tasks, in the mean.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Synthetic: the same seed gives the same run.")] = 0,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run a workload of rigid tasks through the scheduler in virtual time and say how long tasks waited."""
    # The scheduler and numpy load only here: the command line must start fast.
    import json

    from trainmaster.domain.cluster import Node
    from trainmaster.domain.ids import NodeId
    from trainmaster.domain.units import Resources, format_duration
    from trainmaster.policies.registry import Profile, build
    from trainmaster.simulator.loop import Scenario, Simulation
    from trainmaster.simulator.workload.philly import philly
    from trainmaster.simulator.workload.synthetic import Lengths, synthetic

    policies = build(Profile("simulated", ordering, allotment, placement, preemption))
    cluster = [Node(NodeId(f"n{i:04d}"), Resources(gpus=gpus)) for i in range(nodes)]
    if workload is None:
        arrivals = synthetic(jobs or 1000, every, Lengths(), seed)
    else:
        arrivals = itertools.islice(philly(workload, gpus), jobs)
    report = Simulation(Scenario(cluster, policies, arrivals, seed=seed)).run().to_dict()
    if json_:
        typer.echo(json.dumps(report, indent=2))
        return
    ended = ", ".join(f"{count} {state.lower()}" for state, count in report["ended"].items())
    typer.echo(f"{report['submitted']} tasks: {ended or 'none ended'}")
    for code, count in report["refused"].items():
        typer.echo(f"{count} refused: {code}")
    for name, key in (("to the end", "jct_s"), ("waited", "wait_s")):
        times = report[key]
        shown = ", ".join(f"{what} {format_duration(times[what])}" for what in ("mean", "p50", "p99"))
        typer.echo(f"{name}: {shown}")
    typer.echo(f"all done after {format_duration(report['makespan_s'])}; fairness {report['fairness']:.3f}")
