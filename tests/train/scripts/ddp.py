"""A script for torchrun that knows nothing of us: trains until another world has been seen often enough."""

import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import record
from torch.nn.parallel import DistributedDataParallel


@record
def main() -> None:
    folder = Path(os.environ["FOLDER"])
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    model = DistributedDataParallel(torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    checkpoint, begin = folder / "checkpoint.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        begin = state["step"]
    for step in range(begin, 100_000):
        if (folder / "enough").exists():
            break
        optimizer.zero_grad()
        model(torch.ones(2, 4)).square().mean().backward()
        optimizer.step()
        if dist.get_rank() == 0:
            with (folder / "steps").open("a") as log:
                log.write(f"{step} {dist.get_world_size()} {os.environ['TORCHELASTIC_RESTART_COUNT']}\n")
            new = folder / "checkpoint.new"
            torch.save({"model": model.state_dict(), "step": step + 1}, new)
            new.replace(checkpoint)
        time.sleep(0.02)
        dist.barrier()
    dist.destroy_process_group()


main()
