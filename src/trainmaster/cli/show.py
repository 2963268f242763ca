"""`trainmaster show TASK`: all about one task on one screen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from trainmaster.cli.output import AsJson, add
from trainmaster.cli.target import connect

if TYPE_CHECKING:
    from rich.table import Table

    from trainmaster.client.types import Metric, Run, Task

_CURVE = 24


def show(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="Id, or an unambiguous beginning of it.")],
    as_json: AsJson = False,
) -> None:
    """One task: state, definition, workers, and what its training code reported."""
    from trainmaster.cli.output import cell, console, print_json, state
    from trainmaster.client.build import to_json

    with connect(context) as client:
        found = client.task(task)
        runs = client.runs(found.id)
        metrics = client.metrics(found.id)
    if as_json:
        print_json({**to_json(found), "runs": to_json(runs)})
        return
    out = console()
    head = cell(found.id, "bold")
    head.append_text(cell(f"  {found.name}  "))
    head.append_text(state(found.state, found.stopping))
    out.print(head)
    if found.reason:
        out.print(cell(f"  {found.reason}", "dim"))
    out.print()
    out.print(_definition(found))
    if runs:
        out.print()
        out.print(_workers(runs))
    if metrics:
        out.print()
        out.print(_curves(metrics))


def _definition(task: Task) -> Table:
    import shlex

    from trainmaster.cli.output import facts
    from trainmaster.cli.text import exited, moment, span, standing, workers
    from trainmaster.domain.units import Resources

    now = time.time()
    each = Resources(round(task.cpus * 1000), task.memory, task.gpus).describe()
    what = shlex.join(task.command) if task.command else task.function
    rows: list[tuple[str, object]] = [("runs", what)] if what else []
    for name, value in (("image", task.image), ("directory", task.directory)):
        if value:
            rows.append((name, value))
    rows += [
        ("needs", f"{each} for each worker; workers {workers(task)}"),
        ("priority", f"{standing(task)}, of {task.user}"),
        ("submitted", f"{moment(task.submitted_at, now)}, waited {span(task.waited_s)}"),
    ]
    if task.first_started_at is not None:
        ended = f" to {moment(task.ended_at, now)}" if task.ended_at else ""
        rows.append(("ran", f"{span(task.ran_s)}, {moment(task.first_started_at, now)}{ended}"))
    if task.ended:
        rows.append(("exit code", exited(task)))
    if task.result is not None:
        rows.append(("result", repr(task.result)))
    history = [
        f"{count} {name}"
        for name, count in (
            ("failed", task.failures),
            ("lost", task.losses),
            ("interrupted", task.interruptions),
        )
        if count
    ]
    if history:
        rows.append(("attempts", f"{task.attempt}: {', '.join(history)}"))
    if task.after:
        rows.append(("after", ", ".join(task.after)))
    if task.labels:
        rows.append(("labels", ", ".join(f"{name}={value}" for name, value in task.labels.items())))
    return facts(*rows)


def _workers(runs: Sequence[Run]) -> Table:
    from trainmaster.cli.output import cell, state, table
    from trainmaster.cli.text import NOTHING, span
    from trainmaster.domain.units import format_bytes

    made = table(">attempt", ">rank", "node", "state", ">ran", ">exit", ">cpu", ">memory", "~fault")
    for run in runs:
        until = run.ended_at if run.ended_at is not None else time.time()
        add(
            made,
            cell(run.attempt),
            cell(run.rank),
            cell(run.node),
            state(run.state),
            cell(span(None if run.started_at is None else until - run.started_at)),
            cell(NOTHING if run.exit_code is None else run.exit_code),
            cell(NOTHING if run.cpu is None else f"{run.cpu:.2f}"),
            cell(NOTHING if run.memory is None else format_bytes(run.memory)),
            cell(": ".join(part for part in (run.fault, run.detail) if part)),
        )
    return made


def _curves(metrics: Sequence[Metric]) -> Table:
    from trainmaster.cli.output import cell, table
    from trainmaster.cli.text import number, sparkline

    curves: dict[str, list[float]] = {}
    for metric in metrics:
        if metric.rank == 0:
            for name, value in metric.values.items():
                curves.setdefault(name, []).append(value)
    made = table("metric", ">first", ">latest", ">least", ">most", "course")
    for name, values in curves.items():
        add(
            made,
            cell(name),
            *(cell(number(value)) for value in (values[0], values[-1], min(values), max(values))),
            cell(sparkline(values, _CURVE), "cyan"),
        )
    return made
