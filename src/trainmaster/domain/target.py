"""What a trigger starts when it is no task: a run of a workflow, whose parameters may name the due time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from trainmaster.domain.template import Path, fill, paths, reach
from trainmaster.domain.trigger import InvalidTrigger, zone_named
from trainmaster.domain.workflow import MAX_VALUE_BYTES, WORKFLOW_NAME

_OF_DUE = ("date", "time", "utc", "seconds")
_OF_TRIGGER = ("id", "name")
VALUES = ("due", *(f"due.{name}" for name in _OF_DUE), *(f"trigger.{name}" for name in _OF_TRIGGER), "cause")


@dataclass(frozen=True, slots=True)
class WorkflowTarget:
    """A run of `workflow`, of the latest version there is when it fires if `version` is None.

    `parameters`: JSON of an object. Expressions in it name the firing (`VALUES`): `${{ due }}` is the due
    time on the trigger's clock, as ISO 8601 has it; its `date`, `time` and `utc` are parts of that or the
    same in UTC, `seconds` those since the epoch.
    """

    workflow: str
    version: int | None = None
    parameters: str = "{}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready. No task has a field of this name: it tells the two apart."""
        return {"workflow": self.workflow, "version": self.version, "parameters": self.parameters}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> WorkflowTarget:
        return cls(data["workflow"], data["version"], data["parameters"])


def validate_target(target: WorkflowTarget) -> None:
    """Raise InvalidTrigger, or InvalidWorkflow for an expression that cannot be read."""
    if not WORKFLOW_NAME.fullmatch(target.workflow):
        raise InvalidTrigger(
            f"workflow: {target.workflow[:100]!r} names no workflow",
            remedy="give the name of a workflow",
            field="workflow",
        )
    if len(target.parameters) > MAX_VALUE_BYTES:
        raise InvalidTrigger(
            f"parameters: {len(target.parameters)} bytes, more than {MAX_VALUE_BYTES}",
            remedy="write them to a file and hand over its path",
            field="parameters",
        )
    for path in paths(json.loads(target.parameters)):
        if ".".join(path) not in VALUES:
            raise InvalidTrigger(
                f"parameters: ${{{{ {'.'.join(path)} }}}} names nothing",
                remedy=f"a trigger's parameters may name {', '.join(VALUES)}",
                field="parameters",
            )


def parameters_at(
    target: WorkflowTarget, due_ms: int, zone: str, cause: str, trigger: str, name: str
) -> dict[str, Any]:
    """The parameters of the firing due at `due_ms`, on the clock of `zone`."""
    utc = datetime.fromtimestamp(due_ms / 1000, UTC)
    local = utc.astimezone(zone_named(zone))
    exact = "milliseconds" if due_ms % 1000 else "seconds"
    due = {
        "date": f"{local:%Y-%m-%d}",
        "time": local.time().isoformat(exact),
        "utc": utc.replace(tzinfo=None).isoformat(timespec=exact) + "Z",
        "seconds": due_ms / 1000,
    }
    known: Mapping[str, Any] = {"due": due, "trigger": {"id": trigger, "name": name}, "cause": cause}

    def lookup(path: Path) -> Any:
        if path == ("due",):
            return local.isoformat(timespec=exact)
        return reach(known, path, ".".join(path))

    filled: dict[str, Any] = fill(json.loads(target.parameters), lookup)
    return filled
