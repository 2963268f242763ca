"""`trainmaster quota`: limits by user."""

from __future__ import annotations

from typing import Annotated

import typer

from trainmaster.cli.output import AsJson, add
from trainmaster.cli.target import connect

app = typer.Typer(
    help="Limits by user: list them, or set one.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_NO_LIMIT = "no limit"


@app.callback()
def default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_(context)


@app.command("list")
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """List the limits there are; users without one are not limited."""
    from trainmaster.cli.output import cell, console, print_json, table

    with connect(context) as client:
        found = client.quotas()
    if as_json:
        print_json(found)
        return
    out = console()
    if not found:
        out.print(cell("nobody is limited; limit somebody: trainmaster quota set USER --running 4"))
        return
    made = table("user", ">running workers", ">queued tasks")
    for quota in found:
        limits = (quota.running_workers, quota.queued_tasks)
        add(made, cell(quota.user), *(cell(_NO_LIMIT if limit is None else limit) for limit in limits))
    out.print(made)


@app.command("set")
def set_(
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="Whom to limit.")],
    running: Annotated[int | None, typer.Option(min=0, help="Workers at once; without it, no limit.")] = None,
    queued: Annotated[int | None, typer.Option(min=0, help="Waiting tasks; without it, no limit.")] = None,
    as_json: AsJson = False,
) -> None:
    """Set both limits of a user; one that is left out is lifted."""
    from trainmaster.cli.output import cell, console, print_json

    with connect(context) as client:
        quota = client.set_quota(user, running_workers=running, queued_tasks=queued)
    if as_json:
        print_json(quota)
        return
    limits = (("running workers", quota.running_workers), ("queued tasks", quota.queued_tasks))
    told = ", ".join(f"{name}: {_NO_LIMIT if limit is None else limit}" for name, limit in limits)
    console().print(cell(f"{quota.user}  {told}"))
