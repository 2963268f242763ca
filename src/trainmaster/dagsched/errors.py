"""What can be wrong with a task graph, a request for a plan, or a plan.

Every error carries the facts as fields and its text names the remedy.
"""

from __future__ import annotations


class DagschedError(Exception):
    """Base of every error of this library."""


class GraphError(DagschedError, ValueError):
    """The task graph itself is wrong."""


class EmptyGraphError(GraphError):
    """A graph without tasks."""

    def __init__(self) -> None:
        super().__init__("the graph has no tasks; give at least one entry in work")


class WeightError(GraphError):
    """A task time or an edge cost that is negative, NaN or infinite.

    Fields: ``what`` ("work" or "cost"), ``index`` (task or edge position), ``value``.
    """

    def __init__(self, what: str, index: int, value: float) -> None:
        self.what, self.index, self.value = what, index, value
        super().__init__(f"{what}[{index}] is {value}; every {what} must be finite and not negative")


class WeightOverflowError(GraphError):
    """The weights are finite but their sum is not.

    Fields: ``what`` ("work", "cost" or "work and cost").
    """

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"the sum of all {what} overflows a 64-bit float; scale the weights down")


class DanglingEdgeError(GraphError):
    """An edge that names a task the graph does not have.

    Fields: ``edge`` (position), ``source``, ``target``, ``tasks`` (number of tasks).
    """

    def __init__(self, edge: int, source: int, target: int, tasks: int) -> None:
        self.edge, self.source, self.target, self.tasks = edge, source, target, tasks
        super().__init__(
            f"edge {edge} runs from {source} to {target}, but tasks are numbered 0 to {tasks - 1}; "
            "correct the edge or add the task"
        )


class DuplicateEdgeError(GraphError):
    """Two edges between the same two tasks.

    Fields: ``source``, ``target``.
    """

    def __init__(self, source: int, target: int) -> None:
        self.source, self.target = source, target
        super().__init__(
            f"there are two edges from {source} to {target}; merge them into one (the larger or summed cost)"
        )


class CycleError(GraphError):
    """The graph is not acyclic.

    Fields: ``cycle``: tasks in order; the last one leads back to the first.
    """

    def __init__(self, cycle: tuple[int, ...]) -> None:
        self.cycle = cycle
        shown = cycle if len(cycle) <= 12 else (*cycle[:6], "…", *cycle[-5:])
        path = " → ".join(str(task) for task in (*shown, cycle[0]))
        super().__init__(f"the graph has a cycle: {path}; remove one of these edges")


class ShapeError(GraphError):
    """Arrays whose shapes or types do not fit together.

    Fields: ``what`` (which argument), ``reason``.
    """

    def __init__(self, what: str, reason: str) -> None:
        self.what, self.reason = what, reason
        super().__init__(f"{what}: {reason}")


class RequestError(DagschedError, ValueError):
    """The request for a plan is wrong, not the graph."""


class ProcessorsError(RequestError):
    """A number of processors, their speeds or their task times that cannot be used.

    Fields: ``processors`` (what was given), ``reason``.
    """

    def __init__(self, processors: object, reason: str) -> None:
        self.processors, self.reason = processors, reason
        super().__init__(f"processors={processors!r}: {reason}")


class UnknownAlgorithmError(RequestError):
    """A name that no algorithm has.

    Fields: ``name``, ``known``.
    """

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name, self.known = name, known
        super().__init__(f"no algorithm is called {name!r}; choose one of: {', '.join(known)}")


class OptionError(RequestError):
    """An option out of its range, or one that an algorithm does not have.

    Fields: ``option``, ``value``, ``reason``.
    """

    def __init__(self, option: str, value: object, reason: str) -> None:
        self.option, self.value, self.reason = option, value, reason
        super().__init__(f"{option}={value!r}: {reason}")


class MissingExtraError(RequestError):
    """A feature whose optional package is not installed.

    Fields: ``feature``, ``package``.
    """

    def __init__(self, feature: str, package: str) -> None:
        self.feature, self.package = feature, package
        super().__init__(f"{feature} needs the package {package}; install it with: pip install {package}")


class FormatError(DagschedError, ValueError):
    """A file that is not in the format it was read as.

    Fields: ``format``, ``where`` (line, element or key), ``reason``.
    """

    def __init__(self, format: str, where: str, reason: str) -> None:
        self.format, self.where, self.reason = format, where, reason
        super().__init__(f"{format}, {where}: {reason}")


class PlanError(DagschedError):
    """A plan breaks a rule. ``rule`` is a short fixed name of it."""

    rule = "plan"


class MissingTaskError(PlanError):
    """A task that no processor runs. Fields: ``task``."""

    rule = "every task has a copy"

    def __init__(self, task: int) -> None:
        self.task = task
        super().__init__(f"task {task} is on no processor; every task needs at least one copy")


class PlacementError(PlanError):
    """A placement with an impossible task, processor, time or length.

    Fields: ``row`` (position in placements), ``task``, ``processor``, ``reason``.
    """

    rule = "placements are well formed"

    def __init__(self, row: int, task: int, processor: int, reason: str) -> None:
        self.row, self.task, self.processor, self.reason = row, task, processor, reason
        super().__init__(f"placement {row} (task {task} on processor {processor}): {reason}")


class OverlapError(PlanError):
    """Two tasks on one processor at the same time.

    Fields: ``processor``, ``first``, ``second`` (tasks), ``until`` (finish of the first), ``start``.
    """

    rule = "a processor runs one task at a time"

    def __init__(self, processor: int, first: int, second: int, until: float, start: float) -> None:
        self.processor, self.first, self.second, self.until, self.start = (
            processor,
            first,
            second,
            until,
            start,
        )
        super().__init__(
            f"processor {processor} still runs task {first} until {until} "
            f"when task {second} starts at {start}"
        )


class PrecedenceError(PlanError):
    """A copy that starts before the data of a parent is there.

    Fields: ``task``, ``parent``, ``processor``, ``start``, ``arrival`` (earliest, inf if never).
    """

    rule = "a task starts after its inputs arrive"

    def __init__(self, task: int, parent: int, processor: int, start: float, arrival: float) -> None:
        self.task, self.parent, self.processor, self.start, self.arrival = (
            task,
            parent,
            processor,
            start,
            arrival,
        )
        super().__init__(
            f"task {task} starts at {start} on processor {processor}, "
            f"but the data of its parent {parent} arrives there at {arrival}"
        )


class PortError(PlanError):
    """Two transfers through one port at the same time, or a transfer of data that is not there.

    Fields: ``processor``, ``direction`` ("send" or "receive"), ``source``, ``target``, ``reason``.
    """

    rule = "a port carries one transfer at a time"

    def __init__(self, processor: int, direction: str, source: int, target: int, reason: str) -> None:
        self.processor, self.direction, self.source, self.target, self.reason = (
            processor,
            direction,
            source,
            target,
            reason,
        )
        super().__init__(
            f"processor {processor}, {direction} port, transfer of task {source} to task {target}: {reason}"
        )


class DeadlockError(PlanError):
    """Per-processor orders that wait for each other for ever.

    Fields: ``waiting``: for each stuck processor the task at the head of its list.
    """

    rule = "the orders of the processors fit the graph"

    def __init__(self, waiting: tuple[int, ...]) -> None:
        self.waiting = waiting
        super().__init__(
            f"tasks {waiting} wait for tasks further back in the processors' lists; "
            "order every list by a topological order"
        )


class ExecutionError(DagschedError):
    """A planned function failed, or the process that ran it ended.

    Fields: ``task``, ``processor``, ``detail``.
    """

    def __init__(self, task: int, processor: int, detail: str) -> None:
        self.task, self.processor, self.detail = task, processor, detail
        super().__init__(f"task {task} on lane {processor} failed: {detail}")
