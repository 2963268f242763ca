"""The course of a run, and its picture."""

from __future__ import annotations

import itertools
from pathlib import Path
from xml.etree import ElementTree

import pytest

from trainmaster.cli.main import run
from trainmaster.domain.cluster import Node
from trainmaster.domain.ids import NodeId
from trainmaster.domain.task import TaskSpec, Urgency
from trainmaster.domain.units import Resources
from trainmaster.policies.registry import Profile, build
from trainmaster.simulator.gantt import gantt_html, gantt_svg
from trainmaster.simulator.loop import Arrival, Scenario, Simulation
from trainmaster.simulator.trace import Trace, rows_of
from trainmaster.simulator.training import Length

NODES = [Node(NodeId("n0"), Resources(gpus=2)), Node(NodeId("n1"), Resources(gpus=1))]


def traced() -> Trace:
    """Four tasks of 10 s on three places: one waits."""
    trace = Trace()
    specs = [
        TaskSpec("a<b>", command=("t",), resources=Resources(gpus=1), priority=3.0),
        TaskSpec("b", command=("t",), resources=Resources(gpus=1)),
        TaskSpec("c", command=("t",), resources=Resources(gpus=1), urgency=Urgency.HIGHEST),
        TaskSpec("d", command=("t",), resources=Resources(gpus=1), priority=99.0),
    ]
    arrivals = [Arrival(float(at), spec, Length(10)) for at, spec in enumerate(specs)]
    policies = build(Profile("test", "fcfs", "fixed", "binpack", "none"))
    simulation = Simulation(Scenario(NODES, policies, arrivals), trace)
    simulation.run()
    trace.finish(simulation.now)
    return trace


def test_bars_and_curves_follow_the_run() -> None:
    trace = traced()
    assert [(bar.begin, bar.end) for bar in trace.bars] == [(0, 10), (1, 11), (2, 12), (10, 20)]
    at = {point.time: (point.waiting, point.running, point.workers, point.reward) for point in trace.points}
    assert at[3.0] == (1, 3, 3, 0)
    assert at[11.0] == (0, 2, 2, 50), "40 for priority 3, 10 for none"
    assert at[20.0] == (0, 0, 0, 170), "80 for the highest urgency, 40 at most for any other"
    assert trace.reward_area() == pytest.approx(40 * 1 + 50 * 1 + 130 * 8)


def test_bars_of_a_node_do_not_overlap_in_a_row() -> None:
    rows = rows_of(traced().bars, NODES)
    assert list(rows) == ["n0", "n1"]
    for lines in rows.values():
        for line in lines:
            assert all(a.end <= b.begin for a, b in itertools.pairwise(line))
    assert sum(len(line) for lines in rows.values() for line in lines) == 4


def test_the_picture_is_sound_and_the_same_twice() -> None:
    svg = gantt_svg(traced(), NODES)
    assert svg == gantt_svg(traced(), NODES)
    tips = [tip.text for tip in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}title")]
    assert len(tips) == 4 and tips[0] == "a<b> t-0000001, worker 0: 0.0 s to 10 s"
    page = gantt_html(traced(), NODES, "A & B")
    assert "<h1>A &amp; B</h1>" in page and "fairness" in page
    few = Trace(most=0)
    assert ElementTree.fromstring(gantt_svg(few, NODES)) is not None, "an empty run, too"


def test_the_command_draws_and_tells_of_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["simulate", "--jobs", "30", "--nodes", "4", "--clusters", "2", "--paces", "1,0.5", "--seed", "3"]
    words += ["--workers", "1..6", "--allotment", "marginal_goodput", "--restart", "2", "--across", "0.8"]
    words += ["--lost-every", "500", "--back-after", "30", "--slow-every", "300"]
    for name in ("run.svg", "run.html"):
        assert run([*words, "--gantt", str(tmp_path / name)]) == 0
        assert "<svg" in (tmp_path / name).read_text()
    assert "utilisation" in capsys.readouterr().out
    for wrong, field in (
        (["--gantt", "run.png"], "gantt"),
        (["--workers", "8..2"], "workers"),
        (["--workers", "many"], "workers"),
        (["--paces", "fast"], "paces"),
        (["--paces", "0"], "pace"),
        (["--pace", "2"], "pace"),
        (["--lost-every", "-1"], "lost_every_s"),
        (["--serial", "2"], "serial"),
    ):
        assert run(["simulate", "--jobs", "5", "--workers", "1..2", *wrong]) == 2
        assert field in capsys.readouterr().err
