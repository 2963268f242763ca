"""``trainmaster plan``: static plans for task graphs. Libraries are imported inside the commands, so that the
command line starts fast."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from trainmaster.dagsched import Plan, TaskGraph

app = typer.Typer(help="Static plans for task graphs.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="A task graph, in any format that is read.", show_default=False)]
Processors = Annotated[int, typer.Option("--processors", "-p", help="Number of identical processors.")]
Ports = Annotated[str, typer.Option(help="multi: data leave at once; single: one transfer at a time.")]
Seed = Annotated[int, typer.Option(help="Seed of searches and of the generator.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Format = Annotated[str | None, typer.Option(help="Format of the file, if it cannot be told from it.")]


def _stop(message: str) -> NoReturn:
    sys.stderr.write(f"trainmaster: {message}\n")
    raise typer.Exit(2)


def _read(path: Path, format: str | None) -> TaskGraph:
    from trainmaster.dagsched import read_graph
    from trainmaster.dagsched.errors import DagschedError

    try:
        return read_graph(path, format)
    except OSError as error:
        _stop(f"{path}: {error.strerror}")
    except DagschedError as error:
        _stop(f"{path}: {error}")


def _schedule(graph: TaskGraph, processors: int, algorithm: str, ports: str, seed: int) -> Plan:
    from trainmaster.dagsched import schedule
    from trainmaster.dagsched.errors import DagschedError

    try:
        return schedule(graph, processors, algorithm, ports=ports, seed=seed)  # type: ignore[arg-type]
    except DagschedError as error:
        _stop(str(error))


def _facts(path: Path, plan: Plan) -> dict[str, Any]:
    return {
        "file": str(path),
        "tasks": plan.graph.n,
        "edges": plan.graph.m,
        "processors": plan.processors,
        "ports": plan.ports,
        "algorithm": plan.algorithm,
        "makespan": plan.makespan,
        "lower_bound": plan.lower_bound,
        "gap": plan.gap,
        "copies": plan.copies,
        "inflation": plan.inflation,
        "width_per_processor": plan.graph.width / plan.processors,
        "report": plan.report,
    }


@app.command()
def run(
    file: File,
    processors: Processors = 8,
    algorithm: Annotated[str, typer.Option("--algorithm", "-a", help="An algorithm, or auto.")] = "auto",
    ports: Ports = "multi",
    seed: Seed = 0,
    gantt: Annotated[Path | None, typer.Option(help="Write a picture: .svg, or .html to zoom.")] = None,
    format: Format = None,
    as_json: Json = False,
) -> None:
    """Plan a task graph and check the plan."""
    plan = _schedule(_read(file, format), processors, algorithm, ports, seed)
    plan.validate()
    if gantt is not None:
        from trainmaster.dagsched import gantt_html, gantt_svg

        draw = gantt_html if gantt.suffix in (".html", ".htm") else gantt_svg
        try:
            gantt.write_text(draw(plan), encoding="utf-8")
        except OSError as error:
            _stop(f"{gantt}: {error.strerror}")
    facts = _facts(file, plan)
    if as_json:
        columns = ("task", "processor", "start", "finish")
        rows = [dict(zip(columns, row, strict=True)) for row in plan.placements.tolist()]
        print(json.dumps({**facts, "placements": rows}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None)
    table.add_row("tasks, edges", f"{plan.graph.n:,}, {plan.graph.m:,}")
    table.add_row("makespan", f"{plan.makespan:,.6g}")
    table.add_row("lower bound", f"{plan.lower_bound:,.6g}")
    table.add_row("at most above the best", f"{plan.gap:.2%}")
    table.add_row("copies", f"{plan.copies:,} ({plan.inflation - 1:.1%} more work)")
    if "winner" in plan.report:
        table.add_row("won by", f"{plan.report['winner']} ({plan.report['stopped']})")
    if gantt is not None:
        table.add_row("picture", str(gantt))
    Console().print(table)


@app.command()
def compare(
    files: Annotated[list[Path], typer.Argument(help="Task graphs.", show_default=False)],
    algorithms: Annotated[
        str, typer.Option(help="Names, separated by commas.")
    ] = "serial,heft,etf,tdpatd,auto",
    processors: Processors = 8,
    ports: Ports = "multi",
    seed: Seed = 0,
    format: Format = None,
    as_json: Json = False,
) -> None:
    """Plan each graph by several algorithms."""
    rows = []
    for file in files:
        graph = _read(file, format)
        for name in algorithms.split(","):
            plan = _schedule(graph, processors, name.strip(), ports, seed)
            plan.validate()
            rows.append(_facts(file, plan))
    if as_json:
        print(json.dumps(rows))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("file", "algorithm", "makespan", "gap", "copies")
    for index, row in enumerate(rows):
        first = index == 0 or rows[index - 1]["file"] != row["file"]
        table.add_row(
            Path(row["file"]).name if first else "",
            row["algorithm"],
            f"{row['makespan']:,.6g}",
            f"{row['gap']:.2%}",
            str(row["copies"]),
        )
    Console().print(table)


@app.command()
def generate(
    tasks: Annotated[int, typer.Option(help="Number of tasks.")] = 1000,
    height: Annotated[int | None, typer.Option(help="Number of levels.")] = None,
    width: Annotated[float | None, typer.Option(help="Mean tasks in a level, instead of a height.")] = None,
    ccr: Annotated[float, typer.Option(help="Mean edge cost over mean task time.")] = 1.0,
    out_degree: Annotated[float, typer.Option(help="Mean out-degree.")] = 3.0,
    cdr: Annotated[float, typer.Option(help="Half the range of weights relative to their mean.")] = 0.5,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; else standard output.")
    ] = None,
) -> None:
    """Make a random layered graph (the TDPATD paper's four steps)."""
    from trainmaster.dagsched import generate as make
    from trainmaster.dagsched import write_graph
    from trainmaster.dagsched.errors import DagschedError
    from trainmaster.dagsched.io.native import dumps

    try:
        graph = make(tasks, height, ccr, out_degree, cdr, seed, width=width)
        if out is None:
            print(dumps(graph))
        else:
            write_graph(graph, out)
    except DagschedError as error:
        _stop(str(error))
    except OSError as error:
        _stop(f"{out}: {error.strerror}")


@app.command()
def bounds(file: File, processors: Processors = 8, format: Format = None, as_json: Json = False) -> None:
    """Lower bounds on the makespan of any plan."""
    from dataclasses import asdict

    from trainmaster.dagsched import lower_bounds
    from trainmaster.dagsched.errors import DagschedError

    graph = _read(file, format)
    try:
        found = lower_bounds(graph, processors)
    except DagschedError as error:
        _stop(str(error))
    facts = {**asdict(found), "best": found.best}
    if as_json:
        print(json.dumps({"file": str(file), "processors": processors, **facts}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("bound", "time")
    for name, value in facts.items():
        table.add_row(name, f"{value:,.6g}")
    Console().print(table)
