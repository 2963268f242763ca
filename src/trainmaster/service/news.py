"""From what agents answer to events and rows: the sink of the engines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from trainmaster.domain.cluster import Node
from trainmaster.domain.events import (
    Event,
    NodeFellSilent,
    NodeJoined,
    NodeMeasured,
    NodeReturned,
    NodeVanished,
    ProgressReported,
    RunReported,
)
from trainmaster.domain.ids import NodeId, RunId
from trainmaster.domain.run import RunGauge, Stream
from trainmaster.ports import Clock, Metric, PollResult
from trainmaster.service.loop import Loop
from trainmaster.service.told import parse_progress


class News:
    """Implements `ports.Sink`. Remembers what is durable of every log, so that polling resumes exactly."""

    def __init__(
        self, loop: Loop, clock: Clock, offsets: Mapping[tuple[RunId, Stream], int], on_gauges: Gauged
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._offsets: dict[NodeId, dict[tuple[RunId, Stream], int]] = {}
        self._restored = dict(offsets)
        self._closed: dict[NodeId, set[tuple[RunId, Stream]]] = {}
        self._silent: set[NodeId] = set()
        self._on_gauges = on_gauges

    async def node_up(self, node: Node, result: PollResult) -> None:
        now = self._clock.now()
        joined = replace(node, seen_at=now, joined_at=now, incarnation=result.incarnation)
        known = self._offsets.setdefault(node.id, {})
        for report in result.changed:
            for stream in Stream:
                offset = self._restored.pop((report.id, stream), None)
                if offset is not None:
                    known[(report.id, stream)] = offset
        self._silent.discard(node.id)
        await self._deliver(node.id, [NodeJoined(joined, result.changed)], result)

    async def polled(self, node: NodeId, result: PollResult) -> None:
        events: list[Event] = []
        if node in self._silent:
            self._silent.discard(node)
            events.append(NodeReturned(node))
        events += [RunReported(node, report) for report in result.changed]
        await self._deliver(node, events, result)

    async def node_silent(self, node: NodeId) -> None:
        self._silent.add(node)
        await self._loop.deliver([NodeFellSilent(node)])

    async def node_gone(self, node: NodeId) -> None:
        await self._loop.deliver([NodeVanished(node)])

    def acks(self, node: NodeId) -> Mapping[tuple[RunId, Stream], int]:
        known = self._offsets.setdefault(node, {})
        acks = dict(known)
        # A closed stream is acknowledged once more, so that the agent may forget it, and then by silence.
        for key in self._closed.pop(node, ()):
            known.pop(key, None)
        return acks

    async def _deliver(self, node: NodeId, events: list[Event], result: PollResult) -> None:
        logs, metrics = [], []
        for chunk in result.logs:
            if chunk.stream is Stream.PROGRESS:
                chunk, told, words = parse_progress(chunk)
                metrics += told
                events += words
            if chunk.data or chunk.last:
                logs.append(chunk)
        events += map(reported, _latest(metrics))
        if result.gauges is not None:
            events.append(NodeMeasured(node, result.gauges, result.index))
            self._on_gauges(node, result.run_gauges)
        if events or logs or metrics:
            await self._loop.deliver(events, logs, metrics)
        known = self._offsets.setdefault(node, {})
        for chunk in logs:
            key = (chunk.run, chunk.stream)
            known[key] = max(known.get(key, 0), chunk.offset + len(chunk.data))
            if chunk.last:
                self._closed.setdefault(node, set()).add(key)


Gauged = Callable[[NodeId, tuple[RunGauge, ...]], None]


def reported(metric: Metric) -> ProgressReported:
    return ProgressReported(metric.run, metric.time, metric.step, dict(metric.values))


def _latest(metrics: list[Metric]) -> list[Metric]:
    """One report of each run: the last of this poll, with what earlier ones of it said besides."""
    found: dict[RunId, Metric] = {}
    for metric in metrics:
        before = found.get(metric.run)
        values = {**before.values, **metric.values} if before is not None else metric.values
        found[metric.run] = replace(metric, values=values)
    return list(found.values())
