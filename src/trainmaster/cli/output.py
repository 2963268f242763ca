"""Printing: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainmaster.cli.text import clean

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_PIPED_WIDTH = 240  # nothing is cut for a program that reads us
_NARROWEST = 6
_STYLES = {
    "SUCCEEDED": "green",
    "FAILED": "bold red",
    "LOST": "red",
    "CANCELLED": "dim",
    "RUNNING": "cyan",
    "RESIZING": "cyan",
    "INTERRUPTED": "yellow",
    "UP": "green",
    "DRAINING": "yellow",
    "SUSPECT": "yellow",
    "GONE": "red",
}


def console() -> Console:
    """Standard output. No colours if it is no terminal or NO_COLOR is set."""
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(highlight=False, emoji=False, markup=False)
    width = shutil.get_terminal_size((_PIPED_WIDTH, 24)).columns if "COLUMNS" in os.environ else _PIPED_WIDTH
    return Console(highlight=False, emoji=False, markup=False, width=width)


def print_json(value: Any) -> None:
    """Field names are those of the HTTP interface."""
    from trainmaster.client.build import to_json

    print(json.dumps(to_json(value), indent=2))


def print_json_line(value: Any) -> None:
    from trainmaster.client.build import to_json

    print(json.dumps(to_json(value)), flush=True)


def cell(value: object, style: str = "") -> Text:
    """Text of anybody, made harmless."""
    from rich.text import Text

    return Text(clean(str(value)), style=style)


def state(name: str, stopping: str = "") -> Text:
    text = cell(name, _STYLES.get(name, ""))
    if stopping:
        text.append(f" ({clean(stopping)})", "dim")
    return text


def table(*columns: str) -> Table:
    """Columns by name: `>` before it aligns right, `~` lets it be cut when the line is too long."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        flexible = "~" in column[:2]
        made.add_column(
            column.lstrip(">~"),
            justify="right" if ">" in column[:2] else "left",
            # rich first narrows the columns that may wrap; `add` sees to it that they are cut instead.
            no_wrap=not flexible,
            min_width=_NARROWEST if flexible else None,
        )
    return made


def add(made: Table, *cells: Text) -> None:
    """A row of one line."""
    for one in cells:
        one.no_wrap, one.overflow = True, "ellipsis"
    made.add_row(*cells)


def facts(*rows: tuple[str, object]) -> Table:
    """Two columns: topic and text, which wraps."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for topic, text in rows:
        made.add_row(topic, cell(text))
    return made


def counted(amount: int, thing: str) -> str:
    return f"{amount} {thing}" if amount == 1 else f"{amount} {thing}s"
