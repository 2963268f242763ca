"""A script that starts warm finds and leaves what one that starts cold does."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.nodes import Driven, alive, nothing_left, run_id, wait_for
from tests.scenario import World, spec
from trainmaster.domain.commands import Launch
from trainmaster.domain.run import Exit, Fault, RunSpec, RunState, Stream
from trainmaster.runners.interpreters import start_environment, warmable

PYTHON = sys.executable


class Scripts:
    """Runs scripts on one node whose interpreter is warm."""

    def __init__(self, folder: Path, node: Driven) -> None:
        self.folder = folder
        self.node = node
        self.count = 0

    def spec(self, source: str, *arguments: str, warm: bool = True, **more: Any) -> RunSpec:
        self.count += 1
        path = self.folder / f"script{self.count}.py"
        path.write_text(textwrap.dedent(source))
        more = {"directory": str(self.folder), "command": (PYTHON, path.name, *arguments), **more}
        return RunSpec(run_id(f"{self.folder.name}-{self.count}"), "process", warm=warm, **more)

    async def run(self, source: str, *arguments: str, **more: Any) -> tuple[Exit | None, bytes, bytes]:
        """(exit, stdout, stderr)"""
        spec = self.spec(source, *arguments, **more)
        report = await self.node.run(spec)
        return report.exit, self.node.log(spec.id), self.node.log(spec.id, Stream.STDERR)

    async def both(self, source: str, *arguments: str, **more: Any) -> tuple[Exit | None, bytes, bytes]:
        """The warm outcome, which must be the cold one."""
        warm = await self.run(source, *arguments, **more)
        self.count -= 1  # the same name, in another attempt
        spec = self.spec(source, *arguments, warm=False, **more)
        spec = RunSpec.from_dict(spec.to_dict() | {"id": f"{spec.id.task}.2.0"})
        report = await self.node.run(spec)
        cold = (report.exit, self.node.log(spec.id), self.node.log(spec.id, Stream.STDERR))
        assert warm[0] == cold[0]
        assert warm[1].decode().splitlines() == cold[1].decode().splitlines()
        assert warm[2].decode().splitlines() == cold[2].decode().splitlines()
        return warm


async def warmed(data: Path, folder: Path) -> Driven:
    """A node whose interpreter is warm, by a first run that started cold."""
    pytest.importorskip("torch")
    node = await Driven(data).start()
    first = Scripts(folder, node)
    exit_, out, _ = await first.run(
        f"""
        import glob, sys, time
        while not glob.glob({str(data / "forkserver-python-*.sock")!r}): time.sleep(0.02)
        print("torch" in sys.modules)
        """
    )
    assert (exit_, out) == (Exit(0), b"False\n")
    return node


@pytest.fixture
async def scripts(tmp_path: Path) -> AsyncIterator[Scripts]:
    data = tmp_path / "data"
    (tmp_path / "first").mkdir()
    (tmp_path / "scripts").mkdir()
    node = await warmed(data, tmp_path / "first")
    yield Scripts(tmp_path / "scripts", node)
    await node.close()
    await nothing_left(data)


async def test_a_warm_script_is_as_a_cold_one(scripts: Scripts, tmp_path: Path) -> None:
    """One node for all of these, as loading torch takes seconds."""
    _, out, _ = await scripts.run("import sys; print('torch' in sys.modules, *sys.argv)", "a", "-b")
    assert out.decode().split() == ["True", "script1.py", "a", "-b"]

    source = """
        import os, sys, signal, random, __main__
        print(sys.argv, sys.path, sys.executable, sys.flags, os.getcwd(), os.getpgid(0) == os.getpid())
        print(sorted(os.listdir("/proc/self/fd")), sys.stdin.read(), sys.stdout.encoding, sys.orig_argv)
        print([signal.getsignal(n) for n in range(1, 32)], signal.pthread_sigmask(signal.SIG_BLOCK, []))
        print({k: v for k, v in os.environ.items() if k.startswith(("PY", "MY")) or k in ("HOME", "PATH")})
        print(__file__, __name__, __main__.__spec__, __main__.__dict__ is globals())
        print("trainmaster" in sys.modules, os.path.dirname(__import__("trainmaster").__file__))
        import torch
        print(torch.get_num_threads(), torch.is_grad_enabled())
    """
    exit_, out, _ = await scripts.both(source, "x", environment=(("MY", "own"),))
    assert exit_ == Exit(0) and b"'MY': 'own'" in out

    draws = "import random, numpy, torch; print(random.random(), numpy.random.random(), torch.rand(1).item())"
    first, second = [(await scripts.run(draws))[1].split() for _ in range(2)]
    assert len({*first, *second}) == 6
    seeded = (
        "import random, numpy, torch; random.seed(1); numpy.random.seed(1); torch.manual_seed(1);" + draws
    )
    await scripts.both(seeded)

    source = """
        import atexit, ctypes, sys
        atexit.register(print, "atexit")
        libc = ctypes.CDLL(None)
        libc.fopen.restype, libc.fputs.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_void_p)
        libc.fputs(b"flushed", libc.fopen(b"left by C", b"a"))
        left = open("left", "a"); left.write("flushed")
        class Ends:
            def __del__(self): print("deleted")
        kept = Ends()
        print("out"); print("err", file=sys.stderr)
        sys.exit(%s)
    """
    assert (await scripts.both(source % 3))[0] == Exit(3)
    assert (await scripts.both(source % "'why'"))[0] == Exit(1)
    assert (await scripts.both(source % ""))[1] == b"out\natexit\ndeleted\n"
    for left in ("left", "left by C"):
        assert (tmp_path / "scripts" / left).read_text() == "flushed" * 6
    assert (await scripts.both("def f(): 1 / 0\nf()"))[0] == Exit(1)
    assert (await scripts.both("x = (\n"))[0] == Exit(1)
    assert (await scripts.both("raise KeyboardInterrupt"))[0] == Exit(130)
    assert (await scripts.both("import os; print(1); os._exit(9)"))[0] == Exit(9)
    assert (await scripts.both("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"))[0] == Exit(139)
    assert (await scripts.both("", command=(PYTHON, "missing.py")))[0] == Exit(2)

    (tmp_path / "scripts" / "mod.py").write_text("import sys; print(__name__, sys.argv, sys.path[0])")
    module = {"command": (PYTHON, "-m", "mod", "a")}
    assert b"__main__" in (await scripts.both("", **module))[1]
    assert (await scripts.both("", command=(PYTHON, "-m", "no_such_module")))[0] == Exit(1)

    source = """
        import os, signal, sys, time
        child = os.fork()
        signal.signal(signal.SIGTERM, (lambda *_: sys.exit(4)) if child else signal.SIG_IGN)
        if child: print(child, flush=True)
        time.sleep(600)
    """
    node, spec = scripts.node, scripts.spec(source)
    await node.agent.launch([spec])
    await node.until(lambda: node.log(spec.id), "its child")
    await node.agent.stop(spec.id, 1.0)
    report = await node.end(spec.id)
    assert report.exit == Exit(4, Fault.STOPPED)
    assert not alive(int(node.log(spec.id)))


async def test_the_shim_of_a_warm_run_is_killed(scripts: Scripts) -> None:
    node, spec = scripts.node, scripts.spec("import time; time.sleep(600)")
    await node.agent.launch([spec])
    pid = await node.pid(spec.id)
    os.kill(int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]), 9)
    report = await node.state(spec.id, RunState.LOST)
    assert report.exit is not None and report.exit.fault is Fault.VANISHED and not alive(pid)
    await node.end(spec.id)
    # The fork-server dies as well: the next run starts cold, and brings it back.
    (pid_file,) = node.data.glob("forkserver-python-*.pid")
    os.kill(int(pid_file.read_text()), 9)
    source = "import sys; print('torch' in sys.modules)"
    assert (await scripts.run(source))[:2] == (Exit(0), b"False\n")


async def test_without_torch_it_starts_cold(tmp_path: Path) -> None:
    node = await Driven(tmp_path / "data").start()
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "torch.py").write_text("raise ImportError('none here')")
    scripts = Scripts(tmp_path, node)
    more = {"environment": (("PYTHONPATH", str(hidden)),)}
    try:
        assert (await scripts.run("print(1)", **more))[:2] == (Exit(0), b"1\n")
        said = tmp_path / "data" / "forkserver.log"
        await wait_for(lambda: "not kept warm" in said.read_text(), "the reason")
        await asyncio.gather(*node.agent._shared[0].interpreters._starts.values())  # type: ignore[attr-defined]
        assert (await scripts.run("print(2)", **more))[:2] == (Exit(0), b"2\n")
    finally:
        await node.close()
        await nothing_left(tmp_path / "data")


def test_tasks_share_an_interpreter_whatever_they_are_told_of_themselves() -> None:
    world = World({"n1": 4})
    world.submit(*(spec(min_workers=2, max_workers=2, environment=(("OMP_NUM_THREADS", "1"),)),) * 2)
    told = [command.run for command in world.last.commands if isinstance(command, Launch)]
    assert len(told) == 4 and len({run.environment for run in told}) == 4
    assert [start_environment(dict(run.environment)) for run in told] == [{"OMP_NUM_THREADS": "1"}] * 4


def test_only_plain_commands_start_warm(tmp_path: Path) -> None:
    env = {"PATH": f"{Path(PYTHON).parent}"}
    (tmp_path / "python").write_text("#!/bin/sh\n")
    (tmp_path / "python").chmod(0o755)
    assert warmable((PYTHON, "a.py"), env) == PYTHON
    assert warmable(("python3", "-m", "a"), env) == f"{Path(PYTHON).parent}/python3"
    for command in [
        ("python3",),
        ("python3", "-"),
        ("python3", "-u", "a.py"),
        ("python3", "-m"),
        ("bash", "a"),
    ]:
        assert warmable(command, env) is None
    assert warmable(("python3", "a.py"), env | {"PYTHONPATH": "lib"}) is None
    assert warmable(("python", "a.py"), {"PATH": str(tmp_path)}) is None
    assert warmable((".venv/bin/python", "a.py"), env) is None
