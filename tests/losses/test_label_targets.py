"""Targets: constants, noise with the stated distribution, flips with the stated probability, from the run's seed."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from gan_cli.errors import Refused
from gan_cli.losses.bce import BCE
from gan_cli.losses.cross_entropy import cross_entropy
from gan_cli.losses.label_targets import LabelTargets
from gan_cli.losses.lsgan import LSGAN
from gan_cli.losses.minimax import Minimax
from gan_cli.streams import Draws, Streams
from gan_cli.targets import create

MANY = 20_000


def draws(index: int = 0, seed: int = 0, player: str = "discriminator") -> Draws:
    return Streams(seed, torch.device("cpu")).draws(player, index)


def test_constant_targets_stay_numbers() -> None:
    targets = LabelTargets(0.9, 0.1, 1.0)
    assert targets.drawn(draws(), 4) == targets


@pytest.mark.parametrize(("name", "low", "high"), [("real_target", 0.7, 1.2), ("fake_target", 0.0, 0.3)])
def test_noisy_targets_are_uniform_on_their_interval_and_drawn_for_each_sample(
    name: str, low: float, high: float
) -> None:
    drawn: Tensor = getattr(LabelTargets(**{name: [low, high]}).drawn(draws(), MANY), name)
    assert drawn.shape == (MANY, 1)
    assert low <= float(drawn.min()) < low + 0.001
    assert high - 0.001 < float(drawn.max()) <= high
    # The mean of n uniform numbers has the standard error (high - low) / sqrt(12 n): 6 of them.
    assert float(drawn.mean()) == pytest.approx((low + high) / 2, abs=6 * (high - low) / (12 * MANY) ** 0.5)
    assert float(drawn.var()) == pytest.approx((high - low) ** 2 / 12, rel=0.05)


def test_flips_swap_the_two_labels_with_their_probability_and_independently() -> None:
    drawn = LabelTargets(1.0, 0.0, flip=0.1).drawn(draws(), MANY)
    assert set(drawn.real_target.unique().tolist()) == set(drawn.fake_target.unique().tolist()) == {0.0, 1.0}
    error = 6 * (0.1 * 0.9 / MANY) ** 0.5
    assert float((drawn.real_target == 0).double().mean()) == pytest.approx(0.1, abs=error)
    assert float((drawn.fake_target == 1).double().mean()) == pytest.approx(0.1, abs=error)
    both = ((drawn.real_target == 0) & (drawn.fake_target == 1)).double().mean()
    assert float(both) == pytest.approx(0.01, abs=6 * (0.01 * 0.99 / MANY) ** 0.5)
    assert drawn.generator_target == 1.0


def test_a_flipped_sample_takes_the_others_noise() -> None:
    drawn = LabelTargets([0.7, 1.2], [0.0, 0.3], flip=0.5).drawn(draws(), MANY)
    flipped = drawn.real_target < 0.5
    assert 0.45 < float(flipped.double().mean()) < 0.55
    assert float(drawn.real_target[flipped].max()) <= 0.3
    assert float(drawn.real_target[~flipped].min()) >= 0.7


def test_draws_belong_to_seed_player_and_move() -> None:
    def real(of: Draws) -> Tensor:
        found: Tensor = LabelTargets([0.7, 1.2]).drawn(of, 8).real_target
        return found

    assert torch.equal(real(draws()), real(draws()))
    others = [draws(1), draws(seed=1), draws(player="generator")]
    assert not any(torch.equal(real(draws()), real(other)) for other in others)


def test_cross_entropy_with_noisy_labels_has_the_expectation_of_their_mean() -> None:
    logits = torch.linspace(-4, 4, 9, dtype=torch.float64)
    interval, mean = [0.7, 1.2], 0.95
    points = torch.linspace(*interval, 1001, dtype=torch.float64)[:, None]
    assert_close(cross_entropy(logits, points).mean(0), cross_entropy(logits, mean), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", [BCE, LSGAN, Minimax])
def test_losses_compare_each_logit_with_its_own_target(loss: type[BCE]) -> None:
    real, fake = torch.tensor([[0.3], [-1.0]]), torch.tensor([[2.0], [0.5]])
    b, a = torch.tensor([[0.8], [0.9]]), torch.tensor([[0.2], [0.0]])
    made = loss(b, a)
    alone = [loss(float(b[i]), float(a[i])).discriminator(real[i], fake[i]) for i in range(2)]
    assert_close(made.discriminator(real, fake), torch.stack(alone).mean())


def test_all_positions_of_a_sample_share_its_target() -> None:
    maps = torch.tensor([[0.3, -1.0, 2.0], [0.0, 1.0, 4.0]])
    b = torch.tensor([[0.8], [0.9]])
    expected = torch.stack([cross_entropy(maps[i], float(b[i])).mean() for i in range(2)]).mean()
    assert_close(BCE(b, 0.0).discriminator(maps, torch.full((1, 1), -1e9)), expected)


def made(loss: str, **options: Any) -> Any:
    return create({"_target_": f"gan_cli.losses.{loss}"} | options, "loss", [])


@pytest.mark.parametrize("value", ["high", None, True, [0.7], [0.7, 1.0, 1.2], [1.2, 0.7], [[0, 1], [0, 1]], {"a": 1}])
@pytest.mark.parametrize("name", ["real_target", "fake_target", "generator_target"])
def test_what_is_no_target_is_refused_by_its_key(name: str, value: Any) -> None:
    with pytest.raises(Refused, match=rf"^loss\.{name} must be a number, or \[low, high\]"):
        made("lsgan.LSGAN", **{name: value})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1.1, "at most 1, got 1.1"),
        (-0.1, "at least 0"),
        ([0.9, 1.2], "at most 1 on average"),
        ([-0.3, 0.1], "at least 0 on average"),
    ],
)
@pytest.mark.parametrize("loss", ["bce.BCE", "minimax.Minimax"])
def test_targets_of_a_cross_entropy_are_probabilities_on_average(loss: str, value: Any, words: str) -> None:
    with pytest.raises(Refused, match=rf"^loss\.real_target must be {words}"):
        made(loss, real_target=value)
    assert made(loss, real_target=[0.7, 1.2]).real_target == [0.7, 1.2]
    assert made("lsgan.LSGAN", real_target=value).real_target == value


@pytest.mark.parametrize("loss", ["hinge.Hinge", "wgan.WGAN", "rsgan.RSGAN", "rasgan.RaSGAN", "rahinge.RaHinge"])
@pytest.mark.parametrize("key", ["real_target", "flip"])
def test_losses_without_labels_take_no_targets(loss: str, key: str) -> None:
    with pytest.raises(Refused, match=rf"^unknown key loss\.{key}"):
        made(loss, **{key: 0.9})
