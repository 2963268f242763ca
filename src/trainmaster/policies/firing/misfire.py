"""What becomes of firings that are late."""

from __future__ import annotations

from collections.abc import Sequence

from trainmaster.domain.trigger import Misfire


def sort_late(
    dues: Sequence[int], now_ms: int, grace_ms: int, policy: Misfire, window_ms: int
) -> tuple[list[int], list[tuple[int, str]]]:
    """From due times of the past, rising: (those that fire now, those skipped and why).

    One at most `grace_ms` late is in time and fires whatever the policy. `window_ms` is how far CATCH_UP
    reaches.
    """
    fire = [due for due in dues if now_ms - due <= grace_ms]
    missed = [due for due in dues if now_ms - due > grace_ms]
    if policy is Misfire.FIRE_ONCE and missed:
        # One in time already stands for those before it.
        rescued = [] if fire else missed[-1:]
        why = "missed; a later one fires for it"
        return rescued + fire, [(due, why) for due in missed if due not in rescued]
    if policy is Misfire.CATCH_UP:
        caught = [due for due in missed if now_ms - due <= window_ms]
        older = missed[: len(missed) - len(caught)]
        return caught + fire, [(due, "missed by more than the catch-up window") for due in older]
    return fire, [(due, "missed: nobody could start it in time") for due in missed]
