"""A worker that is a torchrun agent."""

import sys
from pathlib import Path

from trainmaster.train import torchrun

sys.exit(torchrun.main([str(Path(__file__).with_name("ddp.py"))]))
