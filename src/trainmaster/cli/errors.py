"""Errors as a person reads them: one line, and under it what to do. Never a traceback."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import Any

DONE, TASK_FAILED, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130
_PIPED_WIDTH = 240
_TRACE = "TRAINMASTER_TRACEBACK"


def complain(message: str, remedy: str = "") -> None:
    """To standard error, in one style for all."""
    first = " ".join(message.split())
    if first[-1:] not in ".!?…":
        first += "."
    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else _PIPED_WIDTH
    lines = [f"error: {first}"]
    for line in remedy.splitlines():
        lines += textwrap.wrap(
            line, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
        )
    try:
        print("\n".join(lines), file=sys.stderr, flush=True)
    except OSError:
        pass  # nobody reads any more


def report(error: BaseException) -> int:
    """Print the error and answer with the exit code."""
    from typer._click import exceptions as click  # the classes Typer raises; it exports only some of them
    from typer.exceptions import Abort, Exit

    from trainmaster.domain.errors import TrainmasterError

    if os.environ.get(_TRACE):
        import traceback

        traceback.print_exception(error)
    # Typer turns a broken pipe into an exit before we see it.
    if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):
        # The reader (head, less) has seen enough. Python would complain again at exit without this.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return DONE
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else USAGE
    if isinstance(error, Exit):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | Abort):
        return INTERRUPTED
    if isinstance(error, click.NoArgsIsHelpError):
        print(error.format_message())
        return USAGE
    if isinstance(error, click.ClickException):
        return _wrong_usage(error)
    if isinstance(error, TrainmasterError):
        complain(error.message, error.remedy)
        return UNREACHABLE if error.status >= 500 and error.code not in _OURS else USAGE
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        complain(f"{name}{error.strerror or error}", "check the path, its permissions and the free space")
        return USAGE
    complain(
        f"{type(error).__name__}: {error}",
        f"this is a defect of Trainmaster; {_TRACE}=1 shows where it happened",
    )
    return UNREACHABLE


# Errors of this machine that are mended here: usage, whatever their HTTP status would be.
_OURS = ("bad-config", "port-taken", "folder-unusable", "missing-extra", "demo-failed")


def _wrong_usage(error: Any) -> int:
    context = getattr(error, "ctx", None)
    message = error.format_message().replace("Value error, ", "")
    path = context.command_path if context is not None else "trainmaster"
    complain(message[:1].lower() + message[1:], f"see `{path} --help`")
    return USAGE
