"""A simulated run as a picture: workers on nodes over time, curves below. The same run, the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from html import escape

from trainmaster.domain.cluster import Node
from trainmaster.domain.units import format_duration
from trainmaster.simulator.trace import Bar, Point, Trace, rows_of

_ROW, _GAP, _LEFT, _RIGHT, _TOP = 14, 6, 90, 40, 30
_CURVE = 90
_CURVES: tuple[tuple[str, Callable[[Point], float]], ...] = (
    ("tasks that wait", lambda point: point.waiting),
    ("tasks that run", lambda point: point.running),
    ("workers", lambda point: point.workers),
    ("points earned", lambda point: point.reward),
)


def gantt_svg(trace: Trace, nodes: Sequence[Node], *, width: int = 1200) -> str:
    """A row for each worker a node holds at a time; a task has one colour everywhere. Below: how many wait,
    run and train, and the points earned."""
    rows = rows_of(trace.bars, nodes)
    end = max([trace.points[-1].time if trace.points else 0.0, *(bar.end for bar in trace.bars)], default=0.0)
    end = end or 1.0
    plot = width - _LEFT - _RIGHT
    parts: list[str] = []
    y = _TOP
    for node, lines in rows.items():
        height = max(len(lines), 1) * _ROW
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + height / 2 + 4:.1f}" text-anchor="end">{escape(node)}</text>'
        )
        parts.append(f'<rect x="{_LEFT}" y="{y}" width="{plot}" height="{height}" fill="#f3f3f1"/>')
        for at, line in enumerate(lines):
            parts += [_bar(bar, y + at * _ROW, plot / end, trace) for bar in line]
        y += height + _GAP
    for number in range(6):
        x = _LEFT + plot * number / 5
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{y}" stroke="#00000018"/>')
        parts.append(
            f'<text x="{x:.1f}" y="18" text-anchor="middle">{format_duration(end * number / 5)}</text>'
        )
    for title, of in _CURVES:
        y += 22
        parts += _curve(trace.points, of, title, y, plot, end)
        y += _CURVE
    left = f"{trace.left_out} more bars are not drawn" if trace.left_out else ""
    parts.append(f'<text x="{_LEFT}" y="{y + 18}" fill="#666">{left}</text>')
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y + 28}" '
        f'viewBox="0 0 {width} {y + 28}" font-family="sans-serif" font-size="11">'
    )
    return (
        "\n".join([head, f'<rect width="{width}" height="{y + 28}" fill="#fff"/>', *parts, "</svg>"]) + "\n"
    )


def gantt_html(trace: Trace, nodes: Sequence[Node], title: str) -> str:
    """The picture as a page of its own, with the figures of the report."""
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in trace.to_dict().items()
    )
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        f"<title>{escape(title)}</title>\n"
        "<style>body{font:14px sans-serif;margin:24px}dl{display:grid;grid-template-columns:max-content 1fr;"
        "gap:4px 16px}dt{color:#666}dd{margin:0}</style>\n"
        f"<h1>{escape(title)}</h1>\n{gantt_svg(trace, nodes)}<dl>{facts}</dl></html>\n"
    )


def _bar(bar: Bar, y: float, scale: float, trace: Trace) -> str:
    x, width = _LEFT + bar.begin * scale, max((bar.end - bar.begin) * scale, 0.5)
    name = escape(f"{trace.names.get(bar.task, '')} {bar.task}, worker {bar.rank}".strip())
    tip = f"{name}: {format_duration(bar.begin)} to {format_duration(bar.end)}"
    return (
        f'<rect x="{x:.2f}" y="{y + 1}" width="{width:.2f}" height="{_ROW - 2}" rx="2" '
        f'fill="{_colour(bar.task)}"><title>{tip}</title></rect>'
    )


def _curve(
    points: Sequence[Point], of: Callable[[Point], float], title: str, y: float, plot: float, end: float
) -> list[str]:
    most = max((of(point) for point in points), default=0.0) or 1.0
    steps: list[str] = []
    before = 0.0
    for point in points:
        x, height = _LEFT + plot * point.time / end, y + _CURVE * (1 - of(point) / most)
        steps.append(f"{x:.1f},{y + _CURVE * (1 - before / most):.1f} {x:.1f},{height:.1f}")
        before = of(point)
    return [
        f'<text x="{_LEFT}" y="{y - 5}" fill="#444">{title}, at most {most:g}</text>',
        f'<line x1="{_LEFT}" x2="{_LEFT + plot}" y1="{y + _CURVE}" y2="{y + _CURVE}" stroke="#bbb"/>',
        f'<polyline points="{" ".join(steps)}" fill="none" stroke="#2f6690" stroke-width="1.4"/>',
    ]


def _colour(task: str) -> str:
    """By the name alone, so that it does not depend on what else runs."""
    number = int.from_bytes(hashlib.blake2s(task.encode(), digest_size=3).digest())
    return f"hsl({number % 360} {45 + number // 360 % 30}% {48 + number // 10_800 % 20}%)"
