"""The demo's bookkeeping and pictures, from answers made up here."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from trainmaster.cli.showcase import view
from trainmaster.cli.showcase.watch import Watch
from trainmaster.cli.showcase.work import Settings, in_containers, ordinary, urgent
from trainmaster.client import Client, Metric, Run, Submitted, Task
from trainmaster.runners.image import HostImage

BLANK = Task(
    id="", name="", kind="process", state="QUEUED", stopping="", user="u", urgency="normal", priority=0.0,
    command=[], function="", image="", directory="", cpus=0.5, memory=0, gpus=0, workers=1, min_workers=1,
    max_workers=1, attempt=0, failures=0, losses=0, interruptions=0, submitted_at=0.0, started_at=None,
    first_started_at=None, ended_at=None, waited_s=0.0, ran_s=0.0, exit_code=None, result=None, reason="",
    nodes=[], after=[], labels={},
)  # fmt: skip


class Service:
    """Answers as the client does; the test moves the tasks."""

    def __init__(self) -> None:
        self.held: dict[str, Task] = {}
        self.reports: dict[str, list[Metric]] = {}
        self.ran: dict[str, list[str]] = {}

    def submit_many(self, tasks: Any) -> list[Submitted]:
        answers = []
        for fields in tasks:
            id_ = f"t-{len(self.held):010}"
            priority = fields.get("priority", 0.0)
            urgency = fields.get("urgency", "normal")
            self.held[id_] = replace(BLANK, id=id_, name=fields["name"], priority=priority, urgency=urgency)
            answers.append(Submitted(id=id_))
        return answers

    def task(self, task: str) -> Task:
        return self.held[task]

    def tasks(self) -> list[Task]:
        return list(self.held.values())

    def metrics(self, task: str, after: float = 0.0) -> list[Metric]:
        return [metric for metric in self.reports.get(task, []) if metric.time >= after]

    def runs(self, task: str) -> list[Run]:
        return [
            Run(f"{task}.{n}.0", n, 0, node, "EXITED", [], 0.0, 0.0, 1.0, 0, "", "")
            for n, node in enumerate(self.ran.get(task, []), 1)
        ]

    def move(self, number: int, **changes: Any) -> str:
        task = list(self.held)[number]
        self.held[task] = replace(self.held[task], **changes)
        return task

    def report(self, number: int, attempt: int, time: float, epoch: int, accuracy: float) -> None:
        task = list(self.held)[number]
        metric = Metric(attempt, 0, time, epoch, {"epoch": epoch, "accuracy": accuracy})
        self.reports.setdefault(task, []).append(metric)


def drawn(picture: Any) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=80).print(picture)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_an_interruption_from_beginning_to_end(tmp_path: Path) -> None:
    service, settings = Service(), Settings(each=1, epochs=9)
    watch = Watch(cast(Client, service))
    watch.submit(ordinary(settings, tmp_path))
    assert watch.look() == []
    service.move(0, state="RUNNING", nodes=["node-1"], attempt=1, first_started_at=1.0, ran_s=3.2)
    service.report(0, 1, 10.0, 1, 0.5)
    service.report(0, 1, 11.0, 2, 0.75)
    assert watch.look() == ["mlp-1 #1 started on node-1"]
    assert "2/9  0.750" in drawn(view.progress(watch.rows))[1]
    watch.submit([urgent(settings, tmp_path)])
    service.move(0, state="INTERRUPTED", nodes=[], interruptions=1)
    assert watch.look() == ["mlp-1 #1 yields to urgent #4 at epoch 2"]
    assert drawn(view.progress(watch.rows))[1].endswith("by #4")
    assert "highest" in drawn(view.progress(watch.rows))[4]
    service.move(0, state="RUNNING", nodes=["node-3"], attempt=2)
    service.report(0, 2, 20.0, 3, 0.875)
    assert watch.look() == ["mlp-1 #1 goes on, on node-3"]
    service.ran[service.move(0, state="SUCCEEDED", nodes=[], ended_at=30.0)] = ["node-1", "node-3"]
    service.report(0, 2, 29.0, 9, 0.999)
    assert watch.look() == ["mlp-1 #1 SUCCEEDED, accuracy 0.999"]
    assert not watch.ended
    for number in (1, 2, 3):
        service.move(number, state="SUCCEEDED", ended_at=30.0)
    watch.look()
    assert watch.ended
    row = drawn(view.result(watch.rows))[1]
    assert "node-1→3" in row
    assert row.endswith("SUCCEEDED  yielded ×1")
    assert view.summary(watch.rows, 61.0) == (
        "4 of 4 tasks succeeded in 1m 01s; mlp-1 #1 was interrupted at epoch 2 and went on with epoch 3; "
        "none lost. Mean wait 0.0 s."
    )
    assert view.in_one_line(watch.rows) == "0 running, 0 waiting, 4 done; best accuracy 0.999"


def test_every_report_is_counted_once(tmp_path: Path) -> None:
    service = Service()
    watch = Watch(cast(Client, service))
    watch.submit(ordinary(Settings(each=1), tmp_path))
    service.move(1, state="RUNNING", nodes=["node-2"], attempt=1)
    for epoch in range(1, 4):
        service.report(1, 1, float(epoch), epoch, epoch / 10)
        watch.look()
        watch.look()
    assert watch.rows[1].accuracies == [0.1, 0.2, 0.3]


def test_the_tables_fit_80_columns(tmp_path: Path) -> None:
    service, settings = Service(), Settings(each=5, epochs=30)
    watch = Watch(cast(Client, service))
    watch.submit([*ordinary(settings, tmp_path), urgent(settings, tmp_path)])
    for number in range(16):
        service.move(
            number, state="INTERRUPTED", interruptions=1, waited_s=75.0, ran_s=75.0, first_started_at=1.0
        )
        for epoch in range(30):
            service.report(number, 1, epoch + 1.0, epoch, epoch / 30)
    watch.look()
    for row in watch.rows:
        row.nodes = ["node-1", "node-4"]
    for picture in (view.progress(watch.rows), view.result(watch.rows)):
        lines = drawn(picture)
        assert not any("…" in line for line in lines)
        assert len(lines) == 17


def test_priorities_differ_and_the_urgent_one_is_above_all(tmp_path: Path) -> None:
    settings = Settings(each=3)
    jobs = ordinary(settings, tmp_path)
    assert {job.fields["priority"] for job in jobs} == {1.0, 2.0, 3.0}
    assert [job.hidden for job in jobs] == [1, 2, 3] * 3
    assert jobs[0].fields["priority"] != jobs[1].fields["priority"]
    assert urgent(settings, tmp_path).fields["urgency"] == "highest"


def test_in_containers_the_same_program_sees_its_own_folder(tmp_path: Path) -> None:
    image = HostImage("host:1", ("/usr:/usr:ro",), (("PYTHONPATH", "/src"),), ("/usr",))
    fields = ordinary(Settings(each=1), tmp_path, in_containers(image))[0].fields
    folder = tmp_path / "task-1"
    assert fields["image"] == "host:1"
    assert fields["volumes"] == ["/usr:/usr:ro", f"{folder}:{folder}"]
    assert fields["environment"]["PYTHONPATH"] == "/src"
    assert fields["environment"]["TRAINMASTER_CHECKPOINT_DIR"] == str(folder)
    assert folder.is_dir()
