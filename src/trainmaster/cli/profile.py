"""`trainmaster profile`: the sets of policies there are, and switching between them."""

from __future__ import annotations

from typing import Annotated

import typer

from trainmaster.cli.output import AsJson, add
from trainmaster.cli.target import connect

app = typer.Typer(
    help="The sets of policies: list them, or switch while everything runs.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_(context)


@app.command("list")
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """List the profiles; the active one is marked."""
    from trainmaster.cli.output import cell, console, print_json, table

    with connect(context) as client:
        found = client.profiles()
    if as_json:
        print_json(found)
        return
    out = console()
    made = table("", "profile", "ordering", "allotment", "placement", "preemption")
    for profile in found:
        style = "bold" if profile.active else ""
        add(
            made,
            cell("*" if profile.active else " "),
            cell(profile.name, style),
            cell(profile.ordering),
            cell(profile.allotment),
            cell(profile.placement),
            cell(profile.preemption),
        )
    out.print(made)
    for profile in found:
        if profile.active and profile.summary:
            out.print(cell(f"{profile.name}: {profile.summary}", "dim"))


@app.command()
def use(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The profile to switch to.")],
    as_json: AsJson = False,
) -> None:
    """Switch the policies; running tasks go on."""
    from trainmaster.cli.output import cell, console, print_json

    with connect(context) as client:
        profile = client.use_profile(name)
    if as_json:
        print_json(profile)
        return
    console().print(cell(f"{profile.name} is active: {profile.summary}"))
