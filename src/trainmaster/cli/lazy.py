"""A group whose commands are imported when they are called, so that help and completion come at once."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class Entry:
    """`source`: "module:name" of a function or of a `typer.Typer`. `help`: what the list of commands says."""

    source: str
    help: str
    panel: str

    def exists(self) -> bool:
        """Is the module installed? Looks without importing it."""
        return importlib.util.find_spec(self.source.partition(":")[0]) is not None

    def load(self, name: str) -> Any:
        """The command, ready to run."""
        module, _, attribute = self.source.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if isinstance(found, typer.Typer):
            command = typer.main.get_command(found)
        else:
            single = typer.Typer(
                add_completion=False,
                rich_markup_mode="rich",
                context_settings={"help_option_names": ["-h", "--help"]} | getattr(found, "settings", {}),
            )
            single.command(name, cls=getattr(found, "command_class", None))(found)
            command = typer.main.get_command(single)
        command.name = name
        return command


class LazyGroup(TyperGroup):
    """The entries are of the class; `of` makes one for a table."""

    entries: Mapping[str, Entry] = {}

    @staticmethod
    def of(entries: Mapping[str, Entry]) -> type[LazyGroup]:
        return type("LazyGroup", (LazyGroup,), {"entries": entries})

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # What the help lists and what a mistyped name is compared with.
        for name, entry in self.entries.items():
            if entry.exists():
                self.commands[name] = TyperCommand(
                    name, help=entry.help, rich_help_panel=entry.panel, rich_markup_mode="rich"
                )
        self._describing = False

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        known = self.commands.get(cmd_name)
        if known is None or self._describing or cmd_name not in self.entries:
            return known
        return self.entries[cmd_name].load(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._describing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._describing = False
