"""All algorithms by name. A name is the name of the function; its module is imported when it is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

from trainmaster.dagsched.errors import OptionError, UnknownAlgorithmError
from trainmaster.dagsched.problem import Draft, Problem

_ALGORITHMS = "trainmaster.dagsched.algorithms."

ALGORITHMS: dict[str, str] = {
    "auto": "trainmaster.dagsched.auto",
    "serial": _ALGORITHMS + "serial",
    "heft": _ALGORITHMS + "heft",
    "etf": _ALGORITHMS + "etf",
    "bl_est": _ALGORITHMS + "bl_est",
    "peft": _ALGORITHMS + "peft",
    "cpop": _ALGORITHMS + "cpop",
    "dls": _ALGORITHMS + "dls",
    "bl_est_part": _ALGORITHMS + "bl_est_part",
    "bl_est_busy": _ALGORITHMS + "bl_est_busy",
    "bl_est_macro": _ALGORITHMS + "bl_est_macro",
    "etf_part": _ALGORITHMS + "etf_part",
    "etf_busy": _ALGORITHMS + "etf_busy",
    "etf_macro": _ALGORITHMS + "etf_macro",
    "duplication": _ALGORITHMS + "duplication",
    "forward_backward": _ALGORITHMS + "forward_backward",
    "local_search": _ALGORITHMS + "local_search",
    "tdca": _ALGORITHMS + "tdca",
    "b_deduplication": "trainmaster.dagsched.tdpatd.stages",
    "tdpatd": "trainmaster.dagsched.tdpatd.stages",
    "exact": "trainmaster.dagsched.exact",
}


def algorithm(name: str) -> Callable[..., Draft]:
    """The function of that name. Raises ``UnknownAlgorithmError``."""
    if name not in ALGORITHMS:
        raise UnknownAlgorithmError(name, tuple(ALGORITHMS))
    function: Callable[..., Draft] = getattr(import_module(ALGORITHMS[name]), name)
    return function


def run(name: str, problem: Problem, options: dict[str, Any]) -> Draft:
    """Run the algorithm with its options. Raises ``UnknownAlgorithmError``, ``OptionError``."""
    function = algorithm(name)
    for option, value in options.items():
        known = [key for key in inspect.signature(function).parameters if key != "problem"]
        if option not in known:
            raise OptionError(option, value, f"{name} takes {', '.join(known) or 'no options'}")
    return function(problem, **options)
