"""Where the image sets are."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def images(kind: str = "mnist") -> Path:
    """The folder of an image set. Raises FileNotFoundError."""
    named = os.environ.get("TRAINMASTER_TEST_DATA")
    candidates = [Path(named)] if named else []
    candidates += [ROOT.parent / "shared" / "data", ROOT.parent.parent / "shared" / "data"]
    for candidate in candidates:
        if (candidate / "images" / kind).is_dir():
            return candidate / "images" / kind
    raise FileNotFoundError(
        "no images; set TRAINMASTER_TEST_DATA to a folder and fetch them: "
        f"python -m trainmaster.train.examples.mnist --to $TRAINMASTER_TEST_DATA/images/{kind} --of {kind}"
    )
