"""Expressions in what a workflow's stages are told: `${{ params.day }}`, `${{ stages.split.output.rows }}`.

A text that is one expression and nothing else stands for the value itself, whatever its type; one inside a
longer text for the value as text (a string as it is, anything else as JSON). `$${{` is the text `${{`. There
is nothing to compute: an expression only names a value. Shell variables such as `${HOME}` are left alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from trainmaster.domain.errors import InvalidWorkflow, MissingValue

MARK = "${{"
_EXPRESSION = re.compile(r"(\$?)\$\{\{([^{}]*)\}\}")
_PATH = re.compile(r"\s*([A-Za-z_]\w*(?:\.[\w-]+)*)\s*")

Path = tuple[str, ...]
Lookup = Callable[[Path], Any]


def paths(value: Any) -> Iterator[Path]:
    """The names in all expressions of a JSON value. Raises InvalidWorkflow for one that cannot be read."""
    if isinstance(value, str):
        if MARK in value:
            found = list(_EXPRESSION.finditer(value))
            if len(found) < value.count(MARK):
                raise _unreadable(value)
            yield from (_path(m.group(2)) for m in found if not m.group(1))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from paths(name)
            yield from paths(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from paths(inner)


def fill(value: Any, lookup: Lookup) -> Any:
    """The JSON value with every expression replaced by what `lookup` finds for it."""
    if isinstance(value, str):
        return _fill_text(value, lookup) if MARK in value else value
    if isinstance(value, dict):
        return {as_text(fill(name, lookup)): fill(inner, lookup) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [fill(inner, lookup) for inner in value]
    return value


def fill_text(value: str, lookup: Lookup) -> str:
    """As `fill`, where only text will do: words of a command, variables."""
    return as_text(_fill_text(value, lookup)) if MARK in value else value


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def reach(value: Any, path: Path, whole: str) -> Any:
    """What `path` leads to inside a JSON value: names of objects, positions in lists. Raises MissingValue."""
    for name in path:
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            raise MissingValue(f"${{{{ {whole} }}}}: there is no {name!r} in {_kind(value)}", path=whole)
    return value


def _fill_text(text: str, lookup: Lookup) -> Any:
    only = _EXPRESSION.fullmatch(text)
    if only is not None and not only.group(1):
        return lookup(_path(only.group(2)))

    def replaced(match: re.Match[str]) -> str:
        if match.group(1):
            return match.group(0)[1:]
        return as_text(lookup(_path(match.group(2))))

    return _EXPRESSION.sub(replaced, text)


def _path(text: str) -> Path:
    match = _PATH.fullmatch(text)
    if match is None:
        raise _unreadable("${{" + text + "}}")
    return tuple(match.group(1).split("."))


def _unreadable(text: str) -> InvalidWorkflow:
    return InvalidWorkflow(
        f"{text[:100]!r} is not an expression",
        remedy="write ${{ params.NAME }}, ${{ stages.NAME.output }} or ${{ item }}; $${{ for the text itself",
        field="expression",
    )


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        names = ", ".join(list(value)[:5])
        return f"an object with {names or 'nothing in it'}"
    return f"a list of {len(value)}" if isinstance(value, list) else f"{as_text(value)[:60]}"
