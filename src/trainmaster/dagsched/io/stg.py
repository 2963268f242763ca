"""Standard task graph sets (STG) of the Kasahara laboratory, with or without communication costs.

The first line is a number of tasks; then a line per task: number, time, number of predecessors, and the
predecessors, each followed by its communication cost in the variant that has them. Lines that begin with
``#`` end the data. The plain variant counts the tasks without its two dummies; both are read.
"""

from __future__ import annotations

from trainmaster.dagsched.errors import FormatError
from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.io.shared import edge_rows, number

NAME = "stg"


def loads(text: str, *, cost: float = 0.0) -> TaskGraph:
    """Read STG; edges get ``cost`` in the variant without. Raises ``FormatError``, ``GraphError``."""
    lines = []
    for count, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            break
        if line.split():
            lines.append((count, line.split()))
    if not lines:
        raise FormatError(NAME, "line 1", "needs the number of tasks")
    declared = _whole(lines[0][1][0], f"line {lines[0][0]}")
    rows = lines[1:]
    if len(rows) not in (declared, declared + 2):
        raise FormatError(NAME, "line 1", f"says {declared} tasks, but {len(rows)} lines follow")
    work = [0.0] * len(rows)
    seen: set[int] = set()
    edges = []
    for count, fields in rows:
        where = f"line {count}"
        if len(fields) < 3:
            raise FormatError(NAME, where, "needs a number, a time and a number of predecessors")
        task, parents = _whole(fields[0], where), _whole(fields[2], where)
        if not 0 <= task < len(rows) or task in seen:
            raise FormatError(NAME, where, f"task {task} is out of range or comes twice")
        seen.add(task)
        work[task] = number(fields[1], NAME, where)
        rest = fields[3:]
        if len(rest) == parents:
            edges += [(_whole(parent, where), task, cost) for parent in rest]
        elif len(rest) == 2 * parents:
            pairs = zip(rest[::2], rest[1::2], strict=True)
            edges += [(_whole(parent, where), task, number(c, NAME, where)) for parent, c in pairs]
        else:
            raise FormatError(NAME, where, f"names {parents} predecessors but has {len(rest)} more fields")
    return TaskGraph(work, edges)


def dumps(graph: TaskGraph) -> str:
    """Write the variant with communication costs. Names are lost."""
    above: list[list[tuple[int, float]]] = [[] for _ in range(graph.n)]
    for u, v, c in edge_rows(graph):
        above[v].append((u, c))
    lines = [str(graph.n)]
    for task, time in enumerate(graph.work.tolist()):
        parents = " ".join(f"{u} {c!r}" for u, c in above[task])
        lines.append(f"{task} {time!r} {len(above[task])} {parents}".rstrip())
    return "\n".join(lines) + "\n"


def _whole(text: str, where: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise FormatError(NAME, where, f"{text!r} is not a whole number") from None
