"""A small training that notes every sample it was given: `elastic_script.py FOLDER EPOCHS STEP_S`.

It ends earlier once there is a file FOLDER/enough.
"""

import os
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import TensorDataset

from trainmaster import train

folder, epochs, step_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
torch.set_num_threads(1)
torch.manual_seed(0)
x = torch.randn(512, 8, dtype=torch.float64)
dataset = TensorDataset(x, x[:, :4].argmax(1), torch.arange(len(x)))
model = torch.nn.Linear(8, 4, dtype=torch.float64)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
rank = os.environ.get("TRAINMASTER_RANK", "0")
mine = folder / f"seen.{os.environ.get('TRAINMASTER_ATTEMPT', '0')}.{rank}"
greedy = folder / f"greedy.{rank}"
with train.task(seed=7, hang_s=float(os.environ.get("HANG_S", "10"))) as t, mine.open("a") as seen:
    model, optimizer = t.prepare(model, optimizer)
    for epoch in t.epochs(epochs):
        for a, b, index in t.batches(dataset, batch=64):
            loss = F.cross_entropy(model(a), b)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if not t.dropped and len(t.indices):
                seen.write(f"{epoch} {' '.join(map(str, index.tolist()))}\n")
                seen.flush()
            time.sleep(step_s)
            if greedy.exists():
                hoard = bytearray(2**30)
        t.report(loss=loss)
        if t.is_leader:
            (folder / "epochs").write_text(str(epoch + 1))
        if (folder / "enough").exists():
            t.stop()
    if t.is_leader:
        torch.save(model.state_dict(), folder / "model.pt")
