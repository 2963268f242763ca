"""torchrun's own elasticity under Trainmaster: `python -m trainmaster.train.torchrun [OPTION…] SCRIPT …`.

Each worker of the task is a torchrun agent with one process (`--nproc-per-node` changes that). Trainmaster
decides who belongs to the group, as for any other; torchrun lets its agents meet anew and starts the script
again, which resumes from its own checkpoint. A change takes several seconds. Without an option `--nnodes` any
number of workers may meet.

What had to be known of torchrun 2.13: its agents share the store they meet through with the workers, and then
a joiner waits for an address that nobody publishes, so that is turned off. An agent that hosts the store
takes it down with itself, so the leader hosts it here beside its agent. Its default patience, 30 s for late
comers and 15 s for an agent that has vanished, is cut short.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from trainmaster.train.context import Context
from trainmaster.train.plan import Plan, PlanFile
from trainmaster.train.uplink import Uplink

_POLL_S = 0.05
_GRACE_S = 10.0
_MEETING = "is_host=0,last_call_timeout=3,keep_alive_interval=1,keep_alive_max_attempt=3"


class Agent:
    """A torchrun process and the workers it has started."""

    def __init__(self, options: Sequence[str], run_id: str, store: str) -> None:
        self.store = store
        command = [sys.executable, "-m", "torch.distributed.run"]
        command += ["--nnodes=1:1024", "--nproc-per-node=1", "--max-restarts=1000", "--monitor-interval=0.1"]
        command += [f"--rdzv-id={run_id}", "--rdzv-backend=c10d", f"--rdzv-endpoint={store}"]
        command += [f"--rdzv-conf={_MEETING}", *options]  # of options that come twice the last counts
        environment = {**os.environ, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
            environment.pop(name, None)
        self._process = subprocess.Popen(command, env=environment)

    @property
    def code(self) -> int | None:
        """The exit code, None while it lives."""
        return self._process.poll()

    def worlds(self) -> set[int]:
        """The WORLD_SIZE its workers were started with."""
        pid, found = self._process.pid, set()
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            for child in children:
                variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
                found |= {int(one[11:]) for one in variables if one.startswith(b"WORLD_SIZE=")}
        except OSError:
            return set()  # one of them has just ended
        return found

    def stop(self) -> None:
        """TERM, grace, KILL."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Member:
    """This worker's part: host a store in case it leads, follow the plans, keep an agent."""

    def __init__(self, context: Context, options: Sequence[str]) -> None:
        from torch.distributed import TCPStore

        self._context = context
        self._options = options
        self._uplink = Uplink(context)
        self._plans = PlanFile(f"{context.group}/plan")
        self._store = TCPStore(context.address, 0, is_master=True, wait_for_workers=False)
        self._agent: Agent | None = None
        self._joined = 0
        self._told = False  # to stop

    def run(self) -> int:
        """Until the script has ended, or this worker is to leave. Returns the exit code."""
        signal.signal(signal.SIGTERM, self._terminated)
        self._uplink.tell("ready", store=f"{self._context.address}:{self._store.port}")
        while True:
            plan = self._plans.look()
            if self._told:
                self._stop()
                return 128 + signal.SIGTERM
            if plan is not None and self._context.rank in plan.members:
                self._follow(plan)
            elif self._agent is not None:
                self._stop()
                return 0
            if self._agent is not None and self._agent.code is not None:
                return self._agent.code if self._agent.code >= 0 else 128 - self._agent.code
            time.sleep(_POLL_S)

    def _follow(self, plan: Plan) -> None:
        if self._agent is not None and self._agent.store != plan.store:
            self._stop()  # who hosted the store has gone
        if self._agent is None:
            run_id = self._context.run.rpartition(".")[0] or "task"
            self._agent = Agent(self._options, run_id, plan.store)
        if plan.generation > self._joined and self._agent.worlds() == {len(plan.members) * self._each()}:
            self._joined = plan.generation
            self._uplink.tell("joined", generation=plan.generation, step=0)

    def _each(self) -> int:
        """Processes of one agent."""
        for at, word in enumerate(self._options):
            name, equals, value = word.partition("=")
            if name in ("--nproc-per-node", "--nproc_per_node"):
                return int(value if equals else self._options[at + 1])
        return 1

    def _stop(self) -> None:
        if self._agent is not None:
            self._agent.stop()
            self._agent = None

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        self._told = True


def main(options: Sequence[str]) -> int:
    context = Context.from_environment()
    if not context.group:
        return subprocess.call([sys.executable, "-m", "torch.distributed.run", "--standalone", *options])
    return Member(context, options).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
