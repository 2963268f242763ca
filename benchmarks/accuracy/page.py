"""The table of the results page."""

from __future__ import annotations

from typing import Any

_PEERS = ("trainmaster", "apscheduler_memory", "apscheduler_sqlite")


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: mean / p99 in milliseconds, by size and number of lanes."""
    head = (
        "tasks", "lanes", "Trainmaster, durable", "lost", "APScheduler, memory", "APScheduler, SQLite",
        "ratio of means",
    )  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        mine, memory = row["trainmaster"], row.get("apscheduler_memory", {})
        ratio = f"{mine['mean'] / memory['mean']:.2f}" if memory.get("mean") else "–"
        cells = [_cell(row.get(name, {})) for name in _PEERS]
        size = f"{row['size']:,}"
        words = (size, str(row["lanes"]), cells[0], str(mine["lost"]), cells[1], cells[2], ratio)
        lines.append("| " + " | ".join(words) + " |")
    return "\n".join(lines)


def _cell(told: dict[str, Any]) -> str:
    return f"{told['mean']:.1f} / {told['p99']:.1f}" if told.get("mean") is not None else "–"
