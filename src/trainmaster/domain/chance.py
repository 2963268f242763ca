"""Chance without hidden state: numbers that are a pure function of a seed and a counter."""

from __future__ import annotations

_MASK = (1 << 64) - 1


def mix(seed: int, *salts: int) -> int:
    """64 well-mixed bits from `seed` and `salts` (SplitMix64, Steele, Lea and Flood 2014), in this order.

    Each is mixed before the next comes in: seeds and salts that are small, or have the same sum, are as far
    apart as any.
    """
    state = 0
    for salt in (seed, *salts):
        state = (state + 0x9E3779B97F4A7C15 + (salt & _MASK)) & _MASK
        word = state
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
        state = word ^ (word >> 31)
    return state


def uniform(seed: int, *salts: int) -> float:
    """A number in [0, 1), the same for the same arguments on every machine."""
    return (mix(seed, *salts) >> 11) / (1 << 53)
