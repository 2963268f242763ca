"""The tables and plots of the quality results, from their JSON.

Usage: python -m benchmarks.dagsched_pages docs/results  (reads and writes in that folder)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.charts import line_chart

CLAIMS = {
    "7": "Makespan over the number of parts, n = 6,000, CCR 1, p = 8. Paper: 30–40 % better at n/parts ≤ 20.",
    "9": "Makespan over CCR, n = 6,000, p = 8, 600 parts. Paper: better up to CCR 5, then equal.",
    "10": "Makespan over processors, n = 6,000, CCR 1, 600 parts. Paper: about 30 % better.",
    "11": "Makespan over tasks, CCR 1, p = 8, 600 parts. Paper: the advantage shrinks as n grows.",
    "12": "TDCA and TDPATD at n = 1,000. Paper: similar makespans for few processors, ten times faster.",
}
HIDDEN = ("best_baseline_over_tdpatd",)


def table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table of rows with equal keys."""
    keys = [key for key in rows[0] if key not in HIDDEN]
    lines = ["| " + " | ".join(keys) + " |", "|" + "---|" * len(keys)]
    for row in rows:
        cells = [f"{row[k]:.3f}" if isinstance(row[k], float) else str(row[k]) for k in keys]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_pages(result: dict[str, Any], out: Path) -> None:
    """The plots and ``dagsched-tables.md``."""
    page = [
        "# Tables and plots of plan quality",
        "",
        "Made by `python -m benchmarks.dagsched_quality --out docs/results`; read `dagsched.md` first. Every",
        "number of an algorithm is its makespan over the lower bound (multi-port): 1.000 cannot be beaten.",
        "Narrow: 16 tasks in a level on average, wide: 100; the paper does not state its heights.",
        "",
    ]
    for name, figure in result["figures"].items():
        rows, key = figure["rows"], figure["key"]
        skip = (key, "width_per_processor", "times_faster", *HIDDEN)
        lines = {k: [row[k] for row in rows] for k in rows[0] if k not in skip and not k.endswith("_s")}
        widths = sorted(
            {round(row["width_per_processor"], 1) for row in rows if "width_per_processor" in row}
        )
        note = f", width/p {widths[0]:g} to {widths[-1]:g}" if len(widths) > 1 else ""
        note = f", width/p {widths[0]:g}" if len(widths) == 1 else note
        file = f"dagsched-figure-{name.replace(' ', '-')}.svg"
        chart = line_chart(
            f"Figure {name}{note}", key, "makespan / lower bound", [r[key] for r in rows], lines
        )
        (out / file).write_text(chart)
        page += [
            f"## Figure {name}",
            "",
            CLAIMS[name.split()[0]],
            "",
            f"![Figure {name}]({file})",
            "",
            table(rows),
            "",
        ]
    if isinstance(result["real"], list):
        page += ["## Figures 8 and 13: real DNN graphs, p = 8", "", table(result["real"]), ""]
    auto = result["auto"]
    page += [
        "## What `auto` promises",
        "",
        f"Never worse than serial, ETF, HEFT, TDCA, TDPATD: {auto['comparisons']} ",
    ]
    page[-1] += f"comparisons, worse in {len(auto['worse'])}."
    page += ["", "Gap on wide graphs:", "", table(auto["wide"]), "", "Gain on narrow graphs:", ""]
    page += [
        table(auto["narrow"]),
        "",
        "## Against proved optima",
        "",
        f"`{json.dumps(result['exact'])}`",
        "",
    ]
    (out / "dagsched-tables.md").write_text("\n".join(page))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    write_pages(json.loads((folder / "dagsched-quality.json").read_text()), folder)
