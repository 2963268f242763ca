"""The folder of one run as the agent sees it: what it prepares, where the log lies, what it deletes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from trainmaster.domain.ids import RunId
from trainmaster.domain.run import Exit, Fault, RunReport, RunSpec, RunState, Stream
from trainmaster.ports import LogFile
from trainmaster.runners import life

MAX_RESULT = 1024 * 1024  # bytes of JSON, as of a function

_FILES = (
    life.SPEC, life.LIFE, life.STDOUT, life.STDERR, life.RAW, life.PROGRESS, life.STOP, life.PLAN,
    life.OUTPUT, "shim.error",
)  # fmt: skip
_STREAMS = (
    (Stream.STDOUT, life.STDOUT),
    (Stream.STDERR, life.STDERR),
    (Stream.PROGRESS, life.PROGRESS),
)


def prepare(folder: str, run: RunSpec, plan: Mapping[str, Any]) -> None:
    """Make the folder with its spec. Raises OSError."""
    os.mkdir(folder, 0o700)
    fill(folder, run, plan)


def fill(folder: str, run: RunSpec, plan: Mapping[str, Any]) -> None:
    """Put the spec into an empty folder. Nothing can begin the run before it is whole. Raises OSError."""
    content = json.dumps({"run": run.to_dict(), "plan": plan}, separators=(",", ":"))
    life.put(f"{folder}/{life.SPEC}", content.encode())


def spec(folder: str) -> RunSpec | None:
    """The run the folder was made for; None if it was never made whole.

    What another version of us wrote may lack or have fields: then the id and the kind have to do.
    """
    try:
        with open(f"{folder}/{life.SPEC}", encoding="utf-8") as file:
            data = json.load(file)["run"]
    except FileNotFoundError:
        return None
    try:
        return RunSpec.from_dict(data)
    except (KeyError, TypeError, ValueError):
        return RunSpec(RunId.parse(os.path.basename(folder)), data["kind"])


def each(runs: str) -> Iterator[str]:
    """The run folders below `runs`."""
    with os.scandir(runs) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    for name in names:
        yield f"{runs}/{name}"


def logs(folder: str) -> Mapping[Stream, LogFile]:
    """The standard streams of a run that has a folder of its own."""
    return {stream: LogFile(f"{folder}/{name}") for stream, name in _STREAMS}


def report(run: RunId, found: Mapping[str, Mapping[str, Any]]) -> RunReport:
    """What a life file says, as a report. A life without `exit` is reported as alive."""
    started, ended = found.get("started"), found.get("exit")
    started_at = started["time"] if started else None
    pid = started["child"] if started else None
    if ended is None:
        return RunReport(run, RunState.RUNNING if started else RunState.PREPARING, started_at, pid=pid)
    fault = Fault(ended["fault"])
    return RunReport(
        run,
        RunState.LOST if fault is Fault.VANISHED else RunState.EXITED,
        started_at,
        ended["time"],
        Exit(ended["code"], fault, ended["detail"]),
        pid,
    )


def with_output(report: RunReport, folder: str) -> RunReport:
    """The report of a run that ended well with the value it left in its output file, if any.

    One that is not JSON, or longer than MAX_RESULT bytes, makes the run a failure: whoever needs the value
    could not go on with it.
    """
    ended = report.exit
    if ended is None or not ended.ok or ended.result is not None:
        return report
    path = f"{folder}/{life.OUTPUT}"
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_RESULT + 1)
    except OSError:
        return report
    if not content.strip():
        return report
    if len(content) > MAX_RESULT:
        problem = f"it has more than {MAX_RESULT} bytes; write a file and hand over its path"
    else:
        try:
            text = json.dumps(json.loads(content, parse_constant=_no_number), separators=(",", ":"))
            return replace(report, exit=replace(ended, result=text))
        except (ValueError, RecursionError) as error:
            problem = str(error)
    detail = f"what it wrote to TRAINMASTER_OUTPUT cannot be handed on: {problem}"
    return replace(report, exit=replace(ended, fault=Fault.BAD_OUTPUT, detail=detail))


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def delete(folder: str) -> None:
    """Remove the folder and all in it; one that is gone already does not matter."""
    empty(folder)
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        pass
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)


def empty(folder: str) -> None:
    """Remove the files we know, the spec first: a spec without a life would be a run to begin."""
    for name in _FILES:
        try:
            os.unlink(f"{folder}/{name}")
        except FileNotFoundError:
            pass
