"""Plans as pictures: SVG, and an HTML page around it that zooms and tells what is under the pointer.

A row per processor; a first copy is filled in one of twelve colours by task, a further copy hatched; the
lower bound is a dashed line. No fonts, scripts or styles from elsewhere.
"""

from __future__ import annotations

from html import escape

import numpy as np

from trainmaster.dagsched.plan import Plan

ROW = 26
LEFT = 56
TOP = 34
MOST_BOXES = 20_000
COLOURS = (
    "#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#b07aa1",
    "#edc948", "#9c755f", "#86bcb6", "#d37295", "#8cd17d", "#a0a0c8",
)  # fmt: skip


def gantt_svg(plan: Plan, *, width: int = 1200) -> str:
    """The plan as one SVG document, ``width`` pixels wide.

    Above 20,000 copies, copies that would touch on the screen are drawn as one grey box per stretch, so that
    the picture of a large plan stays small. Deterministic.
    """
    span = plan.makespan or 1.0
    scale = (width - LEFT - 16) / span
    # Only processors with work get a row, unless all are idle.
    used = np.unique(plan.placements["processor"])
    row_of = {int(q): i for i, q in enumerate(used)}
    height = TOP + ROW * len(used) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f"<title>{escape(_title(plan))}</title>",
        '<defs><pattern id="copy" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect width="6" height="6" fill="#fff" fill-opacity="0.55"/>'
        '<line x1="0" y1="0" x2="0" y2="6" stroke="#000" stroke-opacity="0.55" stroke-width="2"/>'
        "</pattern></defs>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{LEFT}" y="16" font-size="13">{escape(_title(plan))}</text>',
    ]
    for q, row in row_of.items():
        y = TOP + ROW * row
        parts.append(f'<text x="8" y="{y + 16}">P{q}</text>')
        parts.append(
            f'<rect x="{LEFT}" y="{y + 2}" width="{span * scale:.2f}" height="{ROW - 4}" fill="#f1f1f4"/>'
        )
    parts += _dense(plan, row_of, scale) if plan.placements.size > MOST_BOXES else _boxes(plan, row_of, scale)
    parts += _axis(plan, scale, span, height)
    if 0 < plan.lower_bound < plan.makespan:
        x = LEFT + plan.lower_bound * scale
        parts.append(
            f'<line x1="{x:.2f}" x2="{x:.2f}" y1="{TOP}" y2="{height - 26}" stroke="#c00" '
            f'stroke-dasharray="5 3"><title>lower bound {plan.lower_bound:g}</title></line>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def gantt_html(plan: Plan, *, width: int = 1600) -> str:
    """A page with the picture: the wheel zooms the time axis, dragging moves it, the pointer tells.

    Pointing at a copy marks the other copies of its task.
    """
    return _PAGE.replace("@TITLE@", escape(_title(plan))).replace("@SVG@", gantt_svg(plan, width=width))


def _title(plan: Plan) -> str:
    return (
        f"{plan.algorithm} on {plan.processors} processors: makespan {plan.makespan:g}, "
        f"at most {plan.gap:.2%} above the best, {plan.copies} copies"
    )


def _boxes(plan: Plan, row_of: dict[int, int], scale: float) -> list[str]:
    rows = plan.placements
    # The first copy to start is the original; ties go to the lower processor.
    first: dict[int, int] = {}
    for i in np.lexsort((rows["processor"], rows["start"])).tolist():
        first.setdefault(int(rows["task"][i]), i)
    parts = []
    for i, row in enumerate(rows.tolist()):
        task, q, start, finish = row
        x, w = LEFT + start * scale, max((finish - start) * scale, 0.3)
        y, h = TOP + ROW * row_of[q] + 3, ROW - 6
        name = plan.graph.name(task)
        is_copy = first[task] != i
        told = f"{name}{' (copy)' if is_copy else ''}: {start:g} to {finish:g} on P{q}"
        box = f'x="{x:.2f}" y="{y}" width="{w:.2f}" height="{h}"'
        parts.append(
            f'<g class="{"copy" if is_copy else "task"}" data-task="{task}"><title>{escape(told)}</title>'
        )
        parts.append(f'<rect {box} fill="{COLOURS[task % len(COLOURS)]}" stroke="#333" stroke-width="0.4"/>')
        if is_copy:
            parts.append(f'<rect {box} fill="url(#copy)"/>')
        if w > 7 * len(name) + 4:
            parts.append(f'<text x="{x + 3:.2f}" y="{y + 14}">{escape(name)}</text>')
        parts.append("</g>")
    return parts


def _dense(plan: Plan, row_of: dict[int, int], scale: float) -> list[str]:
    parts = []
    for q, lane in enumerate(plan.lanes()):
        if lane.size == 0:
            continue
        # A new stretch begins where a visible pause lies before a copy.
        pause = np.concatenate(([True], (lane["start"][1:] - lane["finish"][:-1]) * scale > 0.5))
        begins = lane["start"][pause]
        ends = np.append(lane["finish"][:-1][pause[1:]], lane["finish"][-1])
        y = TOP + ROW * row_of[q] + 3
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            parts.append(
                f'<rect x="{LEFT + begin * scale:.2f}" y="{y}" width="{max((end - begin) * scale, 0.3):.2f}" '
                f'height="{ROW - 6}" fill="#8a94a6"/>'
            )
    return parts


def _axis(plan: Plan, scale: float, span: float, height: int) -> list[str]:
    step = 10.0 ** np.floor(np.log10(span / 4))
    while span / step > 10:
        step *= 2 if span / step <= 20 else 5 if span / step <= 50 else 10
    parts: list[str] = []
    for k in range(int(span / step) + 1):
        x = LEFT + k * step * scale
        parts.append(f'<line x1="{x:.2f}" x2="{x:.2f}" y1="{TOP}" y2="{height - 24}" stroke="#0002"/>')
        parts.append(f'<text x="{x:.2f}" y="{height - 10}" text-anchor="middle">{k * step:g}</text>')
    return parts


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>@TITLE@</title>
<style>
body { margin: 0; font: 13px sans-serif; background: Canvas; color: CanvasText; }
#view { overflow: auto; cursor: grab; }
#told { position: sticky; top: 0; padding: 6px 10px; min-height: 1.2em; background: Canvas; }
.other rect { stroke: #c00; stroke-width: 2; }
</style></head><body>
<div id="told">Wheel: zoom in time. Drag: move. Hatched: further copies. Dashed: lower bound.</div>
<div id="view">@SVG@</div>
<script>
const view = document.getElementById("view"), told = document.getElementById("told");
const svg = view.querySelector("svg"), base = svg.viewBox.baseVal.width;
let zoom = 1, drag = null;
svg.setAttribute("preserveAspectRatio", "none");
view.addEventListener("wheel", event => {
  if (event.shiftKey) return;
  event.preventDefault();
  const at = (view.scrollLeft + event.clientX) / zoom;
  zoom = Math.min(200, Math.max(1, zoom * (event.deltaY < 0 ? 1.25 : 0.8)));
  svg.setAttribute("width", base * zoom);
  view.scrollLeft = at * zoom - event.clientX;
}, { passive: false });
view.addEventListener("pointerdown", event => { drag = [event.clientX, view.scrollLeft]; });
addEventListener("pointermove", event => { if (drag) view.scrollLeft = drag[1] - event.clientX + drag[0]; });
addEventListener("pointerup", () => { drag = null; });
svg.addEventListener("pointerover", event => {
  const box = event.target.closest("g[data-task]");
  svg.querySelectorAll(".other").forEach(other => other.classList.remove("other"));
  if (!box) return;
  told.textContent = box.querySelector("title").textContent;
  svg.querySelectorAll(`g[data-task="${box.dataset.task}"]`).forEach(other => other.classList.add("other"));
});
</script></body></html>
"""
