"""The demo as it looks: a table that moves, and one that stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainmaster.cli.output import add, cell, state, table
from trainmaster.cli.showcase.watch import Row
from trainmaster.cli.text import NOTHING, span, sparkline, standing

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_CURVE = 7


def progress(rows: Sequence[Row]) -> Table:
    """One line for each task, as it is now. Fits 80 columns."""
    made = table("task", "priority", "state", "node", ">epoch", ">acc.", ">waited", ">ran", "")
    for row in rows:
        task = row.task
        add(
            made,
            cell(row.job.name, "bold" if row.training else "dim" if task.ended else ""),
            cell(standing(task), "bold magenta" if task.urgency == "highest" else ""),
            state(task.state),
            cell(",".join(task.nodes) or NOTHING),
            cell(f"{row.epoch}/{row.job.epochs}" if row.epoch else NOTHING),
            _accuracy(row),
            cell(span(task.waited_s)),
            cell(span(task.ran_s) if task.first_started_at else NOTHING),
            _remark(row),
        )
    return made


def _accuracy(row: Row) -> Text:
    return cell(NOTHING if row.accuracy is None else f"{row.accuracy:.3f}")


def _remark(row: Row) -> Text:
    if row.task.state == "INTERRUPTED":
        return cell(f"by {row.interrupted_by.rpartition(' ')[2]}", "yellow")
    if row.training and not row.heard:
        return cell("loading", "dim")  # torch takes seconds
    return cell(sparkline(row.accuracies, _CURVE), "cyan")


def result(rows: Sequence[Row]) -> Table:
    made = table("task", "priority", ">waited", "node", ">ran", ">acc.", "state", "")
    for row in rows:
        task = row.task
        add(
            made,
            cell(row.job.name),
            cell(standing(task)),
            cell(span(task.waited_s)),
            cell("→".join(node.removeprefix("node-") if n else node for n, node in enumerate(row.nodes))),
            cell(span(task.ran_s)),
            _accuracy(row),
            state(task.state),
            cell(_history(row), "yellow"),
        )
    return made


def _history(row: Row) -> str:
    return f"yielded ×{row.task.interruptions}" if row.task.interruptions else ""


def summary(rows: Sequence[Row], took_s: float) -> str:
    """In words, what the table says."""
    well = sum(row.task.ok for row in rows)
    parts = [f"{well} of {len(rows)} tasks succeeded in {span(took_s)}"]
    for row in rows:
        if row.task.interruptions and row.interrupted_at is not None:
            resumed = "" if row.resumed_at is None else f" and went on with epoch {row.resumed_at}"
            parts.append(f"{row.job.name} was interrupted at epoch {row.interrupted_at}{resumed}")
    lost = sum(row.task.losses for row in rows)
    parts.append(f"{lost or 'none'} lost")
    mean = sum(row.task.waited_s for row in rows) / len(rows)
    return f"{'; '.join(parts)}. Mean wait {span(mean)}."


def in_one_line(rows: Sequence[Row]) -> str:
    """For a log: how far it is."""
    running = sum(row.training for row in rows)
    ended = sum(row.task.ended for row in rows)
    best = max((row.accuracy or 0.0 for row in rows), default=0.0)
    waiting = len(rows) - running - ended
    return f"{running} running, {waiting} waiting, {ended} done; best accuracy {best:.3f}"
