"""Workloads and curves from files: what is read, and what is refused with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trainmaster.cli.main import run
from trainmaster.simulator.errors import BadCurve, BadWorkload, UnknownApplication
from trainmaster.simulator.profiles import Application, Applications, compact, local_batch
from trainmaster.simulator.workload.philly import philly
from trainmaster.simulator.workload.pollux import pollux

HEADER = "timestamp,duration,num_gpus,gpu_time,cluster\n"


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_philly_rows_come_in_order_of_time(tmp_path: Path) -> None:
    file = written(
        tmp_path / "p.csv", HEADER + "2017-10-09 07:00:10,5,1,5,a\n2017-10-09 07:00:00,7,20,140,b\n"
    )
    first, second = philly(file)
    assert (first.time, first.spec.min_workers, first.spec.resources.gpus, first.spec.user) == (0, 3, 7, "b")
    assert (second.time, second.spec.min_workers, second.spec.resources.gpus) == (10, 1, 1)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("yesterday,5,1,5,a", "timestamp"),
        ("2017-10-09 07:00:10,-5,1,5,a", "duration"),
        ("2017-10-09 07:00:10,nan,1,5,a", "duration"),
        ("2017-10-09 07:00:10,5,1.5,5,a", "num_gpus"),
        ("2017-10-09 07:00:10,5", "num_gpus"),
    ],
)
def test_a_bad_row_is_named_with_its_line(tmp_path: Path, row: str, field: str) -> None:
    file = written(tmp_path / "p.csv", HEADER + "2017-10-09 07:00:00,7,1,7,b\n" + row + "\n")
    with pytest.raises(BadWorkload) as caught:
        list(philly(file))
    assert (caught.value.fields["line"], caught.value.fields["field"]) == (3, field)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadWorkload, match="cluster is not a column"):
        list(philly(written(tmp_path / "p.csv", "timestamp,duration,num_gpus\n")))


def curves(folder: Path, metric: str = "0.5", step: str = "0.1") -> Path:
    head = "progress,iteration,metric,grad_sqr,grad_var\n"
    written(folder / "validation-12.csv", head + f"10,10,{metric},1,2\n20,20,0.7,1,2\n")
    written(folder / "placements.csv", f"placement,local_bsz,step_time,sync_time\n1,4,{step},0\n1,12,0.2,0\n")
    written(
        folder / "scalability.csv",
        "num_nodes,num_replicas,local_bsz,step_time,sync_time\n"
        "6,6,4,0.3,0.1\n6,8,12,0.3,0.1\n8,8,4,0.4,0.1\n16,16,12,0.5,0.1\n",
    )
    return folder


def test_curves_with_holes_are_refused(tmp_path: Path) -> None:
    app = Application(curves(tmp_path / "bert"), 2)
    assert app.step_s((1,), 8) == pytest.approx((0.15, 0))
    with pytest.raises(BadCurve, match="64 samples per worker"):
        app.step_s((1,), 64)
    with pytest.raises(BadCurve, match="batch of 100"):
        app.noise(100, 0)
    with pytest.raises(BadCurve, match="2 epochs of the 3"):
        Application(tmp_path / "bert", 3)
    with pytest.raises(BadCurve, match="metric has a hole"):
        Application(curves(tmp_path / "a", metric="nan"), 2)
    with pytest.raises(BadCurve, match="not positive"):
        Application(curves(tmp_path / "b", step="0"), 2)


def test_unknown_applications_and_batches_are_refused(tmp_path: Path) -> None:
    curves(tmp_path / "curves" / "bert")
    applications = Applications(tmp_path / "curves")
    with pytest.raises(UnknownApplication, match="gpt"):
        applications["gpt"]
    head = "name,time,application,num_replicas,batch_size\n"
    with pytest.raises(BadWorkload, match="gpt"):
        list(pollux(written(tmp_path / "w.csv", head + "a,0,gpt,1,12\n"), applications))
    with pytest.raises(BadWorkload, match=r"outside 12\.\.12"):
        list(pollux(written(tmp_path / "w.csv", head + "a,0,bert,1,99\n"), applications))


def test_batches_are_split_over_workers_and_passes(tmp_path: Path) -> None:
    app = Application(curves(tmp_path / "bert"), 2)
    assert compact(6) == (4, 2) and compact(8) == (4, 4)
    assert local_batch(app, 12, 2) == (6, 0)
    assert local_batch(app, 12, 1) == (12, 0)


def test_the_command_says_the_same_twice(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for _ in range(2):
        assert run(["simulate", "--jobs", "50", "--nodes", "2", "--json"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] and json.loads(said[0])["ended"] == {"SUCCEEDED": 50}
    assert run(["simulate", "--ordering", "nonsense"]) == 2
