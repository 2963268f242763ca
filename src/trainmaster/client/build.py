"""From JSON to the frozen values, and back."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from trainmaster.client import types, workflow_types

T = TypeVar("T")

# Fields that hold values of ours: by class and name, one or a list of them.
_NESTED: dict[type, dict[str, type]] = {
    types.Task: {"progress": types.Progress, "group": types.Group},
    types.TaskPage: {"tasks": types.Task},
    types.Explanation: {"facts": types.Fact},
    types.EventPage: {"events": types.Event},
    types.LogPage: {"lines": types.LogLine},
    types.Node: {"gauges": types.Gauges},
    types.Outlook: {"fit": types.Fit, "history": types.PastInterval, "coming": types.ComingInterval},
    types.Forecast: {"knobs": types.SizingKnobs, "outlook": types.Outlook, "track": types.Sized},
    types.Services: {"replicas": types.Replica, "agents": types.Agent},
    types.AlarmPage: {"alarms": types.Alarm},
    types.Send: {"notices": types.Notice},
    types.WhatIfColumn: {"wait_s": types.Times, "jct_s": types.Times},
    types.WhatIf: {"columns": types.WhatIfColumn, "rows": types.WhatIfRow},
    **workflow_types.NESTED,
    types.Overview: {"nodes": types.Node, "waiting": types.Waiting},
}
_NAMES: dict[type, frozenset[str]] = {}


def build(cls: type[T], data: dict[str, Any]) -> T:
    """Fields that this version does not know are left out, so that a newer service can be talked to."""
    names = _NAMES.get(cls)
    if names is None:
        names = _NAMES[cls] = frozenset(f.name for f in dataclasses.fields(cls))  # type: ignore[arg-type]
    values = {name: value for name, value in data.items() if name in names}
    for name, inner in _NESTED.get(cls, {}).items():
        value = values.get(name)
        if isinstance(value, list):
            values[name] = [build(inner, item) for item in value]
        elif value is not None:
            values[name] = build(inner, value)
    return cls(**values)


def build_all(cls: type[T], data: list[dict[str, Any]]) -> list[T]:
    return [build(cls, item) for item in data]


def to_json(value: Any) -> Any:
    """A value of `types`, or a list of them, as JSON holds it."""
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value
