"""Finding all below a process, by the kernel's lists and without them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.nodes import alive
from trainmaster.runners import descendants

TREE = """
import os, sys, time
for depth in range(3):
    if os.fork():
        break
    os.setsid()
with open(sys.argv[1] + "/" + str(depth) + str(os.getpid()), "w"):
    pass
time.sleep(600)
"""


@pytest.mark.parametrize("lists", [True, False])
def test_everything_below_is_found_and_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lists: bool
) -> None:
    root = subprocess.Popen([sys.executable, "-S", "-c", TREE, str(tmp_path)])
    try:
        if not lists:
            monkeypatch.setattr(descendants, "_listed", lambda pid: False)
        while len(found := descendants.below(root.pid)) < 3 or len(list(tmp_path.iterdir())) < 3:
            assert root.poll() is None
        assert len(found) == 3
        assert descendants.kill_below(root.pid) == 3
        while any(alive(pid) for pid in found):
            pass
        assert root.poll() is None
    finally:
        root.kill()
        root.wait()


def test_processes_are_known_by_their_environment(tmp_path: Path) -> None:
    import os

    child = subprocess.Popen(["/bin/sleep", "600"], env={"TRAINMASTER_REPORT": str(tmp_path)})
    try:
        wanted = f"TRAINMASTER_REPORT={tmp_path}".encode()
        assert descendants.carrying(wanted) == [child.pid]
        assert descendants.carrying(wanted + b"x") == []
        assert not descendants.zombie(child.pid)
    finally:
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert descendants.zombie(child.pid)
        child.wait()
