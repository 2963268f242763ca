"""`trainmaster nodes`: what there is, what is given away, what is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from trainmaster.cli.output import AsJson, add
from trainmaster.cli.target import connect

if TYPE_CHECKING:
    from rich.table import Table

    from trainmaster.client.types import Node


def nodes(context: typer.Context, as_json: AsJson = False) -> None:
    """List nodes: how much of each is given away, and how busy it is."""
    from trainmaster.cli.output import cell, console, print_json

    with connect(context) as client:
        found = client.nodes()
    if as_json:
        print_json(found)
        return
    out = console()
    out.print(node_table(found) if found else cell("no node has joined yet"))


def node_table(found: list[Node]) -> Table:
    from trainmaster.cli.output import cell, state, table
    from trainmaster.cli.text import NOTHING, bar, percent
    from trainmaster.domain.units import format_bytes

    gpus = any(node.gpus for node in found)
    columns = ["~node", "state", "given away", ">cores", ">memory", ">busy", ">index", ">runs"]
    if gpus:
        columns.insert(5, ">GPUs")
    made = table(*columns)
    for node in found:
        shares = [node.cpus_used / node.cpus if node.cpus else 0.0]
        if node.memory:
            shares.append(node.memory_used / node.memory)
        if node.gpus:
            shares.append(node.gpus_used / node.gpus)
        row = [
            cell(node.id, "bold"),
            state(node.state),
            cell(bar(max(shares), 10), "cyan"),
            cell(f"{node.cpus_used:g}/{node.cpus:g}"),
            cell(f"{format_bytes(node.memory_used)}/{format_bytes(node.memory)}"),
            cell(percent(node.gauges.cpu)),
            cell(f"{node.index:.3g}" if node.index else NOTHING),
            cell(len(node.runs)),
        ]
        if gpus:
            row.insert(5, cell(f"{node.gpus_used}/{node.gpus}"))
        add(made, *row)
    return made
