"""The command line against a real service: what a person types, reads and gets as exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.live import SOURCE, Live, live, wait_until
from trainmaster.cli.main import run

ID = r"t-[0-9a-z]{10}"
SMALL = ["--cpus", "0.1"]


@dataclass(frozen=True)
class Told:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Say = Callable[..., Told]


@pytest.fixture
def say(
    shared_service: Live,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Say:
    """Type a command; the service is found by its data folder."""
    for name in [name for name in os.environ if name.startswith("TRAINMASTER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRAINMASTER_DATA", str(shared_service.data))
    monkeypatch.chdir(tmp_path)

    def say(*words: str) -> Told:
        code = run(list(words))
        told = capsys.readouterr()
        return Told(code, told.out, told.err)

    return say


def submitted(say: Say, *words: str) -> str:
    told = say("submit", "--quiet", *SMALL, *words)
    assert told.code == 0, told.err
    return told.out.strip()


def test_submit_answers_with_the_id_and_waiting_gives_the_outcome(say: Say) -> None:
    told = say("submit", *SMALL, "--name", "one", "--wait", "--", "sh", "-c", "exit 0")
    assert (told.code, told.out) == (0, "")
    first, last = told.err.splitlines()
    assert re.match(rf"{ID}  one  ", first)
    assert re.match(rf"{ID}  one  SUCCEEDED after ", last)
    told = say("submit", *SMALL, "--wait", "--", "sh", "-c", "exit 7")
    assert told.code == 1
    assert "FAILED" in told.err
    assert "exited with 7" in told.err


def test_following_prints_the_log_alone_on_standard_output(say: Say) -> None:
    told = say("submit", *SMALL, "--follow", "--", "sh", "-c", "echo one; sleep 0.2; echo two >&2; exit 3")
    assert told.code == 1
    assert sorted(told.out.splitlines()) == ["one", "two"]


def test_a_process_starts_where_the_person_is_with_their_variables(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLOUR", "blue")
    told = say(
        "submit", *SMALL, "-f", "-e", "COLOUR", "-e", "SIZE=7", "--", "sh", "-c", "pwd; echo $COLOUR $SIZE"
    )
    assert told.out.splitlines() == [str(tmp_path), "blue 7"]


def test_flags_set_and_file_agree_on_every_field(say: Say, tmp_path: Path) -> None:
    (tmp_path / "task.toml").write_text(
        'name = "filed"\ncommand = ["sleep", "60"]\ncpus = 0.1\npriority = 1\nworkers = "1..2"\n'
        'labels = {team = "a"}\n[retry]\nattempts = 2\n'
    )
    words = ["--set", "priority=5", "--label", "run=3", "--urgency", "urgent", "--json"]
    task = say("submit", "task.toml", *words).json
    assert (task["name"], task["priority"], task["urgency"]) == ("filed", 5.0, "urgent")
    assert (task["min_workers"], task["max_workers"]) == (1, 2)
    assert task["labels"] == {"team": "a", "run": "3"}
    assert say("cancel", task["id"], "--wait").out == f"{task['id']}  CANCELLED\n"


def test_the_same_key_submits_once(say: Say) -> None:
    words = ["--key", "once", "--", "true"]
    assert submitted(say, *words) == submitted(say, *words)
    told = say("submit", *SMALL, "--key", "once", "--", "false")
    assert told.code == 2
    assert "was used for another task" in told.err


def test_what_can_never_run_is_refused_with_the_services_own_remedy(say: Say) -> None:
    told = say("submit", "--gpus", "4", "--", "python", "train.py")
    assert told.code == 2
    first, remedy = told.err.splitlines()
    assert first.startswith("error: no node can ever run this: 4 GPUs asked for")
    assert remedy.startswith("  ask for ")


def test_tasks_lists_live_and_ended_ones(say: Say) -> None:
    running = submitted(say, "--name", "long", "--", "sleep", "60")
    ended = submitted(say, "--name", "\x1b[2Jodd", "--", "true")
    wait_until(lambda: say("show", ended, "--json").json["state"] == "SUCCEEDED", "it ends")
    wait_until(lambda: say("show", running, "--json").json["state"] == "RUNNING", "it runs")
    told = say("tasks")
    lines = {line.split()[0]: line for line in told.out.splitlines()}
    assert re.search(r"long +RUNNING +normal +node-\d", lines[running])
    assert "␛[2Jodd" in lines[ended]
    assert "\x1b" not in told.out
    found = say("tasks", "--json", "--state", "running").json
    assert running in [task["id"] for task in found]
    assert {task["state"] for task in found} == {"RUNNING"}
    assert [t["id"] for t in say("tasks", "--all", "--json", "-n", "1").json] == [ended]
    assert say("tasks", "no-task-has-this-name").out.startswith("no task matches")
    assert say("cancel", running[2:8]).code == 0  # a beginning without "t-"


def test_show_explain_and_events_tell_one_story(say: Say) -> None:
    task = submitted(say, "--name", "story", "--", "sh", "-c", "echo hi; sleep 0.5; exit 9")
    wait_until(lambda: say("show", task, "--json").json["state"] == "FAILED", "it fails")
    shown = say("show", task).out
    assert re.match(rf"{task}  story  FAILED\n  exited with 9\n", shown)
    assert re.search(r"exit code +9", shown)
    assert re.search(r"1 +0 +node-\d +EXITED", shown)
    assert say("explain", task).out.startswith("FAILED: exited with 9.")
    assert say("explain", task, "--json").json["state"] == "FAILED"
    kinds = [json.loads(line)["kind"] for line in say("events", task, "--json").out.splitlines()]
    assert kinds == ["task-submitted", "task-accepted", "task-started", "task-failed"]
    assert "task-failed" in say("events", "-n", "5").out
    assert say("show", "t-nothere").code == 2


def test_a_waiting_task_says_for_what(say: Say) -> None:
    blocker = submitted(say, "--", "sleep", "60")
    told = say("submit", *SMALL, "--after", blocker, "--", "true")
    assert "BLOCKED: 1 of 1 dependencies open" in told.out
    waiting = told.out.split()[0]
    assert "waits" in say("explain", waiting).out
    told = say("cancel", waiting, "t-nothere", blocker)
    assert told.code == 2
    assert told.out.count("t-") == 2
    assert "there is no task t-nothere" in told.err


def test_priority_changes(say: Say) -> None:
    task = submitted(say, "--", "sleep", "60")
    assert "normal 3" in say("priority", task, "3").out
    assert "normal 2" in say("priority", task, "=2").out
    assert "urgent" in say("priority", task, "urgent").out
    assert say("priority", task, "-1").code == 0
    assert say("cancel", task).code == 0


def test_logs_are_filtered_as_asked(say: Say) -> None:
    script = "for i in 1 2 3 4; do echo line $i; done; echo oops >&2"
    task = submitted(say, "--", "sh", "-c", script)
    wait_until(lambda: say("show", task, "--json").json["ended_at"], "it ends")
    wait_until(lambda: len(say("logs", task).out.splitlines()) == 5, "all lines are there")
    assert say("logs", task, "--stream", "stdout").out == "line 1\nline 2\nline 3\nline 4\n"
    assert say("logs", task, "--stream", "stderr").out == "oops\n"
    assert say("logs", task, "--grep", "[34]$").out == "line 3\nline 4\n"
    assert say("logs", task, "--stream", "stdout", "-n", "1").out == "line 4\n"
    assert say("logs", task, "-n", "0").out == ""
    assert len(say("logs", task, "--since", "1h").out.splitlines()) == 5
    assert say("logs", task, "--until", "1h").out == ""
    assert say("logs", task, "--rank", "1").out == ""
    assert len(say("logs", task, "-f").out.splitlines()) == 5
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} oops\n", say("logs", task, "-t", "--stream", "stderr").out)
    lines = [json.loads(line) for line in say("logs", task, "--json").out.splitlines()]
    assert {line["stream"] for line in lines} == {"STDOUT", "STDERR"}
    told = say("logs", task, "--grep", "(")
    assert told.code == 2
    assert "not a regular expression" in told.err


def test_following_with_a_tail_misses_and_repeats_nothing(say: Say) -> None:
    task = submitted(say, "--", "sh", "-c", "for i in $(seq 1 40); do echo $i; sleep 0.02; done")
    time.sleep(0.3)
    lines = say("logs", task, "-f", "-n", "5").out.splitlines()
    numbers = [int(line) for line in lines]
    assert numbers == list(range(numbers[0], 41))


def test_the_log_of_all_workers_says_whose_line_it_is(say: Say) -> None:
    task = submitted(say, "--workers", "2", "--", "sh", "-c", "echo rank $TRAINMASTER_RANK")
    wait_until(lambda: say("show", task, "--json").json["ended_at"], "it ends")
    wait_until(
        lambda: (
            sorted(say("logs", task, "--rank", "all").out.splitlines()) == ["  0 | rank 0", "  1 | rank 1"]
        ),
        "both wrote",
    )
    assert say("logs", task).out == "rank 0\n"


def test_nodes_top_and_drain(say: Say) -> None:
    told = say("nodes").out.splitlines()
    assert told[0].split()[:2] == ["node", "state"]
    assert [line.split()[0] for line in told[1:]] == ["node-1", "node-2", "node-3", "node-4"]
    assert say("drain", "node-4").out.startswith("node-4  DRAINING")
    assert say("drain", "node-4", "--undo").out == "node-4  UP\n"
    assert {node["state"] for node in say("nodes", "--json").json} == {"UP"}
    task = submitted(say, "--name", "busy", "--", "sleep", "60")
    wait_until(lambda: "RUNNING" in say("top").out, "top shows it")
    assert "busy" in say("top").out
    assert say("top", "--json").json["tasks"][0]["id"] == task
    assert say("cancel", task).code == 0
    assert "there is no node nowhere" in say("drain", "nowhere").err


def test_profiles_quotas_and_tokens(say: Say, shared_service: Live) -> None:
    assert re.search(r"\* +default", say("profile").out)
    assert say("profile", "use", "dtes").out.startswith("dtes is active")
    assert [p["name"] for p in say("profile", "list", "--json").json if p["active"]] == ["dtes"]
    assert say("profile", "use", "default").code == 0
    assert say("profile", "use", "none").code == 2
    assert say("quota", "set", "ann", "--running", "3").out == (
        "ann  running workers: 3, queued tasks: no limit\n"
    )
    assert say("quota", "list", "--json").json == [
        {"user": "ann", "running_workers": 3, "queued_tasks": None}
    ]
    assert re.search(r"ann +3 +no limit", say("quota").out)
    made = say("token", "new", "ann", "--role", "viewer", "--label", "look")
    secret = made.out.strip()
    token = re.search(r"token ([0-9a-f]+);", made.err)
    assert token is not None
    assert [t["token"] for t in say("token", "list", "--json").json] == [None, None]
    url = shared_service.url
    told = say("--url", url, "--token", secret, "submit", *SMALL, "--", "true")
    assert told.code == 2
    assert "needs the role submitter" in told.err
    assert say("--url", url, "--token", secret, "tasks").code == 0
    assert say("token", "revoke", token[1]).code == 0
    assert "not known" in say("--url", url, "--token", secret, "tasks").err
    assert say("token", "revoke", token[1]).code == 2


def test_doctor_finds_the_running_service(say: Say, shared_service: Live) -> None:
    told = say("doctor", "--json")
    found = {one["check"]: one for one in told.json}
    assert found["service"]["text"].startswith(f"runs at {shared_service.url} (pid {shared_service.pid})")
    assert found["database"]["text"].startswith("SQLite, sound")
    assert told.code == 0, found


def command(*words: str, data: Path, **more: Any) -> subprocess.Popen[str]:
    """The real program, as a shell would start it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TRAINMASTER_")}
    environment |= {"PYTHONPATH": str(SOURCE), "TRAINMASTER_DATA": str(data)}
    return subprocess.Popen(
        [sys.executable, "-m", "trainmaster.cli.main", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=data.parent,
        **more,
    )


def test_a_reader_that_leaves_early_is_no_error(say: Say, shared_service: Live) -> None:
    task = submitted(say, "--", "seq", "1", "200000")
    wait_until(lambda: say("show", task, "--json").json["ended_at"], "it ends")
    logs = command("logs", task, data=shared_service.data)
    assert logs.stdout is not None
    assert logs.stdout.readline() == "1\n"
    logs.stdout.close()
    assert logs.stderr is not None
    assert logs.stderr.read() == ""
    assert logs.wait(20) == 0
    logs.stderr.close()


def test_interrupting_a_follower_leaves_the_task(say: Say, shared_service: Live) -> None:
    words = ["submit", "-f", *SMALL, "--", "sh", "-c", "echo up; sleep 60"]
    follower = command(*words, data=shared_service.data)
    assert follower.stdout is not None
    assert follower.stdout.readline() == "up\n"
    follower.send_signal(signal.SIGINT)
    _, errors = follower.communicate(timeout=20)
    assert follower.returncode == 130
    assert "Traceback" not in errors
    task = re.search(rf"({ID}) goes on; end it with: trainmaster cancel", errors)
    assert task is not None
    assert say("show", task[1], "--json").json["state"] == "RUNNING"
    assert say("cancel", task[1], "--wait").code == 0


def test_following_survives_a_restart_of_the_service(tmp_path: Path) -> None:
    """Also when it comes back on another port: the credentials file is read again."""
    services = live(tmp_path / "data", nodes=1, cores=1)
    service = next(services)
    script = "for i in $(seq 1 40); do echo $i; sleep 0.1; done"
    follower = command("submit", "-f", *SMALL, "--", "sh", "-c", script, data=service.data)
    assert follower.stdout is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(follower.stdout or ()))
    reader.start()
    try:
        wait_until(lambda: len(lines) > 3, "the first lines")
        service.kill()
        service.start()
        assert follower.wait(60) == 0
        reader.join(10)
        assert [int(line) for line in lines] == list(range(1, 41))
    finally:
        follower.kill()
        follower.wait()
        reader.join(10)
        for pipe in (follower.stdout, follower.stderr):
            if pipe is not None:
                pipe.close()
        services.close()


class TestUpAndDown:
    @pytest.fixture
    def data(self, tmp_path: Path) -> Iterator[Path]:
        data = tmp_path / "data"
        yield data
        command("down", "--kill-tasks", data=data).communicate(timeout=40)

    def up(self, data: Path, *words: str) -> subprocess.Popen[str]:
        return command("up", "--port", "0", "--nodes", "2", *words, data=data)

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, str, str]:
        out, err = process.communicate(timeout=40)
        return process.returncode, out, err

    def test_up_prints_the_link_and_down_stops_it(self, data: Path) -> None:
        service = self.up(data)
        assert service.stdout is not None
        greeting = [service.stdout.readline() for _ in range(6)]
        assert re.match(r"  page  http://127\.0\.0\.1:\d+/\?t=tm_", greeting[1])
        assert "2 logical nodes with" in greeting[2]
        assert str(data) in greeting[3]
        second = self.finish(self.up(data))
        assert second[0] == 2
        assert second[2].startswith(f"error: another Trainmaster (pid {service.pid}) owns this data folder")
        assert "--data elsewhere" in second[2]
        code, out, err = self.finish(command("down", data=data))
        assert (code, err) == (0, "")
        assert out.startswith(f"stopped (pid {service.pid})")
        code, out, err = self.finish(service)
        assert (code, err) == (0, "")
        assert "stopped; nothing was running" in out

    def test_down_leaves_tasks_running_unless_told_to_kill_them(self, data: Path, tmp_path: Path) -> None:
        beat = tmp_path / "beat"

        def beats() -> bool:
            before = beat.stat().st_mtime_ns
            time.sleep(0.3)
            return beat.stat().st_mtime_ns != before

        def well(process: subprocess.Popen[str]) -> str:
            """What it printed; it must not have complained."""
            code, out, err = self.finish(process)
            assert (code, err) == (0, "")
            return out

        well(self.up(data, "--detach"))
        script = f"while true; do date > {beat}; sleep 0.05; done"
        well(command("submit", "-q", *SMALL, "--", "sh", "-c", script, data=data))
        wait_until(beat.exists, "the task beats")
        assert "running tasks go on" in well(command("down", data=data))
        wait_until(beats, "the task goes on beating")
        well(self.up(data, "--detach"))
        tasks = json.loads(well(command("tasks", "--json", data=data)))
        assert [(task["state"], task["attempt"]) for task in tasks] == [("RUNNING", 1)]
        assert "running tasks ended with it" in well(command("down", "--kill-tasks", data=data))
        assert not beats()

    def test_several_downs_at_once_stop_it_once_and_none_complains(self, data: Path) -> None:
        service = self.up(data, "--json")
        assert service.stdout is not None
        assert json.loads(service.stdout.readline())["pid"] == service.pid
        told = [self.finish(down) for down in [command("down", data=data) for _ in range(3)]]
        assert {(code, err) for code, _, err in told} == {(0, "")}
        assert any(out.startswith(f"stopped (pid {service.pid})") for _, out, _ in told)
        assert self.finish(service)[0] == 0

    def test_ctrl_c_stops_it_in_order(self, data: Path) -> None:
        service = self.up(data, "--json")
        assert service.stdout is not None
        assert json.loads(service.stdout.readline())["pid"] == service.pid
        service.send_signal(signal.SIGINT)
        code, _, err = self.finish(service)
        assert (code, err) == (0, "")

    def test_a_taken_port_is_said_also_when_detached(self, data: Path, shared_service: Live) -> None:
        port = shared_service.url.rpartition(":")[2]
        code, out, err = self.finish(command("up", "--detach", "--port", port, data=data))
        assert (code, out) == (2, "")
        assert err.startswith(f"error: port {port} on 127.0.0.1: Address already in use")
