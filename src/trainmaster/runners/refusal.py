"""Finding the program of a run, and why it could not be started."""

from __future__ import annotations

import errno
import os


class Refused(Exception):
    """The run cannot start; carries what its exit says."""

    def __init__(self, code: int, fault: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.fault, self.detail = code, fault, detail


def candidates(name: str, path: str) -> list[str]:
    """The files a command name can mean, in order; `path` is the PATH of the run."""
    if "/" in name:
        return [name]
    found = [f"{folder or '.'}/{name}" for folder in path.split(":")]
    return [file for file in found if os.path.exists(file)]


def refusal(name: str, problem: OSError | None) -> Refused:
    """The exit of a command that could not be executed, with the codes shells use."""
    if problem is None or (problem.errno == errno.ENOENT and not os.path.exists(name)):
        return Refused(127, "command-not-found", f"{name}: command not found")
    if problem.errno == errno.ENOENT:
        return Refused(127, "command-not-found", f"{name}: its interpreter (first line) does not exist")
    if problem.errno in (errno.EACCES, errno.EISDIR, errno.ENOTDIR):
        return Refused(126, "command-not-found", f"{name}: not executable; `chmod +x` it")
    if problem.errno == errno.ENOEXEC:
        return Refused(
            126, "command-not-found", f"{name}: not a program; a script needs `#!` and its interpreter on top"
        )
    return Refused(126, "start-failed", f"{name}: {os.strerror(problem.errno or 0)}")
