"""How the garbage collector should treat a process that keeps very many small values for long."""

from __future__ import annotations

import gc


def settle_collector() -> None:
    """Keep full collections out of decisions.

    With 100,000 live tasks each would stop the service for a third of a second, to find next to nothing,
    since our values hold no cycles. The service does one itself when it holds little.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100_000)
