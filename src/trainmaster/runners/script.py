"""Being `python SCRIPT …` or `python -m MODULE …` in a process forked from a warm interpreter.

What the script finds is what a process of its own would give it: arguments, path, environment, signals,
seeds, `__main__`, and in the end the exit status, traceback, atexit handlers and flushed files. What cannot
be had so is executed anew, in the same process. What differs: more modules are loaded than the script
imported, and the process shows the command line and the first environment of the fork-server.
"""

from __future__ import annotations

import _signal
import ctypes
import gc
import importlib
import importlib.machinery
import os
import runpy
import stat
import sys
import types
from typing import Any, NoReturn

threads = 0  # how many torch would use by itself; set when it is loaded
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_INTERRUPTED = 130  # 128 + INT
_libc = ctypes.CDLL(None)


def main(interpreter: str, argv: list[str], env: dict[str, str]) -> NoReturn:
    """Be the command `argv` (`python SCRIPT …` or `python -m MODULE …`) of the interpreter we run in.

    Directory, standard streams and signals are those of a fresh process already.
    """
    os.environ.clear()
    os.environ.update(env)
    if _spoilt() or (argv[1] != "-m" and not _plain(argv[1])):
        os.execve(interpreter, argv, env)
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_IGN)
    _refresh(env)
    for name in [name for name in sys.modules if name.partition(".")[0] == "trainmaster"]:
        del sys.modules[name]  # ours; the script's own may be another
    sys.orig_argv = list(argv)
    sys.modules["__main__"] = types.ModuleType("__main__")
    _end_before_the_loaded()
    code = _run(argv)
    # As the interpreter itself ends: threads, atexit, destructors, flush. Never returns.
    ctypes.pythonapi.Py_Exit(ctypes.c_int(code))
    os._exit(code)


def _end_before_the_loaded() -> None:
    """Leave out the C library's exit handlers of what was loaded before the fork.

    They run last, as the last to register is the first to run: after Python's own end and the handlers of
    what the script loads. Those of torch free memory for 0.16 s of CPU, two thirds of the end of a process.
    """
    try:
        leave, register = _libc.on_exit, _libc.__cxa_atexit
    except AttributeError:
        return  # not glibc
    leave(_libc._exit, None)  # called with the exit status
    register(_libc.fflush, None, None)


def _plain(path: str) -> bool:
    """True for a file of source; folders, archives and what is missing are left to the interpreter."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode) and not path.endswith((".pyc", ".zip", ".pyz"))
    except (OSError, ValueError):
        return False


def _spoilt() -> bool:
    """True if something has used CUDA before the fork: it can never be used in this process."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda._is_in_bad_fork()


def _refresh(env: dict[str, str]) -> None:
    """Undo what was done for the fork-server, and draw what a fork must not inherit."""
    gc.enable()
    importlib.invalidate_caches()
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        chosen = any(name in env for name in _THREADS)
        torch.default_generator.seed()  # random in a process of its own too
        torch.set_num_threads(threads if chosen else min(threads, len(os.sched_getaffinity(0))))
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()  # `random` does this by itself
    processes: Any = sys.modules.get("multiprocessing.process")
    if processes is not None:
        processes.ORIGINAL_DIR = os.getcwd()


def _run(argv: list[str]) -> int:
    """Run it; the exit status."""
    try:
        if argv[1] == "-m":
            _run_module(argv)
        else:
            _run_script(argv)
    except SystemExit as left:
        return _status(left.code)
    except BaseException as error:
        _show(error)
        return _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _run_module(argv: list[str]) -> None:
    sys.argv = ["-m", *argv[3:]]
    _put_first(os.getcwd())
    runpy._run_module_as_main(argv[2])  # type: ignore[attr-defined]  # as the interpreter does for -m


def _run_script(argv: list[str]) -> None:
    path = argv[1]
    sys.argv = argv[1:]
    _put_first(os.path.dirname(os.path.realpath(path)))
    if not os.path.isabs(path):
        path = f"{os.getcwd()}/{path}"
    values = sys.modules["__main__"].__dict__
    values.update(
        __file__=path,
        __cached__=None,
        __loader__=importlib.machinery.SourceFileLoader("__main__", path),
        __annotations__={},
        __builtins__=sys.modules["builtins"],
    )
    with open(path, "rb") as file:
        source = file.read()
    exec(compile(source, path, "exec", dont_inherit=True), values)


def _put_first(folder: str) -> None:
    if not sys.flags.safe_path:
        sys.path.insert(0, folder)


def _status(code: Any) -> int:
    if code is None or isinstance(code, int):
        return code or 0
    _write(f"{code}\n")
    return 1


def _show(error: BaseException) -> None:
    """The traceback, from the script's first frame on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    error.__traceback__ = trace
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
    try:
        sys.excepthook(type(error), error, trace)
    except BaseException as second:
        _write("Error in sys.excepthook:\n")
        sys.__excepthook__(type(second), second, second.__traceback__)
        _write("\nOriginal exception was:\n")
        sys.__excepthook__(type(error), error, trace)


def _write(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(text)
