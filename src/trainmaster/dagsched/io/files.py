"""Reading and writing graph files by format name, or by what the file looks like."""

from __future__ import annotations

import gzip
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any

from trainmaster.dagsched.errors import FormatError, OptionError
from trainmaster.dagsched.graph import TaskGraph

_HERE = "trainmaster.dagsched.io."

# Each module has ``loads(text, **options)`` and ``dumps(graph)``.
FORMATS = {
    "trainmaster": _HERE + "native",
    "wfformat": _HERE + "wfformat",
    "stg": _HERE + "stg",
    "dot": _HERE + "dot",
    "dax": _HERE + "dax",
    "hyperdag": _HERE + "hyperdag",
    "dnn": _HERE + "dnn",
}
_SUFFIXES = {
    ".stg": "stg",
    ".dot": "dot",
    ".gv": "dot",
    ".xml": "dax",
    ".dax": "dax",
    ".hdag": "hyperdag",
    ".txt": "hyperdag",
    ".mtx": "hyperdag",
}


def read_graph(path: str | Path, format: str | None = None, **options: Any) -> TaskGraph:
    """The task graph in a file, plain or gzipped; see the format's module for its ``options``.

    Without ``format`` it is told from the name and the content. Raises ``FormatError``, ``GraphError``,
    ``OptionError`` for an unknown format, ``OSError``.
    """
    path = Path(path)
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FormatError("gzip", path.name, str(error)) from None
        path = path.with_suffix("") if path.suffix == ".gz" else path
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(format or "text", path.name, f"not UTF-8 ({error.reason})") from None
    module = import_module(_known(format or format_of(path, text)))
    try:
        graph: TaskGraph = module.loads(text, **options)
    except TypeError as error:
        if "unexpected keyword argument" in str(error):
            raise OptionError("options", sorted(options), str(error)) from None
        raise
    return graph


def write_graph(graph: TaskGraph, path: str | Path, format: str | None = None) -> None:
    """Write a graph; without ``format`` by the file's suffix, JSON being our own. Gzipped for ``.gz``."""
    path = Path(path)
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    name = format or _SUFFIXES.get(plain.suffix, "trainmaster")
    data = import_module(_known(name)).dumps(graph).encode("utf-8")
    # No time stamp in the archive: the same graph gives the same bytes.
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def format_of(path: Path, text: str) -> str:
    """The format a file seems to have, from its content if JSON or XML, else from its suffix."""
    head = text.lstrip()[:1]
    if head == "{":
        if '"workflow"' in text:
            return "wfformat"
        if '"fpgaLatency"' in text:
            return "dnn"
        return "trainmaster"
    if head == "<":
        return "dax"
    if path.suffix in _SUFFIXES:
        return _SUFFIXES[path.suffix]
    if head == "%":
        return "hyperdag"
    if text.lstrip().startswith(("digraph", "strict digraph")):
        return "dot"
    raise FormatError("graph file", path.name, f"unknown kind; name one of the formats {', '.join(FORMATS)}")


def _known(name: str) -> str:
    if name not in FORMATS:
        raise OptionError("format", name, f"must be one of {', '.join(FORMATS)}")
    return FORMATS[name]
