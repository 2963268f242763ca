"""What the lines of a progress file mean: metrics, and words of elastic groups (docs/adr/0007)."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

from trainmaster.domain.events import Event, GroupBroken, TrainingConverged, WorkerJoined, WorkerReady
from trainmaster.domain.ids import RunId
from trainmaster.domain.learned import Phase
from trainmaster.domain.run import LogChunk
from trainmaster.ports import Metric

_LONGEST_REPORT = 256 * 1024
_MEMBERS = 10_000


def parse_progress(chunk: LogChunk) -> tuple[LogChunk, list[Metric], list[Event]]:
    """The whole lines of a PROGRESS chunk, and what they say. A cut last line is left for the next poll.

    Lines that are not objects of the expected kinds are passed over: a training program may write what it
    likes.
    """
    data = chunk.data
    if not chunk.last and len(data) < _LONGEST_REPORT:
        data = data[: data.rfind(b"\n") + 1]
    metrics: list[Metric] = []
    events: list[Event] = []
    for line in data.split(b"\n"):
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if not isinstance(told, dict):
            continue
        if "group" in told:
            try:
                event = _group_word(chunk.run, told)
            except (TypeError, ValueError, KeyError):
                continue
            if event is not None:
                events.append(event)
            if told["group"] != "shares":
                continue
            told = _shares(told)
        metric = _metric(chunk, told)
        if metric is not None:
            metrics.append(metric)
    whole = len(data) == len(chunk.data)
    return replace(chunk, data=data, last=chunk.last and whole), metrics, events


def _metric(chunk: LogChunk, told: dict[str, Any]) -> Metric | None:
    values = {
        str(name)[:64]: float(value)
        for name, value in told.items()
        if name not in ("t", "step") and isinstance(value, int | float) and math.isfinite(value)
    }
    at, step = told.get("t", chunk.time), told.get("step", 0)
    if not isinstance(at, int | float) or not isinstance(step, int | float):
        return None
    return Metric(chunk.run, float(at), float(step), values)


def _group_word(run: RunId, told: dict[str, Any]) -> Event | None:
    """Raises TypeError, ValueError or KeyError for a word that is not as it should be."""
    word = told["group"]
    if word == "ready":
        return WorkerReady(run, str(told["store"])[:255])
    if word == "joined":
        return WorkerJoined(run, int(told["generation"]), float(told.get("step", 0)))
    if word == "broken":
        suspects = tuple(int(rank) for rank in list(told.get("suspects", ()))[:_MEMBERS])
        return GroupBroken(run, int(told["generation"]), suspects, str(told.get("why", ""))[:300])
    if word in ("plateau", "finished", "training"):
        return TrainingConverged(run, Phase.NONE if word == "training" else Phase(word))
    return None


def _shares(told: dict[str, Any]) -> dict[str, Any]:
    """The leader's word on who does how much, as metrics: `share/3`, `speed/3`, `step_s`; and over all
    `workers` and `samples_s`."""
    known = ("t", "step", "step_s", "samples_s")
    flat: dict[str, Any] = {name: told[name] for name in known if name in told}
    for many, one in (("shares", "share"), ("speeds", "speed")):
        named = told.get(many)
        if isinstance(named, dict):
            flat.update({f"{one}/{rank}": value for rank, value in list(named.items())[:_MEMBERS]})
            if many == "shares":
                flat = _in_all(named, told.get("step_s")) | flat
    return flat


def _in_all(shares: dict[str, Any], step_s: Any) -> dict[str, float]:
    counts = [count for count in shares.values() if isinstance(count, int | float)]
    whole: dict[str, float] = {"workers": len(counts)}
    if isinstance(step_s, int | float) and step_s > 0:
        whole["samples_s"] = sum(counts) / step_s
    return whole
