"""torchrun's own elasticity under the changes of `benchmarks.elastic`: a worker more, one fewer, one killed.

The same network and batch in the form torchrun asks for: DDP, and a checkpoint to start again from. One agent
with one worker stands for a node; a change is a further agent, a TERM to an agent, a KILL to a worker. All
agents restart their workers at every change. Settings: those under which it works at all in torch 2.13 (a
rendezvous store outside the agents, which must not share it with the workers, or growing hangs), agents that
look at their workers every 0.1 s instead of every 0.1 to 5 s, and `last_call_timeout`, which is how long a
rendezvous waits for late-comers: 30 s by default, and 5 s, the least with which no part of the group was ever
left out.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from tests.live import wait_until

PATIENCE_S = 150.0
SCRIPT = """
import os, time
import torch
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel

torch.set_num_threads(1)
torch.distributed.init_process_group("gloo")
rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
xs, ys = torch.randn(2560, 784), torch.randint(0, 10, (2560,))
model = torch.nn.Sequential(torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
model = DistributedDataParallel(model)
opt = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
step = 0
if os.path.exists("checkpoint"):
    saved = torch.load("checkpoint")
    step = saved["step"]
    model.load_state_dict(saved["model"])
    opt.load_state_dict(saved["opt"])
with open(f"steps-{os.getpid()}", "a", buffering=1) as steps:
    while True:
        epoch, index = divmod(step, 10)
        order = torch.randperm(2560, generator=torch.Generator().manual_seed(epoch))
        mine = order[index * 256 : (index + 1) * 256][rank::world]
        loss = F.cross_entropy(model(xs[mine]), ys[mine])
        opt.zero_grad()
        loss.backward()
        opt.step()
        step += 1
        steps.write(f"{time.time()} {world} {step}\\n")
        if rank == 0 and step % 20 == 0:
            torch.save({"step": step, "model": model.state_dict(), "opt": opt.state_dict()}, "part")
            os.replace("part", "checkpoint")
"""


class Agents:
    """Agents of one job, oldest first."""

    def __init__(self, folder: Path, last_call_s: float) -> None:
        from torch.distributed import TCPStore

        self._folder = folder
        self._last_call_s = last_call_s
        self._store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        self._agents: list[subprocess.Popen[bytes]] = []
        (folder / "train.py").write_text(SCRIPT)

    def start(self) -> float:
        """One more; when it was asked for."""
        begin = time.time()
        conf = f"is_host=0,last_call_timeout={self._last_call_s:g}"
        command = [
            sys.executable, "-m", "torch.distributed.run", "--nnodes=1:3", "--nproc-per-node=1",
            "--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{self._store.port}", "--rdzv-id=elastic",
            f"--rdzv-conf={conf}", "--max-restarts=100", "--monitor-interval=0.1", "train.py",
        ]  # fmt: skip
        env = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        out = (self._folder / f"agent-{len(self._agents)}").open("wb")
        with out:
            agent = subprocess.Popen(command, cwd=self._folder, env=env, stdout=out, stderr=out)
        self._agents.append(agent)
        return begin

    def leave(self) -> float:
        """The newest goes."""
        begin = time.time()
        self._agents.pop().send_signal(signal.SIGTERM)
        return begin

    def kill(self) -> float:
        """The newest agent's worker dies."""
        (worker,) = psutil.Process(self._agents[-1].pid).children()
        begin = time.time()
        worker.kill()
        return begin

    def trained(self, after: float, workers: int, by_new: bool = False) -> float | None:
        """When the last of `workers` workers made its first step in a world of so many after `after`.

        `by_new`: only steps of workers that had made none before.
        """
        found = []
        for path in self._folder.glob("steps-*"):
            lines = [line.split() for line in path.read_text().splitlines(keepends=True) if "\n" in line]
            if by_new and lines and float(lines[0][0]) <= after:
                continue
            fitting = (float(at) for at, world, _ in lines if float(at) > after and int(world) == workers)
            first = next(fitting, None)
            if first is not None:
                found.append(first)
        return max(found) if len(found) == workers else None

    def last_before(self, after: float) -> float:
        """The last step of the workers as they were, at or after `after`."""
        ends = []
        for path in self._folder.glob("steps-*"):
            times = [float(x.split()[0]) for x in path.read_text().splitlines(keepends=True) if "\n" in x]
            if times and times[0] <= after:
                ends.append(times[-1])
        return max(ends)

    def close(self) -> None:
        for agent in self._agents:
            agent.terminate()
        for agent in self._agents:
            try:
                agent.wait(20)
            except subprocess.TimeoutExpired:
                for child in psutil.Process(agent.pid).children(recursive=True):
                    child.kill()
                agent.kill()
                agent.wait()


def measure(last_call_s: float) -> dict[str, float]:
    """Seconds from each change to the first step after it, by the last of the workers to make one."""
    with tempfile.TemporaryDirectory(prefix="trainmaster-torchrun-") as name:
        agents = Agents(Path(name), last_call_s)
        try:
            begin = time.time()
            agents.start()
            agents.start()
            _until(lambda: agents.trained(begin, 2), "two workers")
            begin = agents.start()
            grown = _until(lambda: agents.trained(begin, 3, by_new=True), "a third worker")
            figures = {"grow_s": grown - begin, "stall_s": grown - agents.last_before(begin)}
            time.sleep(1)
            begin = agents.kill()
            figures["killed_s"] = _until(lambda: agents.trained(begin, 3, by_new=True), "the rest") - begin
            time.sleep(1)
            begin = agents.leave()
            figures["shrink_s"] = _until(lambda: agents.trained(begin, 2, by_new=True), "two left") - begin
        finally:
            agents.close()
    return {name: round(value, 2) for name, value in figures.items()}


def _until(holds: Callable[[], float | None], what: str) -> float:
    return float(wait_until(holds, f"torchrun: {what}", PATIENCE_S, 0.05))
