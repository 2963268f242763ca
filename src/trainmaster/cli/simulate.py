"""`trainmaster simulate`: a workload under a set of policies, in virtual time."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from trainmaster.domain.cluster import Node
    from trainmaster.simulator.trace import Trace

_FAULTS = "Faults"


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
    clusters: Annotated[int, typer.Option(min=1, help="Clusters the nodes are spread over.")] = 1,
    paces: Annotated[str, typer.Option(help="Speeds of the nodes, in turn.", metavar="PACE[,PACE…]")] = "1",
    jobs: Annotated[int | None, typer.Option(min=1, help="Only the first so many tasks.")] = None,
    every: Annotated[float, typer.Option(help="Synthetic: seconds between tasks, in the mean.")] = 10.0,
    workers: Annotated[str, typer.Option(help="Synthetic: workers of a task.", metavar="MIN..MAX")] = "1",
    serial: Annotated[
        float, typer.Option(help="Synthetic: the share of the work that more workers do not speed up.")
    ] = 0.05,
    across: Annotated[
        float, typer.Option(help="Synthetic: speed of a task spread over clusters, of that within one.")
    ] = 1.0,
    restart: Annotated[float, typer.Option(help="Seconds until a task trains again after a restart.")] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same run.")] = 0,
    lost_every: Annotated[
        float,
        typer.Option(help="Mean seconds between two losses of a node; 0: never.", rich_help_panel=_FAULTS),
    ] = 0.0,
    back_after: Annotated[
        float, typer.Option(help="Mean seconds until it is back.", rich_help_panel=_FAULTS)
    ] = 600.0,
    slow_every: Annotated[
        float, typer.Option(help="Mean seconds between two slow spells of a node.", rich_help_panel=_FAULTS)
    ] = 0.0,
    slow_for: Annotated[float, typer.Option(help="Mean seconds they last.", rich_help_panel=_FAULTS)] = 600.0,
    pace: Annotated[float, typer.Option(help="Speed in one.", rich_help_panel=_FAULTS)] = 0.5,
    checkpoint: Annotated[
        float,
        typer.Option(
            help="Seconds between checkpoints, what a loss may cost; 0: nothing.", rich_help_panel=_FAULTS
        ),
    ] = 0.0,
    gantt: Annotated[
        Path | None, typer.Option(help="Draw the run into this file: .svg, or .html with the figures.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run a workload through the scheduler in virtual time and say how long tasks waited and took."""
    # The scheduler and numpy load only here: the command line must start fast.
    import json

    from trainmaster.domain.cluster import Node
    from trainmaster.domain.ids import NodeId
    from trainmaster.domain.units import Resources
    from trainmaster.policies.registry import Profile, build
    from trainmaster.simulator.errors import BadSetting
    from trainmaster.simulator.faults import Faults
    from trainmaster.simulator.loop import Scenario, Simulation
    from trainmaster.simulator.report import Report
    from trainmaster.simulator.trace import Trace
    from trainmaster.simulator.workload.philly import philly
    from trainmaster.simulator.workload.synthetic import Elastic, Lengths, synthetic
    from trainmaster.simulator.world import Costs

    if gantt is not None and gantt.suffix not in (".svg", ".html"):
        raise BadSetting("gantt", str(gantt), "a file that ends in .svg or .html")
    policies = build(Profile("simulated", ordering, allotment, placement, preemption))
    cluster = [
        Node(
            NodeId(f"n{i:04d}"),
            Resources(gpus=gpus),
            (("cluster", f"c{i % clusters}"),) if clusters > 1 else (),
        )
        for i in range(nodes)
    ]
    speeds = _numbers(paces)
    reports: float | None = None
    if workload is None:
        least, most = _bounds(workers)
        elastic = Elastic(least, most, serial=serial, across=across) if most > 1 else None
        reports = 60.0 if elastic else None
        arrivals = synthetic(jobs or 1000, every, Lengths(), seed, elastic=elastic)
    else:
        arrivals = itertools.islice(philly(workload, gpus), jobs)
    scenario = Scenario(
        cluster,
        policies,
        arrivals,
        Costs(restart_s=restart, regroup_s=min(restart, 0.3), checkpoint_s=checkpoint, report_s=reports),
        Faults(lost_every, back_after, slow_every, slow_for, pace).over(cluster, seed),
        {node.id: speeds[i % len(speeds)] for i, node in enumerate(cluster)} if set(speeds) != {1.0} else {},
        seed=seed,
    )
    simulation = Simulation(scenario, Trace() if gantt is not None else Report())
    report = simulation.run()
    if gantt is not None and isinstance(report, Trace):
        _draw(report, cluster, gantt, simulation.now)
    told = report.to_dict()
    if json_:
        typer.echo(json.dumps(told, indent=2))
    else:
        _tell(told)


def _tell(told: dict[str, Any]) -> None:
    from trainmaster.domain.units import format_duration

    ended = ", ".join(f"{count} {state.lower()}" for state, count in told["ended"].items())
    typer.echo(f"{told['submitted']} tasks: {ended or 'none ended'}")
    for code, count in told["refused"].items():
        typer.echo(f"{count} refused: {code}")
    for name, key in (("to the end", "jct_s"), ("waited", "wait_s")):
        times = told[key]
        shown = ", ".join(f"{what} {format_duration(times[what])}" for what in ("mean", "p50", "p99"))
        typer.echo(f"{name}: {shown}")
    typer.echo(f"all done after {format_duration(told['makespan_s'])}; fairness {told['fairness']:.3f}")
    typer.echo(
        f"{told['node_hours']:.4g} node-hours, {told['busy_node_hours']:.4g} of them with work; "
        f"utilisation {told['utilisation']:.0%}; {told['energy_kwh']:.4g} kWh; "
        f"{told['restarts']} restarts, {told['regroups']} regroupings"
    )


def _draw(trace: Trace, cluster: list[Node], path: Path, now: float) -> None:
    from trainmaster.simulator.gantt import gantt_html, gantt_svg

    trace.finish(now)
    page = path.suffix == ".html"
    path.write_text(
        gantt_html(trace, cluster, "A simulated run") if page else gantt_svg(trace, cluster), encoding="utf-8"
    )


def _bounds(text: str) -> tuple[int, int]:
    from trainmaster.simulator.errors import BadSetting

    low, _, high = text.partition("..")
    try:
        return int(low), int(high or low)
    except ValueError:
        raise BadSetting("workers", text, "like 1..8") from None


def _numbers(text: str) -> list[float]:
    from trainmaster.simulator.errors import BadSetting

    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise BadSetting("paces", text, "numbers with commas between them") from None
