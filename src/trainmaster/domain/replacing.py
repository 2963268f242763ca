"""A faster `dataclasses.replace` for frozen dataclasses with slots.

Every transition of a task makes a new value, a dozen for each task's life, and the general `replace` was a
fifth of the service's CPU time. A copier made once per class, slot by slot, takes a third of its time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


def replacer(cls: type[T]) -> Callable[..., T]:
    """A function `(value, **changes) -> cls` that copies `value` with some fields changed.

    Unlike `dataclasses.replace` it does not call `__init__`; a field that does not exist raises KeyError.
    """
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    setters = {name: getattr(cls, name).__set__ for name in names}
    space: dict[str, Any] = {"new": object.__new__, "cls": cls, "setters": setters}
    space.update({f"set_{name}": setter for name, setter in setters.items()})
    lines = ["def replaced(value, /, **changes):", "    copy = new(cls)"]
    lines += [f"    set_{name}(copy, value.{name})" for name in names]
    lines += ["    for name in changes:", "        setters[name](copy, changes[name])", "    return copy"]
    exec("\n".join(lines), space)
    made: Callable[..., T] = space["replaced"]
    return made
