"""The one place where a Python function becomes compiled code.

Kernels are compiled once per machine and cached on disk (``cache=True``), never with ``fastmath``:
the order of floating-point operations is part of every tie rule. Importing this module imports numba
(about half a second), so nothing that a plain ``import trainmaster.dagsched`` needs imports it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np
from numba.core import event

# A literal handed to a kernel compiles it once more, for that literal; ``whole(-1)`` is an int64 like others.
whole: Any = np.int64

MESSAGE = "trainmaster: compiling the scheduling kernels (once per machine, then cached) ...\n"


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile ``function`` on first use, without the GIL, with NumPy's rules for division."""
    # Nothing passes kernels on as function pointers; leaving out that wrapper saves compile time.
    options: dict[str, Any] = {"no_cfunc_wrapper": True}
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy", **options)(function)
    return cast(Callable[..., Any], compiled)


class _CompileNotice(event.Listener):
    """Says once per process, on standard error, that a kernel is really being compiled.

    The event is raised on a cache miss only, so later processes stay silent.
    """

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: Any) -> None:
        dispatcher = event.data.get("dispatcher") if isinstance(event.data, dict) else None
        module = getattr(getattr(dispatcher, "py_func", None), "__module__", "")
        if not self.said and module.startswith("trainmaster.dagsched"):
            self.said = True
            sys.stderr.write(MESSAGE)
            sys.stderr.flush()

    def on_end(self, event: Any) -> None:
        return None


event.register("numba:compile", _CompileNotice())
