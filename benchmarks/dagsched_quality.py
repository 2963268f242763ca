"""Quality of plans: the TDPATD paper's figures 7 to 13 on its grid, real graphs, the promises of ``auto``.

Usage: python -m benchmarks.dagsched_quality [--out docs/results] [--data FOLDER] [--quick] [--only 7,9,real]
With ``--only`` (and ``--out``) the other parts are taken from the JSON that lies there. Seeds are fixed.
Makespans are multi-port, relative to the lower bound of the instance unless said otherwise.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.dagsched_pages import write_pages
from trainmaster.dagsched import TaskGraph, generate, read_graph, schedule
from trainmaster.dagsched.errors import MissingExtraError

PAPER = ("tdpatd", "b_deduplication", "etf_part", "bl_est_part", "etf", "bl_est")
OURS = ("heft", "duplication")
CCR = (0.5, 1, 1.5, 2, 2.5, 5, 7)
PROCESSORS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20)
PARTS = (400, 500, 600, 700, 800, 900, 1000, 1200)
SIZES = (4000, 5000, 6000, 7000, 8000, 9000, 10000)
# Heights are not stated in the paper: a narrow and a wide family.
WIDTHS = {"narrow": 16.0, "wide": 100.0}
CLUSTERED = ("tdpatd", "b_deduplication", "etf_part", "bl_est_part")


def plan_all(graph: TaskGraph, p: int, names: tuple[str, ...], parts: int | None = None) -> dict[str, float]:
    """Makespan over bound of each algorithm, and the figures that explain them."""
    row: dict[str, float] = {}
    bound = 0.0
    for name in names:
        options = {"parts": min(parts, graph.n)} if parts and name in CLUSTERED else {}
        plan = schedule(graph, p, name, **options)
        plan.validate()
        bound = plan.lower_bound
        row[name] = plan.makespan
    # A bound may have been lowered to a makespan it touches; the largest is the bound itself.
    return {name: value / bound for name, value in row.items()} | {
        "width_per_processor": graph.width / p,
        "best_baseline_over_tdpatd": min(row[n] for n in row if n not in ("tdpatd", "b_deduplication"))
        / row["tdpatd"]
        if "tdpatd" in row
        else 0.0,
    }


def series(key: str, values: tuple[float, ...], make: Any) -> dict[str, Any]:
    """A sweep: for each value a row of ``plan_all``."""
    rows = []
    for value in values:
        rows.append({key: value, **make(value)})
        sys.stderr.write(".")
        sys.stderr.flush()
    return {"key": key, "rows": rows}


def paper_figures(quick: bool, wanted: set[str]) -> dict[str, Any]:
    """Figures 7, 9, 10, 11 (those ``wanted``) for both families of widths, one graph a point."""
    names = PAPER + OURS + ("auto",)
    figures: dict[str, Any] = {}
    pick = (lambda values: values[:: max(1, len(values) // 2)]) if quick else (lambda values: values)
    for family, width in WIDTHS.items():

        def graph(n: float, ccr: float, width: float = width) -> TaskGraph:
            return generate(int(n), width=width, ccr=ccr, seed=7)

        sweeps: dict[str, tuple[str, tuple[float, ...], Any]] = {
            "7": ("parts", PARTS, lambda k, graph=graph: plan_all(graph(6000, 1), 8, PAPER + OURS, int(k))),
            "9": ("ccr", CCR, lambda c, graph=graph: plan_all(graph(6000, c), 8, names, 600)),
            "10": (
                "processors",
                PROCESSORS,
                lambda p, graph=graph: plan_all(graph(6000, 1), int(p), names, 600),
            ),
            "11": ("tasks", SIZES, lambda n, graph=graph: plan_all(graph(n, 1), 8, names, 600)),
        }
        for number, (key, values, make) in sweeps.items():
            if number in wanted:
                figures[f"{number} {family}"] = series(key, pick(values), make)
    return figures


def figure_12() -> dict[str, Any]:
    """TDCA against TDPATD at n = 1,000: makespan and median running time of five over processors."""
    rows = []
    warm = generate(60, seed=0)
    for name in ("tdca", "tdpatd"):
        schedule(warm, 4, name)
    graph = generate(1000, width=16, ccr=1, seed=7)
    for p in (2, 4, 6, 8, 10, 20):
        row: dict[str, float] = {"processors": p}
        times: dict[str, list[float]] = {"tdca": [], "tdpatd": []}
        # In turn, so that a machine that changes its speed changes it for both.
        for _ in range(5):
            for name, taken in times.items():
                begin = time.process_time()
                plan = schedule(graph, p, name)
                taken.append(time.process_time() - begin)
                row[name] = plan.makespan / plan.lower_bound
        for name, taken in times.items():
            row[f"{name}_s"] = sorted(taken)[2]
        row["times_faster"] = row["tdca_s"] / row["tdpatd_s"]
        rows.append(row)
    return {"key": "processors", "rows": rows}


def real_graphs(folder: Path) -> list[dict[str, Any]]:
    """Figures 8 and 13 on the real DNN graphs (and the other samples), p = 8."""
    rows = []
    for path in sorted(folder.glob("dnn-partitioning/OperatorGraphs*")) + sorted(
        folder.glob("dnn-partitioning/LayerGraphs*training*")
    ):
        graph = read_graph(path)
        names = PAPER + OURS + ("serial", "tdca", "auto")
        row = plan_all(graph, 8, names)
        rows.append({"graph": path.stem, "tasks": graph.n, "ccr": graph.ccr, **row})
        sys.stderr.write(".")
    return rows


def promises(quick: bool) -> dict[str, Any]:
    """What ``auto`` must keep: never worse than five rivals; gaps on wide graphs; gains on narrow ones."""
    rivals = ("serial", "etf", "heft", "tdca", "tdpatd")
    worse, checked = [], 0
    wide, narrow = [], []
    seeds = range(1 if quick else 3)
    for seed in seeds:
        for n, width, ccr, p in (
            (100, 8, 1, 4), (200, 8, 5, 8), (500, 24, 2, 8), (1000, 16, 1, 8), (1000, 40, 0.5, 4),
            (2000, 60, 7, 20),
        ):  # fmt: skip
            graph = generate(n, width=width, ccr=ccr, seed=seed)
            best = schedule(graph, p, "auto").makespan
            for rival in rivals:
                checked += 1
                other = schedule(graph, p, rival).makespan
                if best > other * (1 + 1e-9):
                    worse.append([n, width, ccr, p, seed, rival, best / other])
        for n, ratio, ccr, p in ((4000, 10, 0.5, 8), (4000, 10, 2, 8), (10000, 10, 1, 20), (10000, 15, 2, 8)):
            plan = schedule(generate(n, width=ratio * p, ccr=ccr, seed=seed), p, "auto")
            wide.append({"tasks": n, "width/p": ratio, "ccr": ccr, "p": p, "seed": seed, "gap": plan.gap})
        for n, ratio, ccr, p in (
            (2000, 1, 5, 8),
            (2000, 2, 5, 8),
            (2000, 3, 5, 8),
            (2000, 1, 7, 20),
            (2000, 3, 5, 20),
        ):
            graph = generate(n, width=ratio * p, ccr=ccr, seed=seed)
            gain = 1 - schedule(graph, p, "auto").makespan / schedule(graph, p, "heft").makespan
            narrow.append(
                {"tasks": n, "width/p": ratio, "ccr": ccr, "p": p, "seed": seed, "below_heft": gain}
            )
        sys.stderr.write(".")
    return {
        "comparisons": checked,
        "worse": worse,
        "wide": wide,
        "widest_gap": max(row["gap"] for row in wide),
        "narrow": narrow,
        "least_gain": min(row["below_heft"] for row in narrow),
    }


def against_exact(quick: bool) -> dict[str, Any]:
    """``auto`` against proved optima of small graphs, copies allowed, and against those without copies."""
    distances, plain, open_ = [], [], 0
    for seed in range(4 if quick else 12):
        graph = generate(10 + seed % 5, height=5, ccr=(0.5, 1, 3)[seed % 3], out_degree=2, seed=seed)
        p = 2 + seed % 2
        try:
            best = schedule(graph, p, "exact", limit=10.0)
            alone = schedule(graph, p, "exact", limit=10.0, copies=False)
        except MissingExtraError:
            return {"skipped": "ortools is not installed"}
        auto = schedule(graph, p, "auto").makespan
        if best.report["proved"]:
            distances.append(auto / best.makespan - 1)
        else:
            open_ += 1
        if alone.report["proved"]:
            plain.append(auto / alone.makespan - 1)
        sys.stderr.write(".")
    return {
        "proved": len(distances),
        "open": open_,
        "mean_distance": float(np.mean(distances)) if distances else None,
        "largest_distance": max(distances, default=None),
        "mean_distance_to_best_without_copies": float(np.mean(plain)) if plain else None,
    }


PARTS_OF_RUN = ("exact", "auto", "real", "7", "9", "10", "11", "12")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/dags"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default=",".join(PARTS_OF_RUN), help="parts to run, separated by commas")
    given = parser.parse_args()
    wanted = set(given.only.split(","))
    result: dict[str, Any] = {}
    kept = given.out / "dagsched-quality.json" if given.out is not None else None
    if kept is not None and wanted < set(PARTS_OF_RUN):
        result = json.loads(kept.read_text())
    if "exact" in wanted:
        result["exact"] = against_exact(given.quick)
    if "auto" in wanted:
        result["auto"] = promises(given.quick)
    if "real" in wanted:
        result["real"] = real_graphs(given.data) if given.data.is_dir() else "no sample graphs"
    figures = result.setdefault("figures", {})
    figures.update(paper_figures(given.quick, wanted))
    if "12" in wanted:
        figures["12"] = figure_12()
    if kept is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(result, indent=1) + "\n")
        write_pages(result, given.out)
    sys.stderr.write("\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
