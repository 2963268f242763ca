"""Who owns a data folder: asked of the kernel, never of what a file says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trainmaster.bootstrap.lock import AlreadyRunning, FolderLock

HOLD = """
import sys
from pathlib import Path
from trainmaster.bootstrap.lock import FolderLock
FolderLock(Path(sys.argv[1])).take("12:34")
print("held", flush=True)
sys.stdin.read()
"""
COME_AND_GO = """
import sys
from pathlib import Path
from trainmaster.bootstrap.lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("begins", flush=True)
for _ in range(3000):
    lock.take("now")
    lock.release()
"""


@contextmanager
def other(script: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, once it has printed its line."""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], stdin=-1, stdout=-1, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_an_own_lock_is_known_and_refuses_a_second_one_in_the_same_process(tmp_path: Path) -> None:
    lock, second = FolderLock(tmp_path), FolderLock(tmp_path)
    assert FolderLock(tmp_path / "never made").owner() is None
    assert lock.owner() is None
    lock.take("now")
    assert lock.owner() == second.owner() == os.getpid()
    with pytest.raises(AlreadyRunning) as refused:
        second.take("now")
    assert refused.value.fields["pid"] == os.getpid()
    second.release()  # it holds nothing
    assert lock.owner() == os.getpid()
    lock.release()
    assert lock.owner() is None
    second.take("now")
    second.release()


def test_the_owner_is_named_whatever_the_file_says(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with other(HOLD, tmp_path) as owner:
        for text, since in (
            (None, "12:34"),
            ("", "a moment ago"),
            ('{"pid": 1, "since": "10:00"}', "a moment ago"),
            ("[]", "a moment ago"),
            ("{", "a moment ago"),
        ):
            if text is not None:
                (tmp_path / "lock").write_text(text)
            assert lock.owner() == owner.pid
            with pytest.raises(AlreadyRunning) as refused:
                lock.take("now")
            assert refused.value.fields == {"pid": owner.pid, "since": since}
        owner.kill()
        owner.wait()
        assert lock.owner() is None
    lock.take("now")
    lock.release()


def test_asking_never_hinders_a_service_that_starts_or_stops(tmp_path: Path) -> None:
    """Asking used to take the lock for a moment, and to read a file that could be empty."""
    lock = FolderLock(tmp_path)
    seen = set()
    with other(COME_AND_GO, tmp_path) as busy:
        while busy.poll() is None:
            seen.add(lock.owner())
        assert busy.returncode == 0
    assert seen <= {None, busy.pid}
