"""A stand-in for the service: owns an agent, launches the runs it is given, polls, and waits to be killed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.nodes import Driven
from trainmaster.domain.run import RunSpec


async def own(data: Path, specs: list[RunSpec], options: dict[str, Any]) -> None:
    driven = await Driven(data, **options).start()
    await driven.agent.launch(specs)
    print("launched", flush=True)
    while True:
        await driven.poll(1.0)


if __name__ == "__main__":
    folder, given, options = sys.argv[1:]
    runs = [RunSpec.from_dict(spec) for spec in json.loads(Path(given).read_text())]
    asyncio.run(own(Path(folder), runs, json.loads(options)))
