import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR

from gan_cli import schedules


@pytest.mark.parametrize("step", [0, 1, 10**9])
def test_constant_is_the_value_throughout(step):
    assert schedules.constant()(step) == 1
    assert schedules.constant(0.25)(step) == 0.25


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 1.0), (1, 0.991), (50, 0.55), (99, 0.109), (100, 0.1), (101, 0.1), (10**9, 0.1)]
)
def test_linear_goes_straight_to_its_final_factor_and_stays(step, expected):
    assert schedules.linear(1.0, 0.1, 100)(step) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 1.0),
        (25, 0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2),
        (50, 0.55),
        (75, 0.1 + 0.9 * (1 - math.sqrt(0.5)) / 2),
        (100, 0.1),
        (101, 0.1),
        (10**9, 0.1),
    ],
)
def test_cosine_follows_half_a_wave_to_its_final_factor_and_stays(step, expected):
    assert schedules.cosine(1.0, 0.1, 100)(step) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("make", [schedules.linear, schedules.cosine])
def test_a_final_factor_above_one_is_risen_to(make):
    assert [make(1.0, 3.0, 2)(step) for step in range(4)] == pytest.approx([1, 2, 3, 3], rel=1e-12)


@pytest.mark.parametrize("final", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("horizon", [1, 7])
@pytest.mark.parametrize(
    ("ours", "torchs"),
    [
        (schedules.linear, lambda optimizer, final, horizon: LinearLR(optimizer, 1.0, final, horizon)),
        (schedules.cosine, lambda optimizer, final, horizon: CosineAnnealingLR(optimizer, horizon, final)),
    ],
    ids=["linear", "cosine"],
)
def test_schedule_agrees_with_torchs_scheduler(ours, torchs, horizon, final):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torchs(optimizer, final, horizon)
    for step in range(horizon + 1):
        assert ours(1.0, final, horizon)(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12, abs=1e-12)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("make", [schedules.linear, schedules.cosine])
@pytest.mark.parametrize("horizon", [1, 3, 7, 49, 1000])
def test_a_schedule_to_zero_falls_and_never_turns_a_rate_negative(make, horizon):
    values = [make(1.0, 0.0, horizon)(step) for step in range(horizon + 3)]
    assert min(values) == 0
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("make", [schedules.linear, schedules.cosine])
@pytest.mark.parametrize(("start", "end"), [(2.0, 0.2), (0.9, 0.99), (0.0, 5.0), (0.3, 0.3)])
def test_a_schedule_between_two_values_is_the_one_between_0_and_1_stretched(make, start, end):
    for step in (0, 1, 3, 9, 10, 11):
        assert make(start, end, 10)(step) == pytest.approx(start + (end - start) * make(0.0, 1.0, 10)(step), rel=1e-12)


def test_a_configured_value_is_followed_wherever_it_stands():
    rising = {"start": 0.9, "end": 0.99, "shape": "linear", "steps": 10}
    assert schedules.follow(0.5, 3) == 0.5
    assert schedules.follow(None, 3) is None
    assert schedules.follow([0.0, rising], 5) == pytest.approx([0.0, 0.945])
    assert schedules.follow(rising | {"shape": "cosine"}, 10**6) == 0.99
    assert schedules.follow(rising | {"shape": "constant"}, 10**6) == 0.9
    with pytest.raises(ValueError, match="shape must be constant, linear or cosine"):
        schedules.follow(rising | {"shape": "step"}, 0)
