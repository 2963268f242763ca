"""Searching log lines by text. A pattern comes from a person and must not stop the service."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from trainmaster.domain.errors import InvalidQuery

# A regular expression sees this many characters of a line, by how many repetitions of nearly anything (`.*`,
# `\\S+`, …) it has: the time of a search grows with that power of the length.
CHARS = {0: 16_384, 1: 4096, 2: 800, 3: 200}
MAX_PATTERN = 500

Matches = Callable[[str], bool]


def matcher(text: str, regex: bool) -> Matches:
    """Does a line contain `text`? Raises InvalidQuery for a pattern that is wrong or could take for ever."""
    if not regex:
        return lambda line: text in line
    if len(text) > MAX_PATTERN:
        raise InvalidQuery(
            f"the pattern has {len(text)} characters, more than {MAX_PATTERN}",
            remedy="search for less",
            field="text",
        )
    try:
        search = re.compile(text).search
        parsed = _parser.parse(text)
        explosive, wide = _explosive(parsed, False), _wide(parsed)
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidQuery(
            f"{text!r} is not a regular expression: {error}",
            remedy="put a backslash before signs that are meant as they are, or search for plain text",
            field="text",
        ) from None
    if explosive:
        raise InvalidQuery(
            f"{text!r} repeats a repetition or a choice, which can take exponential time",
            remedy="write it without a repetition or `|` inside a repeated group",
            field="text",
        )
    if wide not in CHARS:
        raise InvalidQuery(
            f"{text!r} has {wide} repetitions of nearly anything, more than {max(CHARS)}",
            remedy="leave out .* at the ends, or name what is repeated, as in [0-9.]+",
            field="text",
        )
    most = CHARS[wide]
    return lambda line: search(line, 0, most) is not None


_parser: Any = re._parser  # type: ignore[attr-defined]
_REPEATS = {"MAX_REPEAT", "MIN_REPEAT"}
_MANY = 16


def _explosive(pattern: Any, inside: bool) -> bool:
    """True if a repetition holds another one, a choice or a back reference."""
    for operation, argument in pattern:
        name = str(operation)
        if name in _REPEATS:
            _, most, body = argument
            many = most > _MANY
            if (many and inside) or _explosive(body, inside or many):
                return True
            continue
        if inside and name in ("GROUPREF", "BRANCH"):
            return True
        if any(_explosive(part, inside) for part in _parts(argument)):
            return True
    return False


def _wide(pattern: Any) -> int:
    """How many repetitions of nearly anything there are. Digits, blanks and single signs do not count."""
    count = 0
    for operation, argument in pattern:
        if str(operation) in _REPEATS:
            _, most, body = argument
            if most > _MANY and not all(_narrow(item) for item in body):
                count += 1
            else:
                count += _wide(body)
        else:
            count += sum(_wide(part) for part in _parts(argument))
    return count


def _narrow(item: Any) -> bool:
    name, argument = str(item[0]), item[1]
    if name == "IN":
        return all(_narrow(part) for part in argument)
    if name == "CATEGORY":
        return str(argument) in ("CATEGORY_DIGIT", "CATEGORY_SPACE")
    return name == "LITERAL" or (name == "RANGE" and argument[1] - argument[0] < 10)


def _parts(argument: Any) -> list[Any]:
    """The patterns inside one element of a parsed pattern."""
    if isinstance(argument, _parser.SubPattern):
        return [argument]
    if isinstance(argument, list | tuple):
        return [part for item in argument for part in _parts(item)]
    return []
