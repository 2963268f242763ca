"""`trainmaster services`: the registry."""

from __future__ import annotations

import time

import typer

from trainmaster.cli.output import AsJson, add
from trainmaster.cli.target import connect


def services(context: typer.Context, as_json: AsJson = False) -> None:
    """List the processes of the service with their roles and beats, and the agents."""
    from trainmaster.cli.output import cell, console, print_json, state, table
    from trainmaster.cli.text import moment, span

    with connect(context) as client:
        found = client.services()
    if as_json:
        print_json(found)
        return
    made = table("replica", "roles", "leads", ">beat", "started", "host", ">pid", "~address")
    for one in found.replicas:
        add(
            made,
            cell(one.id, "bold"),
            cell(", ".join(one.roles)),
            cell(", ".join(one.leads), "green"),
            cell(f"{span(one.beat_age_s)} ago"),
            cell(moment(one.started_at, time.time())),
            cell(one.host),
            cell(one.pid),
            cell(one.url),
        )
    console().print(made)
    if found.leader is None:
        console().print(cell("nobody leads at the moment; submissions are accepted", "yellow"))
    made = table("agent", "state", ">beat")
    for agent in found.agents:
        beat = "–" if agent.beat_age_s is None else f"{span(agent.beat_age_s)} ago"
        add(made, cell(agent.node, "bold"), state(agent.state), cell(beat))
    if found.agents:
        console().print(made)
