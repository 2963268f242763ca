"""Accuracy against time as SVG: single methods as dots, sweeps over β as lines with dots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.charts import COLOURS

Points = Sequence[tuple[float, float]]


def scatter(title: str, series: Mapping[str, Points]) -> str:
    """`series`: (seconds, percent) in order; the same numbers give the same bytes."""
    width, height, left, top, plot_w, plot_h = 820, 440, 60, 36, 540, 340
    everything = [p for points in series.values() for p in points]
    most = max(x for x, _ in everything) * 1.05
    low, high = min(y for _, y in everything) - 0.1, max(y for _, y in everything) + 0.1
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{left}" y="20" font-size="13">{title}</text>',
        f'<text x="{left + plot_w / 2}" y="{top + plot_h + 34}" text-anchor="middle">all twelve (s)</text>',
        f'<text x="14" y="{top + plot_h / 2}" transform="rotate(-90 14 {top + plot_h / 2})" '
        'text-anchor="middle">mean accuracy (%)</text>',
    ]

    def at(x: float, y: float) -> tuple[float, float]:
        return left + plot_w * x / most, top + plot_h * (1 - (y - low) / (high - low))

    for k in range(6):
        x, y = most * k / 5, low + (high - low) * k / 5
        px, py = at(x, y)
        parts.append(f'<line x1="{left}" x2="{left + plot_w}" y1="{py:.1f}" y2="{py:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{py + 4:.1f}" text-anchor="end">{y:.1f}</text>')
        parts.append(f'<text x="{px:.1f}" y="{top + plot_h + 16}" text-anchor="middle">{x:.0f}</text>')
    for number, (name, points) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [at(x, y) for x, y in points]
        if len(places) > 1:
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{colour}"/>' for x, y in places]
        y = top + 14 + 18 * number
        parts.append(f'<circle cx="{left + plot_w + 22}" cy="{y}" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{left + plot_w + 34}" y="{y + 4}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
