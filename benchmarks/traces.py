"""Where the traces and profiled curves are."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def traces() -> Path:
    """The folder `traces` of the data folder. Raises FileNotFoundError."""
    named = os.environ.get("TRAINMASTER_TEST_DATA")
    candidates = [Path(named)] if named else []
    candidates += [ROOT.parent / "shared" / "data", ROOT.parent.parent / "shared" / "data"]
    for candidate in candidates:
        if (candidate / "traces").is_dir():
            return candidate / "traces"
    raise FileNotFoundError("no traces; set TRAINMASTER_TEST_DATA to the folder that holds traces/")
