"""A script that knows nothing of groups; with NEVER it does not end either."""

import os
import time
from pathlib import Path

import torch

weight = torch.nn.Parameter(torch.ones(1))
optimizer = torch.optim.SGD([weight], lr=0.1)
for _ in range(10):
    optimizer.zero_grad()
    (weight**2).sum().backward()
    optimizer.step()
Path(os.environ["FOLDER"], f"trained-{os.environ['TRAINMASTER_RANK']}").touch()
while os.environ.get("NEVER"):
    time.sleep(0.01)
