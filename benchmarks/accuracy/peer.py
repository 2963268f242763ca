"""APScheduler 3.11 given the same jobs, in a process of its own: one line of JSON, the delays in seconds.

Usage: python peer.py {memory|sqlite} POOL COUNT
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from typing import Any

due = 0.0
count = 0
delays: list[float] = []
done = threading.Event()


def job() -> None:
    delays.append(time.time() - due)
    if len(delays) == count:
        done.set()


def main() -> None:
    global due, count
    from apscheduler.executors.pool import ThreadPoolExecutor  # type: ignore[import-not-found]
    from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-not-found]

    logging.disable(logging.CRITICAL)
    kind, pool, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        stores: dict[str, Any] = {}
        if kind == "sqlite":
            from apscheduler.jobstores.sqlalchemy import (  # type: ignore[import-not-found]
                SQLAlchemyJobStore,
            )

            stores["default"] = SQLAlchemyJobStore(f"sqlite:///{folder}/jobs.db")
        scheduler = BackgroundScheduler(
            jobstores=stores,
            executors={"default": ThreadPoolExecutor(pool)},
            # Its own default drops what is a second late.
            job_defaults={"misfire_grace_time": None, "coalesce": False},
            timezone="UTC",
        )
        scheduler.start(paused=True)
        began = time.time()
        # Long enough for all to be stored.
        due = float(int((began + 1 + count * (0.02 if kind == "sqlite" else 0.0004)) * 10)) / 10
        moment = datetime.fromtimestamp(due, UTC)
        for _ in range(count):
            scheduler.add_job("__main__:job" if kind == "sqlite" else job, "date", run_date=moment)
        stored = time.time()
        scheduler.resume()
        done.wait(120)
        late = stored > due
        scheduler.shutdown(wait=False)
    print(json.dumps({"delays": delays, "late": late, "lost": count - len(delays)}))


if __name__ == "__main__":
    main()
