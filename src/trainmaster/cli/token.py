"""`trainmaster token`: who has access."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated

import typer

from trainmaster.cli.output import AsJson, add
from trainmaster.cli.target import connect

app = typer.Typer(
    help="Who has access: list the tokens, make one, take one back.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class RoleName(StrEnum):
    VIEWER = "viewer"
    SUBMITTER = "submitter"
    OPERATOR = "operator"
    ADMIN = "admin"


@app.command("list")
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """List the tokens; their secrets are not kept."""
    from trainmaster.cli.output import cell, console, print_json, table
    from trainmaster.cli.text import moment

    with connect(context) as client:
        found = client.tokens()
    if as_json:
        print_json(found)
        return
    made = table("token", "user", "role", "made", "expires", "~label")
    now = time.time()
    for token in found:
        expires = "never" if token.expires_at is None else moment(token.expires_at, now)
        add(
            made,
            cell(token.id, "bold"),
            cell(token.user),
            cell(token.role),
            cell(moment(token.created_at, now)),
            cell(expires),
            cell(token.label),
        )
    console().print(made)


@app.command()
def new(
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="Whose tasks it submits.")],
    role: Annotated[
        RoleName, typer.Option(help="viewer, submitter, operator or admin: each may do what the former may.")
    ] = RoleName.SUBMITTER,
    days: Annotated[float | None, typer.Option(min=0, help="Valid for so long; default: for ever.")] = None,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a token and print its secret, this once."""
    from trainmaster.cli.output import print_json

    with connect(context) as client:
        token = client.new_token(user, role.value, days=days, label=label)
    if as_json:
        print_json(token)
        return
    # The secret alone on standard output, so that it can be piped to where it belongs.
    typer.echo(f"{token.role} {token.user}, token {token.id}; the secret is shown only now:", err=True)
    typer.echo(token.token)


@app.command()
def revoke(context: typer.Context, token: Annotated[str, typer.Argument(help="Its id, as listed.")]) -> None:
    """Take a token back, at once."""
    with connect(context) as client:
        client.revoke_token(token)
    typer.echo(f"{token} is revoked")
