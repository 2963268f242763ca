"""The folder of a run: its spec, what its life says as a report, its end."""

from __future__ import annotations

from pathlib import Path

from tests.nodes import run_id
from trainmaster.domain.run import Exit, Fault, RunReport, RunSpec, RunState
from trainmaster.domain.units import Resources
from trainmaster.runners import life, rundir

SPEC = RunSpec(
    run_id("a", 2, 1), "process", ("echo", "ü"), environment=(("A", "b"),), resources=Resources(500)
)


def test_what_was_prepared_is_read_back(tmp_path: Path) -> None:
    folder = str(tmp_path / str(SPEC.id))
    rundir.prepare(folder, SPEC, {"argv": ["echo"]})
    assert rundir.spec(folder) == SPEC
    assert list(rundir.each(str(tmp_path))) == [folder]
    assert (tmp_path / str(SPEC.id) / life.SPEC).stat().st_mode & 0o077 == 0  # it may hold secrets
    rundir.delete(folder)
    rundir.delete(folder)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_more_in_it_goes_too(tmp_path: Path) -> None:
    folder = tmp_path / "t-a.1.0"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/file").write_text("x")
    rundir.delete(str(folder))
    assert not folder.exists()


def test_a_folder_without_a_spec_is_nothing(tmp_path: Path) -> None:
    assert rundir.spec(str(tmp_path)) is None


def test_lives_as_reports() -> None:
    run = SPEC.id
    claim = {"claim": {"pid": 7, "start": 1, "boot": "b"}}
    started = {**claim, "started": {"pid": 7, "start": 1, "child": 8, "child_start": 2, "time": 10.0}}
    ended = {**started, "exit": {"code": 3, "fault": "", "detail": "", "time": 12.0}}
    lost = {**claim, "exit": {"code": None, "fault": "vanished", "detail": "why", "time": 12.0}}
    assert rundir.report(run, claim) == RunReport(run, RunState.PREPARING)
    assert rundir.report(run, started) == RunReport(run, RunState.RUNNING, 10.0, pid=8)
    assert rundir.report(run, ended) == RunReport(run, RunState.EXITED, 10.0, 12.0, Exit(3), 8)
    assert rundir.report(run, lost) == RunReport(
        run, RunState.LOST, None, 12.0, Exit(None, Fault.VANISHED, "why")
    )
