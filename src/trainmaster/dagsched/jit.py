"""The one place where a Python function becomes compiled code.

Kernels are compiled once per machine and cached on disk (``cache=True``), never with ``fastmath``:
the order of floating-point operations is part of every tie rule. Importing this module imports numba
(about half a second), so nothing that a plain ``import trainmaster.dagsched`` needs imports it.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, cast

import numba
import numpy as np
from numba.core import config as _config
from numba.core import event

# Versions with whose inner parts we get on.
TESTED = ((0, 68),)
KNOWN = numba.version_info.short in TESTED

# The module makes its names at run time, so types know none of them.
config: Any = _config

# A literal handed to a kernel compiles it once more, for that literal; ``whole(-1)`` is an int64 like others.
whole: Any = np.int64

_LEVEL = type(config.OPT)(1)
MESSAGE = "trainmaster: compiling the scheduling kernels (once per machine, then cached) ...\n"


def _import_arrays() -> None:
    """Import numba's array functions without scipy's linear algebra: a quarter of a later process's start.

    numba imports that only to know whether it is there for inner products, of which kernels have none. For
    whoever has some in kernels of their own, it asks again when it compiles them.
    """
    if not KNOWN or "numba.np.arraymath" in sys.modules or find_spec("scipy") is None:
        return
    from numba.np import linalg

    asks = linalg.ensure_blas
    linalg.ensure_blas = lambda: None
    try:
        from numba.np import arraymath
    finally:
        linalg.ensure_blas = asks
    arraymath.ensure_blas = asks


_import_arrays()


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile ``function`` on first use, without the GIL, with NumPy's rules for division.

    No index may be negative: with our passes none counts from the end of its array, nor does anybody look.
    """
    return _compiled(function, part=False)


def inner(function: Callable[..., Any]) -> Callable[..., Any]:
    """A part of kernels, compiled into each that calls it. Only kernels may (calling it from Python crashes).

    With our passes it has no machine code of its own, and so nothing that could be cached.
    """
    return _compiled(function, part=True)


def borrower(function: Callable[..., Any]) -> Callable[..., Any]:
    """A part that makes no arrays and returns none, so that nobody need count who refers to them.

    numba counts by atomic operations wherever it cannot prove that it need not: in small parts of HEFT's loop
    that was four fifths of the time. It refuses to compile borrowers that make arrays; none may return one.
    """
    return _compiled(function, part=True, counts=False)


def _compiled(function: Callable[..., Any], part: bool, counts: bool = True) -> Callable[..., Any]:
    # Nothing passes kernels on as function pointers, so no wrapper for that.
    options: dict[str, Any] = {"no_cpython_wrapper": part, "no_cfunc_wrapper": True, "cache": True}
    if KNOWN:
        # Of an unknown version of numba not even the import may work.
        from trainmaster.dagsched import passes

        options["pipeline_class"] = passes.PartCompiler if part else passes.KernelCompiler
        options.update(cache=not part, _nrt=counts)
    return cast(Callable[..., Any], numba.njit(nogil=True, error_model="numpy", **options)(function))


class _Compiling(event.Listener):
    """What holds while one of our kernels is really being compiled (never on a hit in the cache).

    Says so once per process, on standard error. Leaves out LLVM's loop vectoriser (it finds nothing in loops
    that chase indices, and took a sixth of the time) and the passes above level 1 (a tenth; plans are made no
    slower without them). Stops the cyclic garbage collector: numba makes
    millions of objects that live as long as the compilation, and looking through them again and again took
    an eighth. numba has all three for a whole process only and compiles under one lock, so they are set when
    the outermost of nested compilations begins and put back when it ends.
    """

    def __init__(self) -> None:
        # Called once, when the next of our kernels is about to be compiled.
        self.at_first: Callable[[], None] | None = None
        self.said = False
        self.depth = 0
        self.before: tuple[bool, int, Any] | None = None

    def on_start(self, event: Any) -> None:
        self.depth += 1
        dispatcher = event.data.get("dispatcher") if isinstance(event.data, dict) else None
        module = getattr(getattr(dispatcher, "py_func", None), "__module__", "")
        if self.depth > 1 or not module.startswith("trainmaster.dagsched"):
            return
        if self.at_first is not None:
            call, self.at_first = self.at_first, None
            call()
        self.before = gc.isenabled(), config.LOOP_VECTORIZE, config.OPT
        gc.disable()
        config.LOOP_VECTORIZE, config.OPT = 0, _LEVEL
        if not self.said:
            self.said = True
            sys.stderr.write(MESSAGE)
            sys.stderr.flush()

    def on_end(self, event: Any) -> None:
        self.depth -= 1
        if self.depth == 0 and self.before is not None:
            collected, config.LOOP_VECTORIZE, config.OPT = self.before
            self.before = None
            if collected:
                gc.enable()


compiling = _Compiling()
event.register("numba:compile", compiling)
