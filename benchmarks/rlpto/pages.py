"""Tables and plots from the recorded numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.charts import line_chart
from benchmarks.rlpto.methods import BASELINES, BETAS, MARGINAL, RESIDUAL, RLPTO
from benchmarks.rlpto.runs import mean
from benchmarks.rlpto.scatter import scatter
from benchmarks.rlpto.verdicts import everything, swept
from trainmaster.simulator.workload.images import SIZES
from trainmaster.simulator.workload.priorities import EVERY_S

# Accuracy (%) and seconds as printed in Tables II and III.
PAPER: dict[str, dict[str, tuple[float, float]]] = {
    "2": {
        "FS": (87.59, 8498), "FCFS": (86.51, 14333), "SLAQ": (88.07, 9043), "Dolphin": (87.61, 7617),
        "TRADL": (86.82, 5388), "RLPTO β=5e-05": (88.24, 10835), "RLPTO β=0.0001": (88.13, 8882),
        "RLPTO β=0.0002": (87.98, 6898), "RLPTO β=0.0003": (87.86, 6069), "RLPTO β=0.0005": (87.65, 5303),
        "RLPTO β=0.001": (87.23, 4515),
    },
    "3": {
        "FS": (87.61, 8139), "FCFS": (85.91, 14682), "SLAQ": (88.07, 9043), "Dolphin": (87.67, 7663),
        "TRADL": (86.94, 5281), "RLPTO β=5e-05": (88.25, 9469), "RLPTO β=0.0001": (88.13, 7602),
        "RLPTO β=0.0002": (87.99, 6479), "RLPTO β=0.0003": (87.88, 5834), "RLPTO β=0.0005": (87.69, 5334),
        "RLPTO β=0.001": (87.27, 4597),
    },
}  # fmt: skip
ROMAN = {"2": "II", "3": "III"}


def write_pages(found: dict[str, Any], folder: Path) -> None:
    parts = [
        "# RLPTO: all numbers",
        "",
        "Written by `python -m benchmarks.rlpto --pages` from `rlpto.json`.",
        "",
    ]
    for number in ("2", "3"):
        if number in found:
            parts += _table(found[number], number) + _sizes(found[number], number)
            _plots(found[number], number, folder)
    if "5" in found:
        parts += _rewards(found["5"], folder)
    depends = folder / "rlpto-sensitivity.json"
    if "5" in found and depends.is_file():
        parts += _depends(json.loads(depends.read_text(encoding="utf-8")), found["5"], folder)
    if "9" in found:
        parts += _single(found["9"], folder)
    parts += _verdicts(found)
    (folder / "rlpto-tables.md").write_text("\n".join(parts) + "\n", encoding="utf-8")


def write_slowness(found: dict[str, Any], folder: Path) -> None:
    """The tables and verdicts where training in parts costs slowness: no plots."""
    parts = [
        "# RLPTO: all numbers, where training in parts costs slowness",
        "",
        "Written by `python -m benchmarks.rlpto --slowness 0.76 --parts 2 3 5 --seeds 5 --pages` from "
        "`rlpto-slowness.json`.",
        "",
    ]
    for number in ("2", "3"):
        parts += _table(found[number], number)
    parts += _verdicts(found)
    (folder / "rlpto-slowness.md").write_text("\n".join(parts) + "\n", encoding="utf-8")


def _verdicts(found: dict[str, Any]) -> list[str]:
    head = ["## Verdicts", "", "| claim | holds | figures |", "|---|---|---|"]
    rows = [f"| {v.claim} | {'yes' if v.holds else '**no**'} | {v.figures} |" for v in everything(found)]
    return head + rows


def _table(found: dict[str, Any], number: str) -> list[str]:
    count = len(next(iter(found.values()))["time_s"])
    out = [
        f"## Table {ROMAN[number]}", "",
        f"Means over {count} seeds, ± standard deviation.", "",
        "| method | accuracy (%) | time (s) | paper: accuracy | time | resizes |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, one in found.items():
        accuracy, seconds = mean(one)
        paper = PAPER[number].get(name)
        theirs = f"{paper[0]:.2f} | {paper[1]:.0f}" if paper else " | "
        out.append(
            f"| {name} | {100 * accuracy:.2f} ± {100 * _sd(one['accuracy']):.2f} | {seconds:.0f} ± "
            f"{_sd(one['time_s']):.0f} | {theirs} | {one['resizes']:.0f} |"
        )
    return [*out, ""]


def _sd(values: list[float]) -> float:
    middle = sum(values) / len(values)
    return (sum((v - middle) ** 2 for v in values) / max(len(values) - 1, 1)) ** 0.5


def _sizes(found: dict[str, Any], number: str) -> list[str]:
    """Figure 7 as a table, and Table IV."""
    out = [f"### By size of data (Figure 7, Table {ROMAN[number]})", "", "| method | " + " | ".join(
        f"{size}: accuracy (%), s, epochs" for size in SIZES) + " |"]  # fmt: skip
    out.append("|---|" + "---|" * len(SIZES))
    for name in (*BASELINES, *(f"{RLPTO} β={beta:g}" for beta in BETAS)):
        cells = [found[name]["sizes"][size] for size in SIZES]
        shown = " | ".join(f"{100 * c['accuracy']:.2f}, {c['time_s']:.0f}, {c['epochs']:.0f}" for c in cells)
        out.append(f"| {name} | {shown} |")
    out += ["", f"### β by size (Table IV, Table {ROMAN[number]})", ""]
    out += [
        "| size | accuracy lost, 0.00005 → 0.001 (points) | time saved | balanced β |",
        "|---|---|---|---|",
    ]
    for size in SIZES:
        cells = [found[f"{RLPTO} β={beta:g}"]["sizes"][size] for beta in BETAS]
        lost, saved = (
            cells[0]["accuracy"] - cells[-1]["accuracy"],
            1 - cells[-1]["time_s"] / cells[0]["time_s"],
        )
        out.append(f"| {size} | {100 * lost:.2f} | {100 * saved:.0f} % | {_balanced(cells)} |")
    return [*out, ""]


def _balanced(cells: list[dict[str, float]]) -> str:
    """β whose share of the accuracy lost plus share of the time still spent is within 0.1 of the least."""
    top, low = cells[0]["accuracy"], min(c["accuracy"] for c in cells)
    fast, slow = min(c["time_s"] for c in cells), cells[0]["time_s"]
    cost = [
        (top - c["accuracy"]) / max(top - low, 1e-9) + (c["time_s"] - fast) / max(slow - fast, 1e-9)
        for c in cells
    ]
    chosen = [beta for beta, value in zip(BETAS, cost, strict=True) if value <= min(cost) + 0.1]
    return f"{chosen[0]:g} to {chosen[-1]:g}" if len(chosen) > 1 else f"{chosen[0]:g}"


def _plots(found: dict[str, Any], number: str, folder: Path) -> None:
    series = {name: [_xy(found[name])] for name in BASELINES}
    for policy in (RLPTO, "FS", f"{MARGINAL} free", f"{RESIDUAL} free"):
        series[f"{policy}, stop(β)"] = [(t, 100 * a) for a, t in swept(found, policy)]
    text = scatter(f"Table {ROMAN[number]}: accuracy against time", series)
    (folder / f"rlpto-table{number}.svg").write_text(text, encoding="utf-8")
    lines = {
        size: [100 * found[f"{RLPTO} β={beta:g}"]["sizes"][size]["accuracy"] for beta in BETAS]
        for size in SIZES
    }
    lowest = {size: [v - min(values) for v in values] for size, values in lines.items()}
    text = line_chart("Figure 8: accuracy above the lowest, by β", "β", "points", BETAS, lowest)
    (folder / f"rlpto-figure8-accuracy-{number}.svg").write_text(text, encoding="utf-8")
    times = {
        size: [found[f"{RLPTO} β={beta:g}"]["sizes"][size]["time_s"] for beta in BETAS] for size in SIZES
    }
    lowest = {size: [v - min(values) for v in values] for size, values in times.items()}
    text = line_chart("Figure 8: seconds above the lowest, by β", "β", "s", BETAS, lowest)
    (folder / f"rlpto-figure8-time-{number}.svg").write_text(text, encoding="utf-8")


def _xy(one: dict[str, Any]) -> tuple[float, float]:
    accuracy, seconds = mean(one)
    return seconds, 100 * accuracy


def _rewards(found: dict[str, Any], folder: Path) -> list[str]:
    out = [
        "## Table V, Figures 10 and 11",
        "",
        "Average reward (Figure 11), area per second under the curve, accuracy (%).",
        "",
    ]
    names = list(next(iter(found.values())))
    out += [
        "| method | " + " | ".join(f"{n}: average, area, accuracy" for n in found) + " |",
        "|---|" + "---|" * len(found),
    ]
    for name in names:
        cells = [
            f"{by[name]['average']:.0f}, {sum(by[name]['area']) / len(by[name]['area']):.0f}, "
            f"{100 * mean(by[name])[0]:.2f}"
            for by in found.values()
        ]
        out.append(f"| {name} | " + " | ".join(cells) + " |")
    for number, by in found.items():
        shown = {
            n: one["curve"]
            for n, one in by.items()
            if "β" not in n or n.startswith(f"{RLPTO} β") or ("free" in n and not n.startswith(RLPTO))
        }
        moments = [EVERY_S * k for k in range(len(next(iter(shown.values()))))]
        text = line_chart(f"Figure 10, combination {number}: reward over time", "s", "points", moments, shown)
        (folder / f"rlpto-figure10-{number}.svg").write_text(text, encoding="utf-8")
    return [*out, ""]


def _depends(found: dict[str, Any], rewards: dict[str, Any], folder: Path) -> list[str]:
    """What is found by `sensitivity`, against the paper's methods of Table V."""
    rlpto = next(name for name in next(iter(rewards.values())) if name.startswith(RLPTO))
    seeds = found["seeds"]
    firsts = [sum(by[rlpto]["averages"][:seeds]) / seeds for by in rewards.values()]
    head = "time (s), accuracy (%) of Table II | " + " | ".join(f"average reward {n}" for n in rewards)
    line = "|---|---|" + "---|" * len(rewards)
    out = ["### What RLPTO's place in Table V depends on", "", f"Means over {seeds} seeds.", ""]
    out += [f"RLPTO's with the same: {', '.join(f'{first:.0f}' for first in firsts)}.", ""]
    out += [f"| TRADL's target | {head} | less than RLPTO's in |", f"{line}---|"]
    for target, one in found.get("tradl", {}).items():
        less = [n for n, mine, other in zip(rewards, firsts, one["rewards"], strict=True) if other < mine]
        out.append(f"| {target} | {_row(one)} | {', '.join(less) or 'none'} |")
    out += ["", f"| RLPTO with | {head} |", line]
    out += [f"| lead {lead} | {_row(one)} |" for lead, one in found.get("lead", {}).items()]
    out += [f"| T {words} | {_row(one)} |" for words, one in found.get("unit", {}).items()]
    times = [one["time_s"] for one in found.get("tradl", {}).values()]
    lines = {
        f"TRADL, combination {n}": [one["rewards"][at] for one in found["tradl"].values()]
        for at, n in enumerate(rewards)
    }
    lines |= {
        f"RLPTO, combination {n}": [first] * len(times) for n, first in zip(rewards, firsts, strict=True)
    }
    text = line_chart("Average reward by TRADL's time in Table II", "s", "points", times, lines)
    (folder / "rlpto-tradl.svg").write_text(text, encoding="utf-8")
    return [*out, ""]


def _row(one: dict[str, Any]) -> str:
    shown = " | ".join(f"{value:.0f}" for value in one["rewards"])
    return f"{one['time_s']:.0f}, {100 * one['accuracy']:.2f} | {shown}"


def _single(found: dict[str, Any], folder: Path) -> list[str]:
    out = ["## Figure 9: one medium task by the number of nodes", "", "| nodes | accuracy (%) | time (s) |",
           "|---|---|---|"]  # fmt: skip
    out += [f"| {n} | {100 * one['accuracy']:.2f} | {one['time_s']:.0f} |" for n, one in found.items()]
    nodes = [int(n) for n in found]
    text = line_chart(
        "Figure 9: time by nodes", "nodes", "s", nodes, {"time": [o["time_s"] for o in found.values()]}
    )
    (folder / "rlpto-figure9-time.svg").write_text(text, encoding="utf-8")
    lost = [100 * (found["1"]["accuracy"] - o["accuracy"]) for o in found.values()]
    text = line_chart("Figure 9: accuracy lost by nodes", "nodes", "points", nodes, {"lost": lost})
    (folder / "rlpto-figure9-accuracy.svg").write_text(text, encoding="utf-8")
    return [*out, ""]
