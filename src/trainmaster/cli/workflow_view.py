"""How workflows, their runs and stages are shown in a terminal."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from trainmaster.cli.output import add

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from trainmaster.client.workflow_types import PlanReport, Stage, Workflow, WorkflowRun

SHOWN = 200  # stages on a screen
_STATES = {
    "WAITING": ("·", "dim"),
    "READY": ("◌", "yellow"),
    "RUNNING": ("●", "cyan"),
    "SUCCEEDED": ("✔", "green"),
    "FAILED": ("✘", "bold red"),
    "SKIPPED": ("↷", "dim"),
    "CANCELLED": ("■", "dim"),
}


def layers(after: dict[str, list[str]]) -> dict[str, int]:
    """Of each stage the number of stages on the longest way to it."""
    found: dict[str, int] = {}
    behind: dict[str, list[str]] = {}
    missing = {name: len(set(needs)) for name, needs in after.items()}
    for name, needs in after.items():
        for need in set(needs):
            behind.setdefault(need, []).append(name)
    ready = [name for name, count in missing.items() if not count]
    for name in ready:
        found[name] = max((found[need] + 1 for need in after[name]), default=0)
        for later in behind.get(name, ()):
            missing[later] -= 1
            if not missing[later]:
                ready.append(later)
    return found


def sign(state: str) -> Text:
    from trainmaster.cli.output import cell

    return cell(*_STATES.get(state, ("?", "")))


def headline(run: WorkflowRun) -> Text:
    from trainmaster.cli.output import cell, state
    from trainmaster.cli.text import span

    line = cell(run.id, "bold")
    line.append_text(cell(f"  {run.workflow} version {run.version}  "))
    line.append_text(state(run.state, run.stopping))
    told = ", ".join(f"{count} {name.lower()}" for name, count in run.counts.items())
    line.append_text(cell(f"  {span(run.ran_s)}; {told}"))
    if run.reason:
        line.append_text(cell(f"\n  {run.reason}", "dim"))
    return line


def run_facts(run: WorkflowRun) -> Table:
    from trainmaster.cli.output import facts
    from trainmaster.cli.text import moment, span

    rows: list[tuple[str, object]] = [("started", f"{moment(run.created_at, time.time())} by {run.owner}")]
    if run.parameters:
        rows.append(("parameters", json.dumps(run.parameters)[:1000]))
    if run.parent is not None:
        rows.append(("part of", f"{run.parent.run}, stage {run.parent.stage}"))
    if run.round:
        rows.append(("resumed", f"{run.round} times"))
    if run.parts is not None:
        rows.append(("tasks", f"{run.parts_ended} of {run.parts} known so far have ended"))
    if run.forecast_s is not None:
        rows.append(("planned", f"{span(run.forecast_s)} in all"))
    if run.outputs:
        rows.append(("outputs", json.dumps(run.outputs)[:1000]))
    return facts(*rows)


def print_definition(workflow: Workflow) -> None:
    from trainmaster.cli.output import cell, console, table

    out = console()
    out.print(cell(f"{workflow.name}  version {workflow.version}", "bold"))
    if workflow.description:
        out.print(cell(workflow.description))
    for parameter in workflow.parameters:
        default = "must be given" if parameter.required else f"default {json.dumps(parameter.default)}"
        out.print(cell(f"  {parameter.name}: {parameter.type}, {default}", "dim"))
    made = table("stage", "kind", "~what", "~after", "when")
    for stage in workflow.stages[:SHOWN]:
        add(
            made,
            cell(stage.name, "bold"),
            cell(stage.kind),
            cell(stage.what),
            cell(", ".join(stage.after)),
            cell(stage.when if stage.after else ""),
        )
    out.print(made)


def workflow_table(found: list[Workflow]) -> Table:
    from trainmaster.cli.output import cell, table
    from trainmaster.cli.text import moment

    now = time.time()
    made = table("workflow", ">version", ">stages", "kept", "by", "~description")
    for one in found:
        kept = moment(one.created_at, now)
        cells = (one.version, one.stage_count, kept, one.owner, one.description)
        add(made, cell(one.name, "bold"), *map(cell, cells))
    return made


def run_table(found: list[WorkflowRun]) -> Table:
    from trainmaster.cli.output import cell, state, table
    from trainmaster.cli.text import moment, span

    now = time.time()
    made = table("run", "workflow", ">version", "state", "started", ">took", "~reason")
    for run in found:
        add(
            made,
            cell(run.id, "bold"),
            cell(run.workflow),
            cell(run.version),
            state(run.state, run.stopping),
            cell(moment(run.created_at, now)),
            cell(span(run.ran_s)),
            cell(run.reason),
        )
    return made


def stage_table(found: list[Stage]) -> Table:
    from trainmaster.cli.output import cell, table
    from trainmaster.cli.text import span

    now = time.time()
    made = table("", "stage", "state", ">tasks", ">took", "~why")
    for stage in found:
        took = None if stage.started_at is None else (stage.ended_at or now) - stage.started_at
        tasks = f"{stage.ended}/{stage.parts}" if stage.parts else ""
        style = _STATES.get(stage.state, ("", ""))[1]
        add(
            made,
            sign(stage.state),
            cell(stage.name, "bold"),
            cell(stage.state, style),
            cell(tasks),
            cell(span(took)),
            cell(stage.task + ": " + stage.why if stage.task else stage.why),
        )
    return made


def strayed(report: PlanReport) -> str:
    """How far reality strayed from the plan, in a line."""
    from trainmaster.cli.text import percent, span

    told = [f"planned {span(report.forecast_s)}, took {span(report.took_s)}"]
    if report.stray_s is not None:
        told.append(f"starts {span(report.stray_s)} off on average")
    if report.on_planned_node is not None:
        told.append(f"{percent(report.on_planned_node)} on their planned nodes")
    return "; ".join(told)


def plan_table(report: PlanReport) -> Table:
    from trainmaster.cli.output import cell, table
    from trainmaster.cli.text import NOTHING

    def seconds(value: float | None) -> Text:
        return cell(NOTHING if value is None else f"{value:.3f}")

    made = table("part", "planned node", ">start", ">end", "node", ">start", ">end")
    for row in report.parts[:SHOWN]:
        add(
            made,
            cell(row.part, "bold"),
            cell(row.planned_node),
            seconds(row.planned_start_s),
            seconds(row.planned_finish_s),
            cell(row.node or NOTHING),
            seconds(row.start_s),
            seconds(row.finish_s),
        )
    return made


def part_table(found: list[Any]) -> Table:
    from trainmaster.cli.output import cell, state, table
    from trainmaster.cli.text import NOTHING, span

    now = time.time()
    made = table("task", "part", "state", ">took", "~result")
    for part in found:
        took = None if part.started_at is None else (part.ended_at or now) - part.started_at
        result = NOTHING if part.result is None else json.dumps(part.result)[:200]
        add(
            made,
            cell(part.id, "bold"),
            cell(part.key or NOTHING),
            state(part.state),
            cell(span(took)),
            cell(result),
        )
    return made
