"""What becomes of a firing that is late."""

from __future__ import annotations

from trainmaster.domain.trigger import Misfire


def why_missed(late_ms: int, grace_ms: int, followed: bool, policy: Misfire, window_ms: int) -> str:
    """Why a due time does not fire any more; empty if it does.

    `late_ms`: how long ago it should have started; at most `grace_ms` is in time whatever the policy.
    `followed`: the next due time of the rule has come, too, so that FIRE_ONCE leaves it to that. `window_ms`
    is how far CATCH_UP reaches.
    """
    if late_ms <= grace_ms:
        return ""
    if policy is Misfire.FIRE_ONCE:
        return "missed; a later one fires for it" if followed else ""
    if policy is Misfire.CATCH_UP:
        return "" if late_ms <= window_ms else "missed by more than the catch-up window"
    return "missed: nobody could start it in time"
