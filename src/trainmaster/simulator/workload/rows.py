"""Rows of a CSV file, checked: a bad one is named with its line."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

from trainmaster.simulator.errors import BadWorkload


class Row:
    """One line of a workload."""

    __slots__ = ("line", "source", "values")

    def __init__(self, source: str, line: int, values: dict[str, str]) -> None:
        self.source, self.line, self.values = source, line, values

    def bad(self, field: str, problem: str) -> BadWorkload:
        return BadWorkload(self.source, self.line, field, problem)

    def text(self, field: str) -> str:
        value = self.values.get(field)
        if not value:
            raise self.bad(field, "is missing")
        return value

    def number(self, field: str, least: float = 0.0) -> float:
        text = self.text(field)
        try:
            value = float(text)
        except ValueError:
            raise self.bad(field, f"is {text!r}, not a number") from None
        if not least <= value < math.inf:
            raise self.bad(field, f"is {text}, not {least:g} or more")
        return value

    def count(self, field: str) -> int:
        value = self.number(field, 1)
        if value != int(value):
            raise self.bad(field, f"is {value:g}, not a whole number")
        return int(value)


def rows(path: Path, fields: tuple[str, ...]) -> Iterator[Row]:
    """The rows of a file whose header has all `fields`. Raises BadWorkload."""
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        missing = [field for field in fields if field not in (reader.fieldnames or ())]
        if missing:
            raise BadWorkload(path.name, 1, missing[0], "is not a column")
        for values in reader:
            yield Row(path.name, reader.line_num, values)
