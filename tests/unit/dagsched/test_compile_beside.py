"""The process that compiles a share of the kernels: when it starts, and that it never outlives its use.

Each test compiles one small kernel into an empty cache, in a process of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.dagsched import fresh

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores"
)

BEGIN = """
import os, signal
import numpy as np
from trainmaster.dagsched.compile_beside import CompileBeside
from trainmaster.dagsched.kernels.csr import transpose

def compile_one():
    return transpose(np.array([0, 1, 1]), np.array([1], np.int32), np.array([2.0]))[1].tolist()

def running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
"""


def python(script: str, cache: Path, code: int = 0) -> str:
    return fresh.python(BEGIN + script, cache, code)


def ended(pid: int) -> bool:
    """Whether the process is gone, or only waits for somebody to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_compilation_starts_it_once_and_leaving_ends_it_while_a_filled_cache_starts_nothing(
    tmp_path: Path,
) -> None:
    script = """
with CompileBeside() as beside:
    assert beside.child is None
    compile_one()
    child = beside.child
    print("none" if child is None else running(child.pid))
if child is not None:
    assert beside.child is None and not running(child.pid)
    with CompileBeside() as again:
        transpose(np.array([0, 1, 1]), np.array([1]), np.array([2.0]))
        assert again.child is None, "another type, compiled by the same process"
"""
    assert python(script, tmp_path) == "True"
    assert python(script, tmp_path) == "none"


def test_whoever_kills_it_leaves_the_work_to_the_first_process(tmp_path: Path) -> None:
    script = """
with CompileBeside() as beside:
    print(compile_one())
    child = beside.child
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    beside.join()
    assert child.returncode == -signal.SIGKILL
    print(compile_one())
"""
    assert python(script, tmp_path) == "[0]\n[0]"


@pytest.mark.parametrize(
    ("told", "then", "expected"),
    [
        # At the first of four it will not be sooner done with the last ones.
        ("", "wait('2 1'); os.write(1, b'.'); hang()", ([3, 2, 1], -9)),
        ("..", "wait('3'); os.write(1, b'.'); hang()", ([3], -9)),
        ("...", "os.write(1, b'.'); hang()", ([], -9)),
        ("....", "hang()", ([], -9)),
        ("..", "sys.exit(3)", ([], 3)),
    ],
)
def test_the_share_is_finished_from_both_ends(
    tmp_path: Path, told: str, then: str, expected: tuple[list[int], int]
) -> None:
    """The second process's from the front, and this one's from the back; a dead one leaves all to later."""
    script = f"""
import subprocess, sys, time
from pathlib import Path
from trainmaster.dagsched import compile_beside

compiled = []
log = Path({str(tmp_path / "log")!r})

def compiles(index):
    def compile():
        compiled.append(index)
        log.write_text(" ".join(map(str, compiled)))
    return compile

def shared(ports):
    assert ports == "single"
    return list(map(compiles, range(4)))

compile_beside.shared = shared
COMMAND = '''
import os, sys, time
from pathlib import Path
log = Path({str(tmp_path / "log")!r})
def hang(): time.sleep(60)
def wait(text):
    while not (log.exists() and log.read_text().endswith(text)):
        time.sleep(0.01)
os.write(1, b"{told}")
{then}
'''
with CompileBeside("single") as beside:
    beside.child = child = subprocess.Popen([sys.executable, "-c", COMMAND], stdout=subprocess.PIPE)
    while beside._done(0.1) < {len(told)}:
        pass
    if "exit" in COMMAND:
        child.wait()
    beside.join()
    print((compiled, child.returncode))
"""
    assert python(script, tmp_path) == str(expected)


@pytest.mark.parametrize("last", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_the_process_that_started_it(tmp_path: Path, last: signal.Signals) -> None:
    script = f"""
with CompileBeside() as beside:
    compile_one()
    print(beside.child.pid, flush=True)
    os.kill(os.getpid(), {int(last)})
"""
    child = int(python(script, tmp_path, code=-last))
    deadline = time.monotonic() + 60
    while not ended(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert ended(child)


@pytest.mark.parametrize(
    "without",
    [
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])",
        "import sys; sys.executable = '/opt/planner/planner'",
        "import sys; sys.executable = '/nowhere/python3'",
        "import sys; sys.frozen = True",
    ],
)
def test_one_core_or_no_python_to_start_leaves_all_to_the_first_process(tmp_path: Path, without: str) -> None:
    script = f"""
{without}
with CompileBeside() as beside:
    print(compile_one(), beside.child)
    beside.join()
"""
    assert python(script, tmp_path) == "[0] None"


def test_what_is_compiled_early_is_what_tdpatd_calls_in_the_types_in_which_it_calls_it() -> None:
    script = """
from trainmaster.dagsched import compile_beside, generate, schedule
from trainmaster.dagsched.algorithms import tdca
from trainmaster.dagsched.dagp import recursive

for ports in ("multi", "single"):
    for call in compile_beside.shared(ports):
        call()
early = (recursive.recursive_bisection, tdca.earliest_completions, tdca.critical_parents, tdca.chains,
         tdca.assign_leftovers, tdca.insert_producers, tdca.merge_lists)
compiled = [list(kernel.signatures) for kernel in early]
assert [len(signatures) for signatures in compiled] == [1, 1, 1, 1, 1, 1, 2], compiled
graph = generate(60, width=5, ccr=5, seed=1)
for processors in (3, [1.0, 2.0]):
    for ports in ("multi", "single"):
        schedule(graph, processors, "tdpatd", ports=ports)
assert [list(kernel.signatures) for kernel in early] == compiled
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
