"""A small training in float64 that notes which samples every step was given and which steps counted."""

import json
import os
import signal
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import TensorDataset

from trainmaster import train

env = os.environ
folder, rank = Path(env["FOLDER"]), env["TRAINMASTER_RANK"]
size, epochs = int(env.get("SIZE", "1280")), int(env.get("EPOCHS", "30"))
torch.set_num_threads(1)
torch.manual_seed(int(rank) if env.get("OWN_SEED") else 0)
draw = torch.Generator().manual_seed(7)
dataset = TensorDataset(
    torch.randn(size, 8, dtype=torch.float64, generator=draw), torch.randint(0, 3, (size,), generator=draw)
)
width = int(env.get("WIDTH", "16"))
model = torch.nn.Sequential(torch.nn.Linear(8, width), torch.nn.Tanh(), torch.nn.Linear(width, 3)).double()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=float(env.get("MOMENTUM", "0.9")))
schedule = torch.optim.lr_scheduler.StepLR(optimizer, 100, 0.9)
nan_at, die_at = int(env.get("NAN_AT", "-1")), int(env.get("DIE_AT", "-1"))

log = (folder / f"steps-{rank}").open("a", buffering=1)
options = {"hang_s": float(env.get("HANG_S", "10")), "checkpoint_s": float(env.get("CHECKPOINT_S", "60"))}
if env.get("MAX_STEPS"):
    options["max_steps"] = int(env["MAX_STEPS"])
if env.get("MODE"):
    options |= {"mode": env["MODE"], "shares": env.get("SHARES", "speed")}
    options |= {"average_every": int(env.get("EVERY", "10")), "servers": int(env.get("SERVERS", "1"))}
options["data"] = env.get("DATA", "reference")
curve = json.loads(env.get("CURVE", "[]"))
given = None if env.get("NO_DATA") else dataset


def augment(sample, chance):
    x, y = sample
    return x + 0.1 * torch.randn(x.shape, dtype=x.dtype, generator=chance), y


more = {"load_factor": float(env["LOAD"]), "augment": augment} if env.get("LOAD") else {}
with train.task(not_finite=env.get("NOT_FINITE", "raise"), **options) as t:
    model, optimizer, schedule = t.prepare(model, optimizer, schedule)
    for epoch in t.epochs(epochs):
        for x, y in t.batches(given, batch=int(env.get("BATCH", "64")), **more):
            mark = {"generation": t.generation, "step": t.step}
            log.write(json.dumps({**mark, "indices": t.indices.tolist()}) + "\n")
            loss = F.cross_entropy(model(x), y)
            time.sleep(float(env.get("PER_SAMPLE_S", "0")) * len(t.indices))
            if t.step == nan_at:
                loss = loss * float("nan")
            if t.step == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if t.step == int(env.get("LEAVE_AT", "-1")):
                os._exit(0)
            if t.step == int(env.get("SKIP_AT", "-1")):
                continue
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if not t.dropped:
                log.write(json.dumps({**mark, "kept": True}) + "\n")
            if not (folder / "hurry").exists():
                time.sleep(float(env.get("PAUSE_S", "0")))
        t.report(loss=loss, rank=float(rank), **({"val_accuracy": curve[epoch]} if curve else {}))
    torch.save(model.state_dict(), folder / f"model-{rank}.pt")
    if t.is_leader:
        torch.save(model.state_dict(), folder / "model.pt")
