"""`small.py`, where the CPU passes for a GPU and a second gloo group for NCCL.

GPU names the one this worker has. Everything of ours runs as it would there; what is NCCL's own does not.
"""

import os
import runpy
import signal
import time
from datetime import timedelta
from pathlib import Path

from torch.distributed import ProcessGroupGloo

from trainmaster.train import core
from trainmaster.train.gpu import Gpu

env = os.environ
counted = Path(env["FOLDER"]) / f"exchanges-{env['TRAINMASTER_RANK']}"


class StandIn(Gpu):
    exchanges = 0

    @property
    def identity(self):
        return env["GPU"]

    def wait(self):
        pass

    def connect(self, store, position, size):
        if env.get("NCCL_FAILS"):
            raise RuntimeError("unhandled system error\nLast error: no such device")
        if env.get("CONNECTS_NEVER"):
            (Path(env["FOLDER"]) / "connecting").touch()
            time.sleep(600)
        options = ProcessGroupGloo._Options()
        options._timeout = timedelta(seconds=60)
        options._devices = [ProcessGroupGloo.create_device(hostname="127.0.0.1")]
        return ProcessGroupGloo(store, position, size, options)

    def order(self, work):
        StandIn.exchanges += 1
        counted.write_text(str(StandIn.exchanges))
        if StandIn.exchanges == int(env.get("DIE_IN_EXCHANGE", "-1")):
            os.kill(os.getpid(), signal.SIGKILL)
        if StandIn.exchanges == int(env.get("STUCK_IN_EXCHANGE", "-1")):
            return lambda: False  # as NCCL is, whose other end is gone

        def done():
            return work.is_completed() and bool(work.wait())

        return done

    def failed(self, group):
        return False


core.gpu_of = StandIn
runpy.run_path(str(Path(__file__).with_name("small.py")), run_name="__main__")
