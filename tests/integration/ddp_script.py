"""A script for torchrun, which knows nothing of us: `ddp_script.py FOLDER EPOCHS`.

Environment variables say who it is, gloo connects it, a checkpoint file carries it over a restart.
"""

import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

folder, epochs = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
assert dist.is_torchelastic_launched()
assert int(os.environ["LOCAL_RANK"]) < int(os.environ["LOCAL_WORLD_SIZE"]) <= world
assert int(os.environ["GROUP_RANK"]) < int(os.environ["GROUP_WORLD_SIZE"])
assert (int(os.environ["TORCHELASTIC_RESTART_COUNT"]) > 0) == os.path.exists(
    os.path.join(folder, "checkpoint.pt")
)
torch.manual_seed(0)
model = DistributedDataParallel(torch.nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), 0.05)
checkpoint, begin = os.path.join(folder, "checkpoint.pt"), 0
if os.path.exists(checkpoint):
    state = torch.load(checkpoint)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    begin = state["epoch"] + 1
data = torch.randn(256, 8)
for epoch in range(begin, epochs):
    for batch in range(len(data) // (16 * world)):
        at = (batch * world + rank) * 16
        part = data[at : at + 16]
        optimizer.zero_grad()
        loss = (model(part) - part.sum(1, keepdim=True)).square().mean()
        loss.backward()
        optimizer.step()
    if rank == 0:
        torch.save(
            {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch},
            f"{checkpoint}.new",
        )
        Path(f"{checkpoint}.new").replace(checkpoint)
        with open(os.path.join(folder, "epochs"), "a") as log:
            log.write(f"{epoch} {world}\n")
    time.sleep(0.2)
    dist.barrier()
dist.destroy_process_group()
