"""A workflow from a YAML, JSON or Python file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trainmaster.domain.errors import InvalidWorkflow, WrongParameter

_KINDS = "write it in YAML, JSON or Python, in a file that ends so"


def read_workflow(text: str) -> dict[str, Any]:
    """The definition in `FILE` or, of a Python file with several, `FILE:NAME`. Raises InvalidWorkflow.

    Relative directories count from the file; a stage without one starts beside it. The workflow is named
    after the file unless it has a name.
    """
    path, name = Path(text), ""
    if not path.exists() and ".py:" in text:
        file, _, name = text.rpartition(":")
        path = Path(file)
    try:
        if path.suffix == ".py":
            definition = _from_python(path, name)
        else:
            definition = _parse(path, path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidWorkflow(f"there is no file {path}", remedy=_KINDS, field="file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidWorkflow(f"{path}: {error}", remedy="check the file", field="file") from None
    definition.setdefault("name", path.stem)
    stages = definition.get("stages")
    for stage in stages.values() if isinstance(stages, dict) else ():
        if isinstance(stage, dict) and not stage.get("workflow") and not stage.get("image"):
            own = Path(str(stage.get("directory", ""))).expanduser()
            stage["directory"] = str((path.parent / own).absolute())
    return definition


def is_file(text: str) -> bool:
    """Does it look like a file rather than the name of a workflow?"""
    return Path(text).suffix in (".yaml", ".yml", ".json", ".py") or ".py:" in text or "/" in text


def _parse(path: Path, content: str) -> dict[str, Any]:
    try:
        if path.suffix == ".json":
            found = json.loads(content)
        elif path.suffix in (".yaml", ".yml"):
            import yaml

            found = yaml.safe_load(content)
        else:
            raise InvalidWorkflow(f"{path} has no known ending", remedy=_KINDS, field="file")
    except ValueError as error:
        raise InvalidWorkflow(f"{path} is not valid JSON: {error}", remedy="mend it", field="file") from None
    except Exception as error:
        if isinstance(error, InvalidWorkflow):
            raise
        problem = " ".join(str(error).split())[:300]
        raise InvalidWorkflow(
            f"{path} is not valid YAML: {problem}", remedy="mend it", field="file"
        ) from None
    if not isinstance(found, dict):
        raise InvalidWorkflow(
            f"{path} holds no workflow", remedy="write `stages:` with a mapping", field="file"
        )
    return found


def _from_python(path: Path, name: str) -> dict[str, Any]:
    import runpy

    from trainmaster.client.definition import Workflow

    if not path.exists():
        raise FileNotFoundError(path)
    found = {key: value for key, value in runpy.run_path(str(path)).items() if isinstance(value, Workflow)}
    if name and name in found:
        return found[name].to_dict()
    if name or len(found) != 1:
        names = ", ".join(found) or "none"
        raise InvalidWorkflow(
            f"{path} has the workflows {names}", remedy=f"name one: {path}:NAME", field="file"
        )
    return next(iter(found.values())).to_dict()


def parameters(given: Iterable[str]) -> dict[str, Any]:
    """JSON where it is, else the text. Raises WrongParameter."""
    values: dict[str, Any] = {}
    for assignment in given:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise WrongParameter(
                f"--param {assignment}: there is no value", remedy="write --param name=value", parameter=name
            )
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    return values
