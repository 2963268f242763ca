"""What a warm fork-server loads before it forks: torch, and what the first optimizer imports.

Runs in the task's own interpreter. Importing torch takes 2 s, and the first optimizer as long again, since
it imports torch._dynamo. Two things must not happen: a thread that lives on, for it would be missing in every
fork, and any use of CUDA, which cannot be forked.
"""

from __future__ import annotations

import os
import sys

from trainmaster.runners import script  # so that forks need not read it

_NO_CUDA = {
    # The optimizer asks for CUDA. Without devices, and asking NVML, the driver is left alone.
    "CUDA_VISIBLE_DEVICES": "",
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
}


def load() -> bool:
    """Load it all; False if this interpreter has no torch."""
    before = {name: os.environ.get(name) for name in _NO_CUDA}
    os.environ.update(_NO_CUDA)
    try:
        import torch
        import torch.distributed
        import torch.nn.functional
        import torch.utils.data
    except ImportError as error:
        sys.stderr.write(f"{sys.executable} is not kept warm: {error}\n")
        return False
    script.threads = torch.get_num_threads()
    torch.set_num_threads(1)
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.zeros(1)
    torch.optim.SGD([weight], lr=0.1, momentum=0.9).step()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    return True
