"""How the garbage collector should treat a process that keeps very many small values for long."""

from __future__ import annotations

import gc


def settle_collector() -> None:
    """Keep full collections out of decisions, and the small ones small.

    With 100,000 live tasks each would stop the service for a third of a second, to find next to nothing,
    since our values hold no cycles. The service does one itself when it holds little. One of the youngest
    20,000 takes 5 ms, which is half of what a decision may take: ten of 2,000 take no longer, one by one.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 500, 100_000)
