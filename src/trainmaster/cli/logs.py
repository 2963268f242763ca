"""`trainmaster logs`: pages of a log, or its live end."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from trainmaster.cli.output import AsJson
from trainmaster.cli.target import connect
from trainmaster.domain.errors import InvalidTask

if TYPE_CHECKING:
    from trainmaster.client import Client, LogFilter
    from trainmaster.client.types import LogLine

_PAGE = 2000
_FOLLOWED_TAIL = 200
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-_]?")
_RESET = "\x1b[0m"


class StreamName(StrEnum):
    STDOUT = "stdout"
    STDERR = "stderr"
    RAW = "raw"
    PROGRESS = "progress"


def logs(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="Id, or an unambiguous beginning of it.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the task ends.")] = False,
    tail: Annotated[
        int | None,
        typer.Option("--tail", "-n", min=0, help="Only the last so many lines; with -f, 200 by default."),
    ] = None,
    rank: Annotated[str, typer.Option(help="Which worker, or `all`.")] = "0",
    attempt: Annotated[int | None, typer.Option(min=1, help="Only of this attempt.")] = None,
    stream: Annotated[
        list[StreamName] | None, typer.Option(help="Only this stream; may be repeated.")
    ] = None,
    grep: Annotated[str | None, typer.Option(help="Only lines that match this regular expression.")] = None,
    since: Annotated[str | None, typer.Option(help="Only after this: 10m (ago), 14:30, a date.")] = None,
    until: Annotated[str | None, typer.Option(help="Only before this.")] = None,
    timestamps: Annotated[
        bool, typer.Option("--timestamps", "-t", help="Begin lines with the time.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print a task's log, or follow it. With --json, one object per line."""
    from trainmaster.cli.text import instant
    from trainmaster.client import LogFilter

    now = time.time()
    streams = tuple(name.name for name in stream or ()) or ("STDOUT", "STDERR", "RAW")
    wanted = LogFilter(
        streams=streams,
        attempt=attempt,
        rank=_rank(rank),
        since=None if since is None else instant(since, now, "since"),
        until=None if until is None else instant(until, now, "until"),
        text=grep,
        regex=grep is not None,
    )
    with connect(context) as client:
        found = client.task(task)
        many = wanted.rank is None and found.max_workers > 1
        write = _json_line if as_json else _writer(many, timestamps)
        if follow:
            follow_log(client, found.id, wanted, tail, write)
        elif tail is None:
            for line in client.logs(found.id, wanted):
                write(line)
        else:
            for line in _last(client, found.id, wanted, tail):
                write(line)
    sys.stdout.flush()


def _rank(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdigit():
        raise InvalidTask(f"rank: {text!r} is not a worker", remedy="write a number, or all", field="rank")
    return int(text)


Write = Callable[["LogLine"], None]


def follow_log(
    client: Client,
    task: str,
    wanted: LogFilter | None = None,
    tail: int | None = None,
    write: Write | None = None,
) -> None:
    """Print what there is (the last `tail` lines) and then every new line until the task has ended."""
    from trainmaster.client import LogFilter

    wanted = wanted or LogFilter(streams=("STDOUT", "STDERR", "RAW"))
    write = write or _writer(False, False)
    # Where the log ends at this moment: up to here by pages, which know all filters, then by the stream.
    end = client.log_page(task, limit=1).lines
    mark = end[-1].cursor if end else None
    if mark is not None:
        old: Iterator[LogLine] | list[LogLine]
        if tail is None and wanted.since is not None:
            old = client.logs(task, wanted)
        else:
            old = _last(client, task, wanted, _FOLLOWED_TAIL if tail is None else tail)
        for line in old:
            if line.cursor > mark:
                break
            write(line)
    sys.stdout.flush()
    for line in client.follow(task, replace(wanted, since=None), after=mark or 0):
        write(line)
        sys.stdout.flush()


def _last(client: Client, task: str, wanted: LogFilter, count: int) -> list[LogLine]:
    """The last `count` lines, oldest first, gathered from the end."""
    lines: list[LogLine] = []
    before: int | None = None
    while len(lines) < count:
        page = client.log_page(task, wanted, limit=min(_PAGE, count - len(lines)), before=before)
        lines = page.lines + lines
        before = page.older
        if before is None:
            break
    return lines


def _json_line(line: LogLine) -> None:
    from trainmaster.cli.output import print_json_line

    print_json_line(line)


def _writer(many: bool, timestamps: bool) -> Write:
    """Prints lines: as written into a pipe; harmless to the terminal, standard error in red, on one."""
    terminal = sys.stdout.isatty()
    coloured = terminal and _colours()

    def write(line: LogLine) -> None:
        text = shown(line.text, coloured) if terminal else line.text
        if coloured and line.stream == "STDERR" and "\x1b" not in text:
            text = f"\x1b[31m{text}{_RESET}"
        prefix = ""
        if timestamps:
            prefix = time.strftime("%H:%M:%S", time.localtime(line.time)) + f".{line.time % 1:.3f}"[2:] + " "
        if many:
            prefix += f"{line.rank:>3} | "
        sys.stdout.write(f"{prefix}{text}\n")

    return write


def _colours() -> bool:
    import os

    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def shown(text: str, coloured: bool) -> str:
    """The line without anything that moves the cursor or talks to the terminal; colours stay if wanted."""
    from trainmaster.cli.text import clean

    # A progress bar overwrites its line: what would be left on a terminal is what comes last.
    text = text.rstrip("\r").rpartition("\r")[2]
    parts, end, painted = [], 0, False
    for match in _SEQUENCE.finditer(text):
        parts.append(clean(text[end : match.start()]))
        if coloured and _COLOUR.fullmatch(match[0]):
            parts.append(match[0])
            painted = True
        end = match.end()
    parts.append(clean(text[end:]))
    return "".join(parts) + (_RESET if painted else "")
