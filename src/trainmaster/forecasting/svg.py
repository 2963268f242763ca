"""Line charts as SVG text: a history, forecasts, a band. Readable on light and on dark pages.

No fonts, scripts or links: one self-contained element whose colours follow the reader's preference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting import clock

FloatArray = NDArray[np.float64]
Scale = Callable[[FloatArray], FloatArray]

WIDTH, HEIGHT = 880, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 28, 64, 36
MAX_POINTS = 1600
"""Points drawn per line; longer lines are thinned to the extremes of each stretch."""

STYLE = """
.tm{--ink:#1f2430;--soft:#5d6675;--grid:#d9dee6;--paper:#fff;--a:#1f5fbf;--b:#c2541b;--c:#2f7d4f;--d:#7a4bb3}
@media (prefers-color-scheme:dark){.tm{--ink:#e8ebf0;--soft:#a3acba;--grid:#363d4a;--paper:#14171d;
--a:#79b0ff;--b:#ff9d66;--c:#74d19b;--d:#c6a3f5}}
.tm text{font:12px system-ui,sans-serif;fill:var(--soft)}
.tm .t{font-size:15px;font-weight:600;fill:var(--ink)}
.tm .g{stroke:var(--grid)} .tm path{fill:none;stroke-width:1.6;stroke-linejoin:round}
.tm .band{opacity:.18;stroke:none}
"""
COLOURS = ("a", "b", "c", "d")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: x (epoch seconds or plain numbers) and y, float64[n] each; NaN breaks it.

    `dashed` sets it apart; `steps` draws each value level until the next.
    """

    label: str
    x: FloatArray
    y: FloatArray
    dashed: bool = False
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """An area between two bounds over the same x."""

    label: str
    x: FloatArray
    low: FloatArray
    high: FloatArray


def chart(
    title: str,
    lines: Sequence[Line],
    bands: Sequence[Band] = (),
    *,
    unit: str = "",
    zone: str | None = "UTC",
    zero: bool = True,
) -> str:
    """An SVG element with title, axes, legend and the given lines, colours in their order.

    zone  reads x as epoch seconds and writes dates in that zone; None writes plain numbers
    zero  lets the vertical axis start at zero
    """
    xs = np.concatenate([line.x for line in lines] + [band.x for band in bands])
    ys = np.concatenate([line.y for line in lines] + [b.low for b in bands] + [b.high for b in bands])
    ys = ys[np.isfinite(ys)]
    x0, x1 = float(xs.min()), float(xs.max())
    y0, y1 = (float(ys.min()), float(ys.max())) if ys.size else (0.0, 1.0)
    if zero:
        y0 = min(y0, 0.0)
    if x1 <= x0:
        x1 = x0 + 1.0
    if y1 <= y0:
        y1 = y0 + 1.0
    y1 += 0.04 * (y1 - y0)

    def at_x(x: FloatArray) -> FloatArray:
        return LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)

    def at_y(y: FloatArray) -> FloatArray:
        return HEIGHT - BOTTOM - (y - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" class="tm" role="img" '
        f'aria-label="{escape(title, quote=True)}"><style>{STYLE}</style>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="var(--paper)"/>',
        f'<text class="t" x="{LEFT}" y="22">{escape(title)}</text>',
    ]
    for tick in _ticks(y0, y1):
        height = float(at_y(np.array([tick]))[0])
        parts.append(
            f'<line class="g" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}"/>'
        )
        parts.append(f'<text x="{LEFT - 8}" y="{height + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick, label in _x_ticks(x0, x1, zone):
        place = float(at_x(np.array([tick]))[0])
        parts.append(f'<text x="{place:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{label}</text>')
    if unit:
        parts.append(f'<text x="{LEFT}" y="{TOP - 8}" text-anchor="end">{escape(unit)}</text>')
    place = float(LEFT)
    for index, band in enumerate(bands):
        colour = COLOURS[(len(lines) - 1 + index) % len(COLOURS)]
        keep = np.isfinite(band.low) & np.isfinite(band.high)
        up = list(zip(at_x(band.x[keep]), at_y(band.high[keep]), strict=True))
        down = list(zip(at_x(band.x[keep]), at_y(band.low[keep]), strict=True))[::-1]
        if up:
            outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in up + down)
            parts.append(f'<polygon class="band" points="{outline}" fill="var(--{colour})"/>')
        parts.append(
            f'<rect class="band" x="{place:.0f}" y="33" width="18" height="10" fill="var(--{colour})"/>'
        )
        parts.append(f'<text x="{place + 24:.0f}" y="42">{escape(band.label)}</text>')
        place += 44 + 7.0 * len(band.label)
    for index, line in enumerate(lines):
        colour = COLOURS[index % len(COLOURS)]
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        path = _path(line, at_x, at_y)
        parts.append(f'<path d="{path}" stroke="var(--{colour})"{dash}/>')
        parts.append(f'<path d="M{place:.0f} 38h18" stroke="var(--{colour})"{dash}/>')
        parts.append(f'<text x="{place + 24:.0f}" y="42">{escape(line.label)}</text>')
        place += 44 + 7.0 * len(line.label)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def short(value: float) -> str:
    """A number in few characters: 1.2k, 3.5M, 0.25."""
    for factor, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.3g}"


def _path(line: Line, at_x: Scale, at_y: Scale) -> str:
    """The d attribute of a line: pen up at NaN."""
    x, y = thinned(line.x, line.y)
    out: list[str] = []
    pen = False
    previous = 0.0
    for px, py, value in zip(at_x(x), at_y(y), y, strict=True):
        if not np.isfinite(value):
            pen = False
            continue
        if pen and line.steps:
            out.append(f"L{px:.1f} {previous:.1f}")
        out.append(f"{'L' if pen else 'M'}{px:.1f} {py:.1f}")
        pen, previous = True, float(py)
    return "".join(out)


def thinned(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """At most about MAX_POINTS points that keep the lowest and highest of every stretch, in order."""
    if x.size <= MAX_POINTS:
        return x, y
    keep: list[int] = []
    for part in np.array_split(np.arange(x.size), MAX_POINTS // 2):
        values = y[part]
        if not np.isfinite(values).any():
            keep.append(int(part[0]))
            continue
        low, high = int(np.nanargmin(values)), int(np.nanargmax(values))
        keep.extend(int(part[i]) for i in sorted({low, high}))
    index = np.array(keep)
    return x[index], y[index]


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers in [low, high]."""
    raw = (high - low) / 5
    unit = 10.0 ** np.floor(np.log10(raw))
    step = float(unit * min((1, 2, 2.5, 5, 10), key=lambda m: abs(m * unit - raw)))
    first = int(np.ceil(low / step - 1e-9))
    return [k * step for k in range(first, int(np.floor(high / step + 1e-9)) + 1)]


def _x_ticks(low: float, high: float, zone: str | None) -> list[tuple[float, str]]:
    if zone is None:
        return [(tick, short(tick)) for tick in _ticks(low, high)]
    place = clock.zone_named(zone)
    span = high - low
    steps = (
        300,
        900,
        3600,
        3 * 3600,
        6 * 3600,
        12 * 3600,
        86400,
        2 * 86400,
        7 * 86400,
        28 * 86400,
        91 * 86400,
        364 * 86400,
    )
    step = next((s for s in steps if span / s <= 7), steps[-1] * 4)
    shift = float(clock.utc_offset(np.array([low]), zone)[0])
    first = int(np.ceil((low + shift) / step))
    if step < 86400:
        form = "%H:%M" if span < 86400 else "%d %b %H:%M"
    else:
        form = "%d %b" if span < 400 * 86400 else "%b %Y"
    out = []
    for k in range(first, first + 12):
        moment = k * step - shift
        if moment > high:
            break
        out.append((moment, datetime.fromtimestamp(moment, UTC).astimezone(place).strftime(form)))
    return out
