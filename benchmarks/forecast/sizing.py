"""Sizing policies over past demand: node-hours against late work, and the defect of the paper's formula."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainmaster.forecasting import Series, last_third, model
from trainmaster.forecasting.models.base import log_offset
from trainmaster.policies.sizing import Conformal, Lsp, Reactive, SizingLimits, SizingPolicy, Static
from trainmaster.policies.sizing.backtest import SizingResult, run

NODES = 60
COVERING = 45
"""Nodes that exist, and nodes that just cover the busiest interval before the test."""
COSTS = (1.0, 2.0, 4.0, 9.0, 19.0)
TARGET_LATE = 1.0
"""Per cent of late work allowed when a knob is tuned on the past."""


def rolled(series: Series, name: str) -> np.ndarray:
    """One-step forecasts of every row but the first, by the model called `name`."""
    return np.concatenate([[np.nan], model(name).rolling(series, 1)])


def row(result: SizingResult) -> dict[str, Any]:
    return {
        "nodes_over_oracle": result.ratio,
        "late_percent": result.late_percent,
        "node_hours": result.node_hours,
        "power_ons": result.power_ons,
    }


def tuned(make: Any, knobs: tuple[float, ...], drive: Any) -> float:
    """The knob with the fewest node-hours among those within TARGET_LATE on the past; else the last."""
    results = {knob: drive(make(knob)) for knob in knobs}
    fine = [k for k, r in results.items() if r.late_percent <= TARGET_LATE]
    return min(fine, key=lambda k: results[k].node_hours) if fine else knobs[-1]


def compare(series: Series, lsp_forecast: np.ndarray | None, hold: int = 1) -> dict[str, Any]:
    """Every policy over the last third of `series`; knobs untuned, and tuned on the third before."""
    demand = np.asarray(series.values)
    first, past = last_third(series), len(series) // 3
    capacity = float(demand[:first].max()) / COVERING
    limits = SizingLimits(0, NODES, hold=hold)
    offset = log_offset(demand[:first])
    ours = rolled(series, "auto")
    common: dict[str, Any] = {"interval_s": series.step_s, "offset": offset}

    def test(policy: SizingPolicy, forecast: np.ndarray = ours) -> SizingResult:
        return run(policy, demand, forecast, first, capacity, limits, **common)

    def before(policy: SizingPolicy) -> SizingResult:
        return run(policy, demand[:first], ours[:first], past, capacity, limits, **common)

    rows: dict[str, Any] = {
        f"static {COVERING} (covers the busiest past interval)": row(test(Static(COVERING, limits))),
        "static 30 (the paper's baseline)": row(test(Static(30, limits))),
        "reactive, last interval + 5 %": row(test(Reactive(limits))),
        "reactive, last 7 intervals": row(test(Reactive(limits, margin=0.0, look=7))),
        "lsp formula, our forecast, seed = capacity": row(test(Lsp(limits))),
    }
    if lsp_forecast is not None:
        rows["lsp formula, LSP forecast, seed = capacity"] = row(test(Lsp(limits), lsp_forecast))
    for miss in COSTS:
        rows[f"conformal, miss cost {miss:g} (tau {miss / (miss + 1):.2g})"] = row(
            test(Conformal(limits, miss))
        )
    knob = tuned(lambda c: Conformal(limits, c), COSTS, before)
    rows[f"conformal, tuned on the past: miss cost {knob:g}"] = row(test(Conformal(limits, knob)))
    margin = tuned(lambda m: Reactive(limits, m), (0.05, 0.1, 0.2, 0.4, 0.8, 1.6), before)
    rows[f"reactive, tuned on the past: + {margin:.0%}"] = row(test(Reactive(limits, margin)))
    return rows


def seeds(series: Series, forecast: np.ndarray) -> dict[str, Any]:
    """The paper's formula started from three sizes of the cluster, everything else equal."""
    demand = np.asarray(series.values)
    first = last_third(series)
    capacity = float(demand[:first].max()) / COVERING
    limits = SizingLimits(0, NODES)
    out = {}
    for start in (40, 50, 60):
        seed = float(demand[first - 1]) / start
        result = run(
            Lsp(limits, seed=seed), demand, forecast, first, capacity, limits,
            interval_s=series.step_s, start_nodes=start,
        )  # fmt: skip
        out[f"{start} nodes on at the start"] = {**row(result), "nodes": result.nodes.tolist()}
    return out


def figure_6(series: Series, forecast: np.ndarray) -> dict[str, Any]:
    """Tasks per node and day: as the paper compares, and at equal node-hours."""
    demand = np.asarray(series.values)
    first = last_third(series)
    capacity = float(demand[:first].max()) / COVERING
    limits = SizingLimits(0, NODES)
    lsp = run(Lsp(limits), demand, forecast, first, capacity, limits, interval_s=series.step_s)
    test = demand[first:]
    equal = float(lsp.nodes.sum()) / test.size
    rows = {
        "lsp": test / lsp.nodes,
        "static 30": test / 30.0,
        f"static at equal node-hours ({equal:.1f})": test / equal,
    }
    return {
        "unit": "one node's measured capacity per day",
        "nodes": lsp.nodes.tolist(),
        "rows": {k: {"mean": float((v / capacity).mean()), "peak": float((v / capacity).max()),
                     "lowest": float((v / capacity).min()), "per_day": (v / capacity).tolist()}
                 for k, v in rows.items()},
        "node_days": {"lsp": int(lsp.nodes.sum()), "static 30": 30 * int(test.size),
                      "static at equal node-hours": float(equal * test.size)},
    }  # fmt: skip
