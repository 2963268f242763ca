"""What becomes of firings due at 10, 20 and 30 s under each overlap policy, whatever they start."""

from __future__ import annotations

from trainmaster.domain.trigger import Overlap

# Policy; how they stand after the third, the first still being live; and after the first has ended.
OVERLAPS = [
    (Overlap.ALLOW, ["10 fired", "20 fired", "30 fired"], ["10 fired", "20 fired", "30 fired"]),
    (Overlap.SKIP, ["10 fired", "20 skipped", "30 skipped"], ["10 fired", "20 skipped", "30 skipped"]),
    (Overlap.QUEUE_ONE, ["10 fired", "20 waiting", "30 skipped"], ["10 fired", "20 fired", "30 skipped"]),
    (Overlap.QUEUE_ALL, ["10 fired", "20 waiting", "30 waiting"], ["10 fired", "20 fired", "30 waiting"]),
    (
        Overlap.CANCEL_OLD,
        ["10 fired", "20 skipped", "30 waiting"],
        ["10 fired", "20 skipped", "30 fired"],
    ),
]
