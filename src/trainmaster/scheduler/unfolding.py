"""How far a workflow run has come: which stages have ended, which parts may be submitted next.

A function of the definition and of what became of the parts, in whatever order that is told: after a restart,
and for a run that is resumed, the same state is had by telling it again (`replay`). An end costs what the
stage's successors cost; nothing here looks at the whole graph.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

from trainmaster.domain.errors import (
    InvariantBroken,
    MissingValue,
    TooManyParts,
    TrainmasterError,
    ValueTooLarge,
)
from trainmaster.domain.ids import NodeId, TaskId, WorkflowRunId
from trainmaster.domain.template import Path, fill, reach
from trainmaster.domain.workflow import MAX_PARTS, Graph, Stage, When, count_parts
from trainmaster.domain.workflow_run import STAGE_ENDED, PartEnd, StageState, WorkflowRun, WorkflowState

MAX_OUTPUTS_BYTES = 8 * 1024 * 1024  # of JSON kept of all parts of one stage

_OVER = {StageState.SUCCEEDED, StageState.FAILED, StageState.CANCELLED}


class Order(NamedTuple):
    """A part to be submitted. `error`: why it cannot be, which fails the stage."""

    stage: int
    key: str = ""
    place: int = 0
    total: int | None = None
    item: Any = None
    error: TrainmasterError | None = None


@dataclass(slots=True)
class StageRun:
    """One stage of one run."""

    state: StageState = StageState.WAITING
    waits: int = 0  # stages before it that have not ended
    good: int = 0  # of those before it: succeeded
    bad: int = 0  # of those before it: failed, or skipped because of a failure
    tainted: bool = False  # skipped because of a failure
    made: int = 0  # parts so far
    todo: deque[Order] = field(default_factory=deque)
    open: dict[str, TaskId | WorkflowRunId | None] = field(default_factory=dict)
    ended: int = 0
    failed: int = 0
    cancelled: int = 0
    results: dict[str, str | None] | None = field(default_factory=dict)  # JSON; None: too much of it
    size: int = 0  # of the results, which are kept if somebody will ask for them
    listed: bool = False  # in the backlog
    held: bool = False  # not to end yet
    reason: str = ""
    began: float | None = None
    over: float | None = None
    value: Any = None  # of the results, once somebody asked


class Hold(StrEnum):
    """What a run waits for before anything of it is submitted."""

    TIME = "it waits for the time it is to start at"
    PLAN = "planning"


class Unfolding:
    """`library`: the graphs of all workflows this run may contain, by name."""

    def __init__(self, graph: Graph, run: WorkflowRun, library: Mapping[str, Graph] | None = None) -> None:
        self.graph = graph
        self.run = run
        self.library: Mapping[str, Graph] = library or {}
        self.parameters: dict[str, Any] = json.loads(run.parameters)
        self.stages = [StageRun(waits=len(needs)) for needs in graph.before]
        self.left = len(self.stages)  # stages that have not ended
        self.stopping = False
        self.holds: set[Hold] = set()
        self.open = 0  # parts submitted and not ended
        self.parts_made = self.parts_ended = 0
        self._fresh = deque(number for number in graph.order if not graph.before[number])
        self._backlog: deque[int] = deque()
        for number in self._fresh:
            self.stages[number].state = StageState.READY

    @property
    def finished(self) -> bool:
        return not self.left

    def stage(self, number: int) -> Stage:
        return self.graph.spec.stages[number]

    # --- forward -------------------------------------------------------------------------------------------

    def take(self, most: int, nodes: Sequence[NodeId]) -> list[Order]:
        """The parts to submit now, with at most `most` of the run open. `nodes`: those a broadcast is for.

        They count as open from here on: tell `submitted`, or that they have ended.
        """
        orders: list[Order] = []
        while self._fresh:
            self._divide(self._fresh.popleft(), nodes)
        while self._backlog:
            number = self._backlog[0]
            at = self.stages[number]
            limit = self.stage(number).at_once
            if not at.todo or (limit is not None and len(at.open) >= limit):
                self._backlog.popleft()
                at.listed = False
            elif self.open >= most and not self.stage(number).broadcast:
                break
            else:
                order = at.todo.popleft()
                self._opened(order.stage, order.key, None)
                orders.append(order)
        return orders

    def submitted(self, order: Order, task: TaskId | WorkflowRunId) -> None:
        self.stages[order.stage].open[order.key] = task

    def part_ended(self, end: PartEnd) -> None:
        """A part has succeeded, failed or been cancelled. One that is not open changes nothing."""
        number = self.graph.at.get(end.part.stage)
        if number is None or end.part.key not in self.stages[number].open:
            return
        at = self.stages[number]
        del at.open[end.part.key]
        self.open -= 1
        self.parts_ended += 1
        at.ended += 1
        if end.started_at is not None:
            at.began = end.started_at if at.began is None else min(at.began, end.started_at)
        if end.ended_at is not None:
            at.over = end.ended_at if at.over is None else max(at.over, end.ended_at)
        if end.state is StageState.SUCCEEDED:
            self._succeeded(number, end)
        elif end.state is StageState.CANCELLED:
            at.cancelled += 1
            at.reason = at.reason or f"{end.id} was cancelled"
        else:
            at.failed += 1
            at.reason = at.reason or f"{end.id} failed"
        self._go_on(number)

    def stop(self) -> None:
        """Submit nothing more: what has no open part is cancelled, the rest once its parts have ended."""
        self.stopping = True
        self._fresh.clear()
        self._backlog.clear()
        for at in self.stages:
            if at.state is StageState.FAILED and at.cancelled and not at.failed:
                at.state = StageState.CANCELLED
            self.parts_made -= len(at.todo)
            at.made -= len(at.todo)
            at.todo.clear()
            at.listed = False
            if at.state not in STAGE_ENDED and not at.open:
                at.state = StageState.CANCELLED
                self.left -= 1

    def _divide(self, number: int, nodes: Sequence[NodeId]) -> None:
        """Make the parts of a stage whose turn has come."""
        at, stage = self.stages[number], self.stage(number)
        try:
            at.todo.extend(self._parts(number, stage, nodes))
        except TrainmasterError as error:
            at.todo.append(Order(number, error=error))
        except RecursionError:
            at.todo.append(Order(number, error=nested_too_deeply()))
        at.made = len(at.todo)
        self.parts_made += at.made
        self._go_on(number)

    def _parts(self, number: int, stage: Stage, nodes: Sequence[NodeId]) -> Iterable[Order]:
        if stage.each is not None:
            items = fill(json.loads(stage.each), self.values)
            count = count_parts("each", items, stage.name)
            total = None if stage.emits else count
            return [Order(number, str(n), n, total, item) for n, item in enumerate(items)]
        if stage.shards is not None:
            count = count_parts("shards", fill(json.loads(stage.shards), self.values), stage.name)
            return [Order(number, str(n), n, count) for n in range(count)]
        if stage.broadcast:
            if not nodes:
                raise MissingValue(
                    f"stage {stage.name}: no node takes work", remedy="see `trainmaster nodes`"
                )
            return [Order(number, node, n, len(nodes)) for n, node in enumerate(nodes)]
        return [Order(number)]

    def _opened(self, number: int, key: str, task: TaskId | WorkflowRunId | None) -> None:
        at = self.stages[number]
        at.open[key] = task
        at.state = StageState.RUNNING
        self.open += 1

    def _succeeded(self, number: int, end: PartEnd) -> None:
        at, result, stage = self.stages[number], end.result, self.stage(number)
        if stage.emits and result is not None:
            try:
                result = self._emitted(number, end.part.key, result)
            except (TooManyParts, RecursionError) as error:
                at.failed += 1
                at.reason = at.reason or str(error)
        if at.results is None or not self.graph.named[number]:
            return
        at.results[end.part.key] = result
        at.size += len(result or "")
        if stage.divided and at.size > MAX_OUTPUTS_BYTES:
            at.results = None

    def _emitted(self, number: int, key: str, result: str) -> str | None:
        """Further parts from what one returned; and what it returned besides. Raises TooManyParts."""
        value = json.loads(result)
        if not isinstance(value, dict) or not isinstance(items := value.get("emit"), list):
            return result
        at = self.stages[number]
        if at.made + len(items) > MAX_PARTS:
            name = self.stage(number).name
            raise TooManyParts(f"stage {name} emitted more than {MAX_PARTS} parts", stage=name)
        prefix = f"{key}." if key else ""
        for n, item in enumerate(items):
            at.todo.append(Order(number, f"{prefix}{n}", at.made + n, None, item))
        at.made += len(items)
        self.parts_made += len(items)
        return json.dumps(value["output"]) if value.get("output") is not None else None

    def _go_on(self, number: int) -> None:
        at = self.stages[number]
        if at.todo:
            if self.stopping:
                self.parts_made -= len(at.todo)
                at.made -= len(at.todo)
                at.todo.clear()
            elif not at.listed:
                at.listed = True
                self._backlog.append(number)
        if not at.todo and not at.open and not at.held:
            self._stage_over(number)

    def _stage_over(self, number: int) -> None:
        at = self.stages[number]
        if self.stopping and (at.cancelled or at.ended < at.made):
            state = StageState.CANCELLED
        elif at.failed or at.cancelled:
            state = StageState.FAILED
        else:
            state = StageState.SUCCEEDED
        self._settle(number, state)

    def _settle(self, number: int, state: StageState) -> None:
        """A stage has ended; decide on those behind it, and on those behind what is thereby skipped."""
        settled = [(number, state)]
        while settled:
            number, state = settled.pop()
            at = self.stages[number]
            at.state = state
            self.left -= 1
            if self.stopping:
                continue
            for behind in self.graph.behind[number]:
                follower = self.stages[behind]
                follower.waits -= 1
                follower.good += state is StageState.SUCCEEDED
                follower.bad += state in (StageState.FAILED, StageState.CANCELLED) or at.tainted
                if follower.state is not StageState.WAITING:
                    continue
                runs = self._condition(behind)
                if runs:
                    follower.state = StageState.READY
                    self._fresh.append(behind)
                elif runs is False:
                    follower.tainted = follower.bad > 0
                    follower.reason = self._why_skipped(behind)
                    settled.append((behind, StageState.SKIPPED))

    def _condition(self, number: int) -> bool | None:
        """Does the condition of a stage hold? None while that is open."""
        at, when = self.stages[number], self.stage(number).when
        if when is When.ANY and at.good:
            return True
        if at.waits:
            return None
        if when is When.ALL:
            return at.good == len(self.graph.before[number])
        if when is When.FAILED:
            return at.bad > 0
        return when is When.ALWAYS

    def _why_skipped(self, number: int) -> str:
        when = self.stage(number).when
        told = [
            f"{self.stage(need).name} {self.stages[need].state.lower()}"
            for need in self.graph.before[number]
            if when is When.FAILED or self.stages[need].state is not StageState.SUCCEEDED
        ]
        more = f" and {len(told) - 3} more" if len(told) > 3 else ""
        return f"it runs when {WHEN_WORDS[when]}; {', '.join(told[:3])}{more}"

    # --- again ---------------------------------------------------------------------------------------------

    def replay(self, recorded: Iterable[PartEnd]) -> None:
        """Tell what is known of earlier submitted parts, at the beginning. RUNNING ones are open again.

        Parts of the latest round count, and of earlier ones those that succeeded, unless the stage has been
        done again since (`WorkflowRun.since`).
        """
        known: dict[int, dict[str, PartEnd]] = {}
        for end in recorded:
            number = self.graph.at.get(end.part.stage)
            if number is not None:
                parts = known.setdefault(number, {})
                before = parts.get(end.part.key)
                if before is None or before.part.round < end.part.round:
                    parts[end.part.key] = end
        later: deque[int] = deque()
        while self._fresh:
            number = self._fresh.popleft()
            since = self.run.since[number] if self.run.since else 0
            parts = known.get(number, {})
            counting = {key: end for key, end in parts.items() if self._counts(end, since)}
            if self.stage(number).broadcast and not counting:
                later.append(number)
            else:
                self._replay_stage(number, counting)
        self._fresh.extend(later)

    def _counts(self, end: PartEnd, since: int) -> bool:
        if end.part.round == self.run.round:
            return True
        return end.part.round >= since and end.state is StageState.SUCCEEDED

    def _replay_stage(self, number: int, parts: Mapping[str, PartEnd]) -> None:
        at = self.stages[number]
        at.held = True
        in_order = sorted(parts.values(), key=lambda end: end.part.index)
        self._divide(number, [NodeId(end.part.key) for end in in_order])
        waiting: deque[Order] = deque()
        while at.todo:
            order = at.todo.popleft()
            end = parts.get(order.key)
            if end is None:
                waiting.append(order)
                continue
            self._opened(number, order.key, end.id)
            if end.state in _OVER:
                self.part_ended(end)
        at.todo = waiting
        at.held = False
        self._go_on(number)

    # --- values --------------------------------------------------------------------------------------------

    def values(self, path: Path, order: Order | None = None) -> Any:
        """What an expression stands for. Raises MissingValue, ValueTooLarge."""
        root, whole = path[0], ".".join(path)
        if root == "params":
            return reach(self.parameters, path[1:], whole)
        if root == "stages":
            return self._of_stage(path, whole)
        if root == "run":
            run = self.run
            of_run = {"id": run.id, "workflow": run.workflow, "version": run.version, "round": run.round}
            return reach(of_run, path[1:], whole)
        if order is not None and root in ("item", "index", "total"):
            known = {"item": order.item, "index": order.place, "total": order.total}
            return reach(known[root], path[1:], whole)
        raise MissingValue(f"${{{{ {whole} }}}} has no value here", path=whole)

    def _of_stage(self, path: Path, whole: str) -> Any:
        number = self.graph.at[path[1]]
        at, divided = self.stages[number], self.stage(number).divided
        if path[2] == "state":
            return str(at.state)
        if at.results is None:
            raise ValueTooLarge(
                f"${{{{ {whole} }}}}: its parts returned more than {MAX_OUTPUTS_BYTES} bytes",
                stage=path[1],
            )
        if at.state not in STAGE_ENDED:
            raise MissingValue(f"${{{{ {whole} }}}}: {path[1]} has not ended", path=whole)
        if at.value is None:
            results = at.results
            keys = sorted(results, key=_place) if divided else list(results)
            at.value = [None if (text := results[key]) is None else json.loads(text) for key in keys]
        value = at.value
        if path[2] == "output" and not divided:
            value = value[0] if value else None
        return reach(value, path[3:], whole)

    # --- looking -------------------------------------------------------------------------------------------

    def letters(self) -> str:
        return "".join(at.state.letter for at in self.stages)

    def check(self) -> None:
        """Raise InvariantBroken if the counts disagree. Looks at everything."""
        left = sum(at.state not in STAGE_ENDED for at in self.stages)
        opened = sum(len(at.open) for at in self.stages)
        made = sum(at.made for at in self.stages)
        ended = sum(at.ended for at in self.stages)
        if (left, opened, made, ended) != (self.left, self.open, self.parts_made, self.parts_ended):
            raise InvariantBroken(f"the counts of {self.run.id} disagree", run=self.run.id)
        for number, at in enumerate(self.stages):
            if at.state in STAGE_ENDED and (at.open or at.todo):
                raise InvariantBroken(f"{self.stage(number).name} has ended with open parts", run=self.run.id)


def nested_too_deeply() -> ValueTooLarge:
    return ValueTooLarge("what it is given is nested too deeply", remedy="hand over the path of a file")


WHEN_WORDS = {
    When.ALL: "all before it succeed",
    When.ANY: "one before it succeeds",
    When.FAILED: "one before it fails",
    When.ALWAYS: "all before it have ended",
}


def resumed(graph: Graph, run: WorkflowRun, recorded: Sequence[PartEnd]) -> WorkflowRun:
    """The row with which an ended run is resumed: another round, in which everything is due that has not
    succeeded, and all that follows it. Of a stage that failed the parts that succeeded still count."""
    before = Unfolding(graph, run)
    before.replay(recorded)
    round_ = run.round + 1
    since = list(run.since) or [0] * len(before.stages)
    touched = [False] * len(since)
    for number in graph.order:
        if any(touched[need] for need in graph.before[number]):
            since[number] = round_
            touched[number] = True
        else:
            touched[number] = before.stages[number].state not in (StageState.SUCCEEDED, StageState.SKIPPED)
    return replace(
        run, state=WorkflowState.RUNNING, stopping="", reason="", outputs="{}", stages="", ended_at=None,
        round=round_, since=tuple(since),
    )  # fmt: skip


def _place(key: str) -> tuple[tuple[int, int, str], ...]:
    """Parts in order: by number and by what emitted them; nodes by name."""
    return tuple((0, int(word), "") if word.isdecimal() else (1, 0, word) for word in key.split(".") if key)
