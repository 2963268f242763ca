"""The fields of a task from a TOML file and from `--set name=value`."""

from __future__ import annotations

import difflib
import json
import shlex
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trainmaster.client.fields import RetryFields, TaskFields
from trainmaster.domain.errors import InvalidTask

FIELDS = tuple(TaskFields.__annotations__)
RETRY_FIELDS = tuple(RetryFields.__annotations__)
_TEXTS = {"name", "function", "image", "directory", "network", "elasticity", "urgency"}
_TABLES = {"environment", "labels", "node_labels"}
_LISTS = {"volumes", "after"}
_KNOWN = "known fields: " + ", ".join(FIELDS)


def read_task(path: Path) -> dict[str, Any]:
    """The fields in a file. Relative directories count from the file. Raises InvalidTask."""
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidTask(
            f"there is no file {path}",
            remedy="to run a command, put it after `--`: submit -- python train.py",
        ) from None
    except OSError as error:
        raise InvalidTask(f"{path}: {error.strerror}", remedy="check its permissions") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidTask(
            f"{path} is not valid TOML: {error}",
            remedy="to run a command, put it after `--`: submit -- python train.py",
        ) from None
    check_names(fields, f"{path}: ")
    command = fields.get("command")
    if isinstance(command, str):
        fields["command"] = shlex.split(command)
    if isinstance(fields.get("directory"), str):
        fields["directory"] = str((path.parent / Path(fields["directory"]).expanduser()).absolute())
    return fields


def check_names(fields: dict[str, Any], where: str = "") -> None:
    """Raise InvalidTask for a name that no task has, with the nearest one."""
    retry = fields.get("retry")
    inner = retry if isinstance(retry, dict) else {}
    for names, known, prefix in ((fields, FIELDS, ""), (inner, RETRY_FIELDS, "retry.")):
        for name in names:
            if name not in known:
                raise _unknown(name, known, prefix, where)


def _unknown(name: str, known: Iterable[str], prefix: str = "", where: str = "") -> InvalidTask:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {prefix}{near[0]}?" if near else ""
    remedy = "known fields: " + ", ".join(prefix + one for one in known)
    return InvalidTask(f"{where}there is no field {prefix}{name}{hint}", remedy=remedy, field=prefix + name)


def set_field(fields: dict[str, Any], assignment: str) -> None:
    """Apply `name=value`; `environment.SEED=1` and `retry.attempts=3` reach inside. Raises InvalidTask."""
    path, equals, text = assignment.partition("=")
    if not equals:
        raise InvalidTask(
            f"--set {assignment}: there is no value", remedy="write --set name=value", field=path
        )
    name, dot, inner = path.strip().partition(".")
    if name not in FIELDS:
        raise _unknown(name, FIELDS)
    if name == "retry" and inner not in RETRY_FIELDS:
        raise _unknown(inner, RETRY_FIELDS, "retry.")
    if (name in _TABLES or name == "retry") != bool(dot and inner):
        example = f"{name}.NAME=value" if name in _TABLES or name == "retry" else f"{name}=value"
        raise InvalidTask(f"--set {assignment}: cannot be set", remedy=f"write --set {example}", field=name)
    if name in _TABLES:
        fields[name] = {**fields.get(name, {}), inner: text}
    elif name == "retry":
        fields[name] = {**fields.get(name, {}), inner: _value(text)}
    elif name in _TEXTS:
        fields[name] = text
    elif name == "command":
        fields[name] = shlex.split(text)
    elif name in _LISTS:
        fields[name] = [part.strip() for part in text.split(",") if part.strip()]
    else:
        fields[name] = _value(text)


def _value(text: str) -> Any:
    """A number, true, false or JSON where it is one; else the text, such as 8GB, 90s or 1..4."""
    try:
        return json.loads(text)
    except ValueError:
        return text
