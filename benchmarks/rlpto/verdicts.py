"""The paper's claims and ours, each as yes or no with its figures."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from benchmarks.rlpto.figures import dominates, hypervolume, interval
from benchmarks.rlpto.methods import BASELINES, BETAS, MARGINAL, OURS, RESIDUAL, RLPTO
from benchmarks.rlpto.runs import mean

Points = dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Verdict:
    claim: str
    holds: bool
    figures: str


def swept(found: dict[str, Any], policy: str) -> list[tuple[float, float]]:
    """(accuracy, seconds) by β, the smallest first."""
    return [mean(found[f"{policy} β={beta:g}"]) for beta in BETAS]


def of_table(found: dict[str, Any], number: str) -> list[Verdict]:
    """Claims about Table II or III."""
    points = {name: mean(found[name]) for name in BASELINES}
    sweep = dict(zip(BETAS, swept(found, RLPTO), strict=True))
    ordered = [sweep[beta] for beta in BETAS]
    out = [
        Verdict(
            f"Table {number}: over β RLPTO's accuracy and time fall together",
            all(a[0] >= b[0] and a[1] >= b[1] for a, b in itertools.pairwise(ordered)),
            "; ".join(f"{100 * a:.2f} % {t:.0f} s" for a, t in ordered),
        )
    ]
    ratio = hypervolume([*points.values(), *ordered]) / hypervolume(points.values())
    out.append(
        Verdict(
            f"Table {number}: RLPTO widens the hypervolume of the baselines by 15 %", ratio >= 1.15,
            f"× {ratio:.3f} (from the paper's own figures: 1.24)",
        )
    )  # fmt: skip
    for beta, name in ((0.0001, "SLAQ"), (0.0005, "FS"), (0.0005, "Dolphin")):
        holds = dominates(sweep[beta], points[name])
        words = f"{_at(sweep[beta])} against {_at(points[name])}"
        out.append(Verdict(f"Table {number}: RLPTO β={beta:g} dominates {name}", holds, words))
    worst = all(
        points["FCFS"][0] < p[0] and points["FCFS"][1] > p[1] for n, p in points.items() if n != "FCFS"
    )
    out.append(
        Verdict(f"Table {number}: FCFS is the worst in accuracy and in time", worst, _at(points["FCFS"]))
    )
    for name in ("FS", "SLAQ", "Dolphin"):
        stops = swept(found, name)
        gain = hypervolume(ordered) / hypervolume(stops)
        out.append(
            Verdict(
                f"Table {number}: RLPTO's hypervolume is above that of {name} + stop(β)",
                gain > 1,
                f"× {gain:.3f}",
            )
        )
    return out


def against(found: dict[str, Any], number: str, ours: str) -> list[Verdict]:
    """Our policy against RLPTO and every baseline with the same stop, over paired seeds."""
    out, words, wins, accurate = [], [], [], []
    for beta in BETAS:
        mine, theirs = found[f"{ours} β={beta:g}"], found[f"{RLPTO} β={beta:g}"]
        saved = [1 - a / b for a, b in zip(mine["time_s"], theirs["time_s"], strict=False)]
        middle, low, _ = interval(saved)
        gained = 100 * (mean(mine)[0] - mean(theirs)[0])
        wins.append(middle >= 0.10 and low > 0)
        accurate.append(gained >= 0)
        words.append(f"β={beta:g}: {100 * middle:.1f} % (from {100 * low:.1f}), {gained:+.2f} points")
    out.append(
        Verdict(
            f"Table {number}: {ours} takes ≥ 10 % less time than RLPTO at equal or better accuracy, every β",
            all(wins) and all(accurate), "; ".join(words),
        )
    )  # fmt: skip
    out.append(_to_accuracy(found, number, ours))
    ratio = hypervolume(swept(found, ours)) / hypervolume(swept(found, RLPTO))
    out.append(Verdict(f"Table {number}: {ours} has ≥ 5 % more hypervolume", ratio >= 1.05, f"× {ratio:.3f}"))
    for name in (*BASELINES, "FS free"):
        ratio = hypervolume(swept(found, ours)) / hypervolume(swept(found, name))
        better = all(
            not dominates(theirs, mine)
            for mine, theirs in zip(swept(found, ours), swept(found, name), strict=True)
        )
        out.append(
            Verdict(
                f"Table {number}: {ours} is above {name} + stop(β)", ratio > 1 and better, f"× {ratio:.3f}"
            )
        )
    return out


def _to_accuracy(found: dict[str, Any], number: str, ours: str) -> Verdict:
    """For each β of RLPTO the fastest of our sweep that is at least as accurate, whatever its own β."""
    words, wins = [], []
    for beta, (accuracy, seconds) in zip(BETAS, swept(found, RLPTO), strict=True):
        times = [t for a, t in swept(found, ours) if a >= accuracy]
        wins.append(bool(times) and min(times) <= 0.9 * seconds)
        words.append(
            f"β={beta:g}: " + (f"{100 * (1 - min(times) / seconds):.1f} %" if times else "never reached")
        )
    claim = f"Table {number}: {ours} reaches the accuracy of each RLPTO β in ≥ 10 % less time, by any β"
    return Verdict(claim, all(wins), "; ".join(words))


def of_rewards(found: dict[str, Any]) -> list[Verdict]:
    """Table V: RLPTO against the paper's methods, and ours against RLPTO."""
    out = []
    for number, by in found.items():
        rlpto = next(name for name in by if name.startswith(RLPTO))
        averages = {name: by[name]["average"] for name in (*BASELINES, rlpto)}
        best = max(averages, key=lambda name: averages[name])
        words = ", ".join(f"{name} {value:.0f}" for name, value in averages.items())
        out.append(Verdict(f"Table V, {number}: RLPTO has the largest average reward", best == rlpto, words))
        for name in by:
            if name.split()[0] in OURS:
                gains = [a / b - 1 for a, b in zip(by[name]["area"], by[rlpto]["area"], strict=True)]
                middle, low, _ = interval(gains)
                out.append(
                    Verdict(
                        f"Table V, {number}: {name} has ≥ 10 % more area under the reward",
                        middle >= 0.10 and low > 0, f"{100 * middle:+.1f} % (from {100 * low:+.1f})",
                    )
                )  # fmt: skip
                out.append(_above_stopped(by, number, name))
    return out


def _above_stopped(by: dict[str, Any], number: str, ours: str) -> Verdict:
    """Ours against the paper's baselines with the same stop in average reward; figures: the best's."""
    beta = ours.rpartition(" ")[2]
    stopped = [f"{name} {beta}" for name in BASELINES]
    best = max(stopped, key=lambda name: float(by[name]["average"]))
    pairs = zip(by[ours]["averages"], by[best]["averages"], strict=True)
    middle, low, _ = interval([a / b - 1 for a, b in pairs])
    accuracy = 100 * (mean(by[ours])[0] - mean(by[best])[0])
    words = f"{100 * middle:+.1f} % (from {100 * low:+.1f}) over {best}, {accuracy:+.2f} points of accuracy"
    return Verdict(f"Table V, {number}: {ours} earns more than every baseline + stop(β)", middle > 0, words)


def everything(found: dict[str, Any]) -> list[Verdict]:
    out: list[Verdict] = []
    for number in ("2", "3"):
        if number in found:
            out += of_table(found[number], number)
            for name in (MARGINAL, RESIDUAL):
                out += against(found[number], number, name)
                out += against(found[number], number, f"{name} free")
    return out + (of_rewards(found["5"]) if "5" in found else [])


def _at(point: tuple[float, float]) -> str:
    return f"{100 * point[0]:.2f} % {point[1]:.0f} s"
