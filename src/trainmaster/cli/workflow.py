"""`trainmaster workflow`: define, run and look at graphs of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainmaster.cli.output import AsJson
from trainmaster.cli.target import connect
from trainmaster.cli.workflow_view import (
    SHOWN,
    headline,
    layers,
    part_table,
    plan_table,
    print_definition,
    run_facts,
    run_table,
    sign,
    stage_table,
    strayed,
    workflow_table,
)

if TYPE_CHECKING:
    from trainmaster.client import Client
    from trainmaster.client.workflow_types import Stage, WorkflowRun

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Define, run and look at graphs of tasks.")

Run = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or an unambiguous beginning of it.")]
RunOrName = Annotated[str, typer.Argument(metavar="RUN|WORKFLOW", help="Id of a run, or a name.")]


@app.command("run")
def run(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="FILE|WORKFLOW", help="YAML, JSON or Python; or a name.")],
    parameter: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="JSON, or text; may be repeated."),
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Default: the latest.")] = None,
    key: Annotated[str | None, typer.Option(help="Running again with the same key changes nothing.")] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Return once it has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a workflow. A file is kept as its next version first, unless it says the same as the latest.

    Exit code 1 if it was waited for and did not succeed.
    """
    from trainmaster.cli.output import cell, console, print_json
    from trainmaster.cli.workflowfile import is_file, parameters, read_workflow

    values = parameters(parameter or ())
    out = console()
    with connect(context) as client:
        definition: Any = read_workflow(what) if is_file(what) else what
        found = client.run_workflow(definition, values, version=version, idempotency_key=key)
        if wait:
            if not as_json:
                out.print(cell(f"{found.id}  {found.workflow} version {found.version}"))
            found = client.wait_workflow_run(found.id)
    if as_json:
        print_json(found)
    elif wait:
        out.print(headline(found))
    else:
        out.print(cell(f"{found.id}  {found.workflow} version {found.version}, {found.stage_count} stages"))
        out.print(cell(f"follow it: trainmaster workflow show {found.id}", "dim"))
    if wait and not found.ok:
        raise typer.Exit(1)


@app.command("define")
def define(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="YAML, JSON or Python.")],
    as_json: AsJson = False,
) -> None:
    """Keep a workflow without running it."""
    from trainmaster.cli.output import cell, console, print_json
    from trainmaster.cli.workflowfile import read_workflow

    with connect(context) as client:
        found = client.define_workflow(read_workflow(file))
    if as_json:
        print_json(found)
    else:
        console().print(cell(f"{found.name} version {found.version}, {found.stage_count} stages"))


@app.command("list")
def list_(
    context: typer.Context,
    workflow: Annotated[str | None, typer.Argument(help="Runs of this one.")] = None,
    runs: Annotated[bool, typer.Option("--runs", "-r", help="Runs of all workflows.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000)] = 20,
    as_json: AsJson = False,
) -> None:
    """List the workflows there are; with a name or --runs, the latest runs."""
    from trainmaster.cli.output import cell, console, print_json

    with connect(context) as client:
        if workflow is None and not runs:
            known = client.workflows()
            if as_json:
                print_json(known)
            elif known:
                console().print(workflow_table(known))
            else:
                console().print(cell("no workflows yet; run one: trainmaster workflow run FILE.yaml"))
            return
        if workflow is not None:
            client.workflow(workflow)  # raises for a name that does not exist
        found = list(client.workflow_runs(workflow, limit=limit))
    if as_json:
        print_json(found)
    else:
        console().print(run_table(found) if found else cell("no runs yet"))


@app.command("show")
def show(
    context: typer.Context,
    what: RunOrName,
    stage: Annotated[str | None, typer.Argument(help="One stage of the run, with its tasks.")] = None,
    as_json: AsJson = False,
) -> None:
    """A run with its stages and why each is where it is; or a workflow as it was written."""
    from trainmaster.cli.output import cell, console, print_json
    from trainmaster.client.build import to_json

    out = console()
    with connect(context) as client:
        if not what.startswith("w-"):
            known = client.workflow(what)
            if as_json:
                print_json(known)
            else:
                print_definition(known)
            return
        if stage is not None:
            detail = client.workflow_stage(what, stage)
            if as_json:
                print_json(detail)
                return
            out.print(cell(f"{detail.name}  {detail.state}: {detail.why}", "bold"))
            out.print(part_table(detail.tasks))
            if detail.next is not None:
                out.print(cell(f"the first {len(detail.tasks)} of {detail.parts}", "dim"))
            return
        found = client.workflow_run(what)
        stages = _some_stages(client, found)
    if as_json:
        print_json({**to_json(found), "stages": to_json(stages)})
        return
    out.print(headline(found))
    out.print(run_facts(found))
    out.print(stage_table(stages))
    if len(stages) < found.stage_count:
        out.print(cell(f"{len(stages)} of {found.stage_count} stages; all of them with --json", "dim"))


@app.command("graph")
def graph(context: typer.Context, what: RunOrName, as_json: AsJson = False) -> None:
    """The stages in an order in which they can run, each with those it comes after."""
    from trainmaster.cli.output import cell, console, print_json

    with connect(context) as client:
        if what.startswith("w-"):
            rows = [(s.name, s.after, s.when, s.state) for s in client.workflow_stages(what)]
        else:
            rows = [(s.name, s.after, s.when, "") for s in client.workflow(what).stages]
    depth = layers({name: after for name, after, _, _ in rows})
    if as_json:
        print_json(
            [{"stage": n, "after": a, "when": w, "layer": depth[n], "state": s} for n, a, w, s in rows]
        )
        return
    out = console()
    for name, after, when, state in sorted(rows, key=lambda row: depth[row[0]]):
        line = cell("  " * min(depth[name], 20))
        if state:
            line.append_text(sign(state))
            line.append(" ")
        line.append_text(cell(name, "bold"))
        if after:
            shown = ", ".join(after[:6]) + (f" and {len(after) - 6} more" if len(after) > 6 else "")
            line.append_text(cell(f"  ← {shown}" + ("" if when == "all" else f" ({when})"), "dim"))
        out.print(line)


@app.command("plan")
def plan(context: typer.Context, run: Run, as_json: AsJson = False) -> None:
    """The static plan of a run against what became of it."""
    from trainmaster.cli.output import cell, console, print_json

    with connect(context) as client:
        found = client.workflow_plan(run)
    if as_json:
        print_json(found)
    elif not found.parts:
        console().print(cell("it has no plan; `trainmaster workflow show` says why"))
    else:
        console().print(cell(strayed(found)))
        console().print(plan_table(found))


@app.command("cancel")
def cancel(
    context: typer.Context,
    run: Run,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Return once its tasks are gone.")] = False,
    as_json: AsJson = False,
) -> None:
    """End every task of a run; nothing more of it starts."""
    _changed(context, "cancel", run, wait, as_json)


@app.command("resume")
def resume(
    context: typer.Context,
    run: Run,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Return once it has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Do again what has not succeeded, and all that follows it; what succeeded stays."""
    _changed(context, "resume", run, wait, as_json)


@app.command("versions")
def versions(
    context: typer.Context, workflow: Annotated[str, typer.Argument()], as_json: AsJson = False
) -> None:
    """The versions of a workflow, newest first. A run keeps the one it began with."""
    from trainmaster.cli.output import console, print_json

    with connect(context) as client:
        found = client.workflow_versions(workflow)
    if as_json:
        print_json(found)
    else:
        console().print(workflow_table(found))


def _changed(context: typer.Context, how: str, run: str, wait: bool, as_json: bool) -> None:
    from trainmaster.cli.output import console, print_json

    with connect(context) as client:
        change = client.cancel_workflow_run if how == "cancel" else client.resume_workflow_run
        found = change(run)
        if wait:
            found = client.wait_workflow_run(found.id)
    if as_json:
        print_json(found)
    else:
        console().print(headline(found))


def _some_stages(client: Client, run: WorkflowRun) -> list[Stage]:
    found = []
    for stage in client.workflow_stages(run.id):
        found.append(stage)
        if len(found) >= SHOWN and run.stage_count > SHOWN:
            break
    return found
