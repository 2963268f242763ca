"""DOT of Graphviz: a ``digraph`` of nodes, edges (chains and ``{ }`` groups too) and attributes.

Ports are skipped, HTML labels refused. Subgraphs are read for their nodes and edges only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from trainmaster.dagsched.errors import FormatError
from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.io.shared import edge_rows, names_of, number, positive

NAME = "dot"
TOKEN = re.compile(
    r"""\s+|//[^\n]*|/\*.*?\*/|^\#[^\n]*
    |(?P<quoted>"(?:\\.|[^"\\])*")
    |(?P<arrow>->|--)
    |(?P<mark>[{}\[\]=;,:])
    |(?P<word>[^\s{}\[\]=;,:"<>-]+(?:-(?![->])[^\s{}\[\]=;,:"<>-]*)*|-\.?[0-9][0-9.eE+-]*)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
WORK_KEYS = ("work", "weight", "size", "time", "cost")
COST_KEYS = ("cost", "weight", "size", "data")


def loads(
    text: str,
    *,
    speed: float = 1.0,
    bandwidth: float = 1.0,
    work: str | None = None,
    cost: str | None = None,
    default_work: float = 1.0,
    default_cost: float = 1.0,
) -> TaskGraph:
    """Read a digraph; tasks in order of first mention, named as in the file.

    ``work`` and ``cost`` name the attributes to read (by default the first there is of work, weight, size,
    time, cost for nodes and of cost, weight, size, data for edges); they are divided by ``speed`` and
    ``bandwidth``. What has no such attribute gets the default. Raises ``FormatError``, ``GraphError``.
    """
    positive(speed, "speed", NAME)
    positive(bandwidth, "bandwidth", NAME)
    reader = _Reader(list(_tokens(text)))
    reader.document()
    work_keys = WORK_KEYS if work is None else (work,)
    cost_keys = COST_KEYS if cost is None else (cost,)
    names = list(reader.nodes)
    index = {name: i for i, name in enumerate(names)}
    times = [_pick(reader.nodes[name], work_keys, default_work, name) / speed for name in names]
    edges = [
        (index[u], index[v], _pick(given, cost_keys, default_cost, f"{u} -> {v}") / bandwidth)
        for u, v, given in reader.edges
    ]
    return TaskGraph(times, edges, names)


def dumps(graph: TaskGraph) -> str:
    """Write a digraph with the attributes ``work`` and ``cost``."""
    names = [_quote(name) for name in names_of(graph)]
    lines = ["digraph G {"]
    for name, time in zip(names, graph.work.tolist(), strict=True):
        lines.append(f'  {name} [work="{time!r}"];')
    for u, v, c in edge_rows(graph):
        lines.append(f'  {names[u]} -> {names[v]} [cost="{c!r}"];')
    return "\n".join([*lines, "}"]) + "\n"


def _quote(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _pick(given: dict[str, str], keys: tuple[str, ...], default: float, where: str) -> float:
    for key in keys:
        if key in given:
            return number(given[key], NAME, where)
    return default


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            line = text.count("\n", 0, at) + 1
            raise FormatError(NAME, f"line {line}", f"cannot read {text[at : at + 12]!r}")
        at = found.end()
        kind = found.lastgroup
        if kind is None:
            continue
        value = found.group()
        if kind == "quoted":
            yield "name", re.sub(r"\\(.)", r"\1", value[1:-1])
        else:
            yield ("name" if kind == "word" else "mark"), value


class _Reader:
    """A recursive-descent reader of the tokens."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.at = 0
        self.nodes: dict[str, dict[str, str]] = {}
        self.edges: list[tuple[str, str, dict[str, str]]] = []
        self.defaults: dict[str, dict[str, str]] = {"node": {}, "edge": {}, "graph": {}}

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def next(self) -> tuple[str, str]:
        token = self.peek()
        self.at += 1
        return token

    def expect(self, value: str) -> None:
        token = self.next()
        if token != ("mark", value):
            raise FormatError(NAME, f"token {self.at}", f"expected {value!r}, found {token[1]!r}")

    def document(self) -> None:
        _, value = self.next()
        if value.lower() == "strict":
            _, value = self.next()
        if value.lower() != "digraph":
            raise FormatError(NAME, "document", "must be a digraph")
        if self.peek()[0] == "name":
            self.next()
        self.body()

    def body(self) -> list[str]:
        """``{ … }``; the nodes mentioned in it."""
        self.expect("{")
        mentioned: list[str] = []
        while self.peek() != ("mark", "}"):
            if self.peek()[0] == "end":
                raise FormatError(NAME, "end of file", "a closing } is missing")
            if self.peek() in (("mark", ";"), ("mark", ",")):
                self.next()
                continue
            mentioned += self.statement()
        self.next()
        return mentioned

    def statement(self) -> list[str]:
        kind, value = self.peek()
        if kind == "name" and value.lower() in self.defaults and self.after(1) == "[":
            self.next()
            self.defaults[value.lower()].update(self.attributes())
            return []
        if kind == "name" and self.after(1) == "=":
            self.at += 2
            self.next()
            return []
        groups = [self.group()]
        while self.peek()[1] == "->":
            self.next()
            groups.append(self.group())
        if self.peek()[1] == "--":
            raise FormatError(NAME, f"token {self.at}", "undirected edges have no place in a task graph")
        given = self.attributes()
        if len(groups) == 1:
            for name in groups[0]:
                self.nodes[name].update(given)
        for left, right in pairwise(groups):
            self.edges += [(u, v, {**self.defaults["edge"], **given}) for u in left for v in right]
        return [name for group in groups for name in group]

    def after(self, steps: int) -> str:
        at = self.at + steps
        return self.tokens[at][1] if at < len(self.tokens) else ""

    def group(self) -> list[str]:
        kind, value = self.peek()
        if kind == "name" and value.lower() == "subgraph":
            self.next()
            if self.peek()[0] == "name":
                self.next()
            return self.body()
        if (kind, value) == ("mark", "{"):
            return self.body()
        if kind != "name":
            raise FormatError(NAME, f"token {self.at}", f"expected a node, found {value!r}")
        self.next()
        while self.peek() == ("mark", ":"):
            self.at += 2
        self.nodes.setdefault(value, dict(self.defaults["node"]))
        return [value]

    def attributes(self) -> dict[str, str]:
        given: dict[str, str] = {}
        while self.peek() == ("mark", "["):
            self.next()
            while self.peek() != ("mark", "]"):
                kind, key = self.next()
                if kind == "end":
                    raise FormatError(NAME, "end of file", "a closing ] is missing")
                if kind == "mark":
                    continue
                if self.peek() == ("mark", "="):
                    self.next()
                    given[key.lower()] = self.next()[1]
            self.next()
        return given
