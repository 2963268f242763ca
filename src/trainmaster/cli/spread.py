"""Options that several commands share, spelt once: a command's parameter stands for a whole group of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


def spread(**groups: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator. The parameters of the function `groups[name]` take the place of the command's parameter
    `name`, which gets what that function makes of them.

    Raises TypeError for a name that the command or another group has, too.
    """
    spelt = {name: inspect.signature(group, eval_str=True).parameters for name, group in groups.items()}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True)
        flat = [
            one
            for parameter in own.parameters.values()
            for one in spelt.get(parameter.name, {parameter.name: parameter}).values()
        ]
        if len({one.name for one in flat}) < len(flat):
            raise TypeError(f"{command.__name__} has an option twice")

        @functools.wraps(command)
        def gathered(**given: Any) -> None:
            for name, parameters in spelt.items():
                given[name] = groups[name](**{one: given.pop(one) for one in parameters})
            command(**given)

        del gathered.__wrapped__  # the command line is read off this signature
        keyword_only = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in flat]
        gathered.__signature__ = own.replace(parameters=keyword_only)  # type: ignore[attr-defined]
        gathered.__annotations__ = {one.name: one.annotation for one in flat}
        return gathered

    return decorate
