"""Line charts as SVG, for the results pages: no library, same numbers, same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#b07aa1", "#9c755f", "#333333", "#d37295")


def line_chart(
    title: str, x_name: str, y_name: str, x: Sequence[float], lines: Mapping[str, Sequence[float]]
) -> str:
    """One SVG with a line per name; x positions evenly spaced and labelled with their values."""
    width, height, left, top, plot_w, plot_h = 760, 400, 64, 36, 500, 300
    most = max(max(values) for values in lines.values()) * 1.05 or 1.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{left}" y="20" font-size="13">{title}</text>',
        f'<text x="{left + plot_w / 2}" y="{top + plot_h + 34}" text-anchor="middle">{x_name}</text>',
        f'<text x="14" y="{top + plot_h / 2}" transform="rotate(-90 14 {top + plot_h / 2})" '
        f'text-anchor="middle">{y_name}</text>',
    ]

    def at(i: int, value: float) -> tuple[float, float]:
        step = plot_w / max(len(x) - 1, 1)
        return left + i * step, top + plot_h * (1 - value / most)

    for k in range(6):
        _, y = at(0, most * k / 5)
        parts.append(f'<line x1="{left}" x2="{left + plot_w}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{most * k / 5:.3g}</text>')
    for i, value in enumerate(x):
        parts.append(
            f'<text x="{at(i, 0)[0]:.1f}" y="{top + plot_h + 16}" text-anchor="middle">{value:g}</text>'
        )
    for number, (name, values) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in (at(i, v) for i, v in enumerate(values)))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        y = top + 14 + 18 * number
        parts.append(
            f'<line x1="{left + plot_w + 16}" x2="{left + plot_w + 40}" y1="{y}" y2="{y}" '
            f'stroke="{colour}" stroke-width="2"/>'
        )
        parts.append(f'<text x="{left + plot_w + 46}" y="{y + 4}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
