"""A script in a process of its own, with a cache of kernels of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def python(script: str, cache: Path, code: int = 0, modules: Path | None = None) -> str:
    """What it prints. ``code``: how it must end; ``modules``: a folder to import from before all others."""
    path = [str(modules)] if modules else []
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(cache),
        "PYTHONPATH": os.pathsep.join([*path, *filter(None, sys.path)]),
    }
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout.strip()
