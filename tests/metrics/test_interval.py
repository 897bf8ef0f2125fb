"""Student's interval against its quantiles computed anew, and how often it holds the mean."""

import math
from statistics import stdev

import pytest
import torch

from gan_cli.metrics.interval import MOST, half_interval


def quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, by bisection of its distribution, which is integrated by Simpson's rule."""

    def beyond(t: float) -> float:
        # With x = √f tan a the density becomes cos^(f-1) a on (-π/2, π/2).
        def weight(low: float, high: float, parts: int = 2000) -> float:
            width = (high - low) / parts
            values = [math.cos(low + i * width) ** (freedom - 1) for i in range(parts + 1)]
            return width / 3 * (values[0] + values[-1] + 4 * sum(values[1:-1:2]) + 2 * sum(values[2:-1:2]))

        a = math.atan(t / math.sqrt(freedom))
        return weight(a, math.pi / 2) / (2 * weight(0, math.pi / 2))

    low, high = 1.0, 20.0
    for _ in range(25):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle) > 0.025 else (low, middle)
    return low


@pytest.mark.parametrize("count", range(2, MOST + 1))
def test_every_quantile_of_the_table(count: int) -> None:
    values = [float(i) for i in range(count)]
    found = half_interval(values) * math.sqrt(count) / stdev(values)
    assert found == pytest.approx(quantile(count - 1), abs=6e-4)


def test_three_values_by_hand() -> None:
    assert half_interval([1.0, 2.0, 3.0]) == pytest.approx(4.303 / math.sqrt(3))
    assert half_interval([2.0, 2.0]) == 0


def test_interval_of_one_is_infinite_and_of_what_is_not_finite_unknown() -> None:
    assert half_interval([1.0]) == math.inf
    for value in (math.nan, math.inf, -math.inf):
        assert math.isnan(half_interval([value]))
        assert math.isnan(half_interval([1.0, value]))


def test_shift_and_scale() -> None:
    values = [0.3, 0.1, 0.7, 0.2]
    assert half_interval([5 - 2 * value for value in values]) == pytest.approx(2 * half_interval(values))


@pytest.mark.parametrize("count", [2, 3, 10])
def test_of_a_hundred_intervals_95_hold_the_mean(count: int) -> None:
    draws = torch.randn(4000, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    held = sum(abs(sum(values) / count) <= half_interval(values) for values in draws.tolist())
    assert held / 4000 == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4000))


def test_more_values_than_the_table_has_are_refused() -> None:
    with pytest.raises(IndexError):
        half_interval([float(i) for i in range(MOST + 1)])
