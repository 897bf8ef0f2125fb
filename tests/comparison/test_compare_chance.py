"""Welch's test against tables and against Student's, of which it is the case of equal numbers and spreads."""

import math

import pytest

from gan_cli.comparison.chance import chance_of_difference, two_sided

TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 10: 2.228, 29: 2.045, 30: 2.042, 120: 1.980}


@pytest.mark.parametrize(("degrees", "quantile"), TABLE.items())
def test_quantiles_of_the_tables_are_exceeded_in_a_twentieth(degrees: int, quantile: float) -> None:
    assert two_sided(quantile, degrees) == pytest.approx(0.05, abs=1.5e-4)


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 5.0, 1e6])
def test_the_first_two_distributions_have_closed_forms(t: float) -> None:
    assert two_sided(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t), abs=1e-12)
    assert two_sided(t, 2) == pytest.approx(1 - t / math.sqrt(2 + t**2), abs=1e-12)


def test_of_equal_numbers_and_spreads_it_is_students_test() -> None:
    # t = (4 - 2) / sqrt(1/3 + 1/3) = 2.449 with 4 degrees of freedom.
    assert chance_of_difference([1, 2, 3], [3, 4, 5]) == pytest.approx(two_sided(math.sqrt(6), 4))


def test_degrees_of_freedom_follow_the_group_that_spreads() -> None:
    # Nothing is uncertain in the second group: as if the first alone were compared with a number.
    assert chance_of_difference([1, 2, 3], [5, 5, 5, 5]) == pytest.approx(two_sided(3 / math.sqrt(1 / 3), 2))


def test_it_does_not_matter_which_comes_first_nor_in_which_unit() -> None:
    first, second = [0.1, 0.4, 0.2], [0.9, 0.5]
    chance = chance_of_difference(first, second)
    assert chance == chance_of_difference(second, first)
    assert chance == pytest.approx(chance_of_difference([1000 * x for x in first], [1000 * x for x in second]))


def test_without_any_spread_only_a_difference_tells() -> None:
    assert chance_of_difference([1, 1], [1, 1]) == 1
    assert chance_of_difference([1, 1], [2, 2]) == 0


def test_a_single_value_tells_nothing() -> None:
    assert chance_of_difference([1], [2, 3]) is None
    assert chance_of_difference([], [2, 3]) is None
