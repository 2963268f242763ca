"""A service process for tests; prints one JSON line when ready.

`python tests/serve.py '{"data": ..., "nodes": 4}'`
"""

import asyncio
import json
import sys
from pathlib import Path

from trainmaster.bootstrap.config import load_config
from trainmaster.bootstrap.serve import Ready, serve
from trainmaster.telemetry.logs import configure


def main() -> None:
    flags = json.loads(sys.argv[1])
    leave_running = flags.pop("leave_running", True)
    config = load_config(**flags)
    config.data.mkdir(parents=True, exist_ok=True)
    configure(Path(config.data) / "service.log", config.log_level)

    def ready(ready: Ready) -> None:
        print(json.dumps({"url": ready.url, "token": ready.token}), flush=True)

    asyncio.run(serve(config, ready, leave_running=lambda: leave_running))


if __name__ == "__main__":
    main()
