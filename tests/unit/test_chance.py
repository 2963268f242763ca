"""Chance without hidden state."""

from itertools import product

from trainmaster.domain.chance import mix, uniform


def test_no_two_of_many_small_seeds_and_salts_are_mixed_alike() -> None:
    """Also not those with the same sum: ids of tasks are made so."""
    small = range(-8, 24)
    assert len({mix(*words) for words in product(small, small, (0, 1, 2))}) == 32 * 32 * 3


def test_uniform_numbers_are_spread_over_all_of_their_range() -> None:
    found = [uniform(seed, salt) for seed, salt in product(range(50), range(50))]
    tenths = [sum(low <= 10 * value < low + 1 for value in found) for low in range(10)]
    assert min(tenths) > 200
    assert max(tenths) < 300
