"""A critic is its discriminator, computed in the asked precision, with logits in float32 by scale."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_cli.accelerate import autocast
from gan_cli.augment import Augment
from gan_cli.augment.diffaugment import DiffAugment
from gan_cli.critic import Critic, mean_logit, over_scales
from gan_cli.losses.lsgan import LSGAN
from gan_cli.losses.rsgan import RSGAN
from gan_cli.models.mlp import MLPDiscriminator
from gan_cli.penalties import Penalty
from gan_cli.penalties.gp import GradientPenalty
from gan_cli.penalties.zero_centered import R1, R1R2, R2
from gan_cli.schema import Precision
from gan_cli.streams import Draws, Streams
from gan_cli.view import View

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


class Spy(nn.Module):
    """A discriminator that notes in which precision its layer computes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.computed: list[torch.dtype] = []

    def forward(self, samples: Tensor) -> Tensor:
        logits = self.layer(samples).flatten()
        self.computed.append(logits.dtype)
        return logits


class Patches(nn.Module):
    """A discriminator with a map of logits at full size, and one at half of it."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, samples: Tensor) -> list[Tensor]:
        return [self.fine(samples), self.coarse(nn.functional.avg_pool2d(samples, 2))]


@pytest.mark.parametrize(
    ("precision", "inside"), [(Precision.fp32, torch.float32), (Precision.bf16, torch.bfloat16)], ids=["fp32", "bf16"]
)
def test_logits_are_float32_whatever_the_network_computes_in(precision: Precision, inside: torch.dtype) -> None:
    spy, samples = Spy(), torch.randn(5, 2)
    (logits,) = Critic(spy, autocast(CPU, precision))(samples)
    assert spy.computed == [inside]
    # bfloat16 has 8 significant bits: the logits are near 1, and what was rounded is handed on unchanged.
    expected = samples @ spy.layer.weight.T + spy.layer.bias
    assert_close(logits, expected, rtol=0, atol=1e-6 if inside is torch.float32 else 0.02)
    assert torch.equal(logits, logits.to(inside).float())
    assert not torch.is_autocast_enabled("cpu")


def test_logits_of_a_float64_network_stay_float64() -> None:
    spy = Spy().double()
    samples = torch.randn(5, 2, dtype=torch.float64)
    (logits,) = Critic(spy, nullcontext)(samples)
    assert torch.equal(logits[:, 0], spy(samples))


def test_critic_without_autocast_is_its_discriminator_with_gradients() -> None:
    discriminator = MLPDiscriminator((1, 3, 3), widths=(7,))
    critic = Critic(discriminator, nullcontext)
    samples = torch.randn(4, 1, 3, 3, requires_grad=True)
    (logits,), expected = critic(samples), discriminator(samples)
    assert torch.equal(logits[:, 0], expected)
    wanted = [samples, *discriminator.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad(logits.sum(), wanted), torch.autograd.grad(expected.sum(), wanted), strict=True
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 1, 1, 1)])
def test_one_logit_a_sample_may_come_in_any_shape(shape: tuple[int, ...]) -> None:
    discriminator = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0), nn.Unflatten(0, shape))
    critic, samples = Critic(discriminator, nullcontext), torch.randn(5, 2)
    (logits,) = critic(samples)
    assert logits.shape == (5, 1)
    assert torch.equal(critic.exact(samples), logits[:, 0])


def test_a_critic_of_several_scales_gives_each_with_its_positions() -> None:
    discriminator, samples = Patches(), torch.randn(3, 1, 8, 8)
    logits = Critic(discriminator, nullcontext)(samples)
    fine, coarse = discriminator(samples)
    assert [scale.shape for scale in logits] == [(3, 64), (3, 16)]
    assert torch.equal(logits[0], fine.flatten(1))
    assert torch.equal(logits[1], coarse.flatten(1))


def test_losses_sum_over_scales_the_means_over_samples_and_positions() -> None:
    critic = Critic(Patches(), nullcontext)
    real, fake = critic(torch.randn(3, 1, 8, 8)), critic(torch.randn(3, 1, 8, 8))
    for loss in (LSGAN(), RSGAN()):
        expected = sum(loss.discriminator(r.flatten(), f.flatten()) for r, f in zip(real, fake, strict=True))
        assert_close(over_scales(loss.discriminator, real, fake), expected)
    assert_close(mean_logit(real), (real[0].mean() + real[1].mean()) / 2)


def test_exact_logit_of_a_sample_weighs_scales_and_positions_as_a_loss_does() -> None:
    critic, samples = Critic(Patches(), nullcontext), torch.randn(3, 1, 8, 8)
    fine, coarse = critic(samples)
    assert_close(critic.exact(samples), fine.mean(1) + coarse.mean(1))
    # So that the mean over samples is the Wasserstein loss's own, and its gradient what a penalty should see.
    assert_close(critic.exact(samples).mean(), over_scales(lambda logits: logits.mean(), (fine, coarse)))


def test_exact_logits_are_float32_within_mixed_precision() -> None:
    spy, samples = Spy(), torch.randn(5, 2)
    critic = Critic(spy, autocast(CPU, Precision.bf16))
    with torch.autocast("cpu", torch.bfloat16):
        critic.exact(samples)
        assert spy.computed == [torch.float32]


# Packing.


def draws(purpose: str = "discriminator", index: int = 0) -> Draws:
    return Streams(0, CPU).draws(purpose, index)


def packs_by_hand(samples: Tensor, size: int) -> Tensor:
    """Samples size·i to size·i + size - 1 side by side, with loops."""
    firsts = range(0, len(samples), size)
    return torch.stack([torch.cat([samples[first + place] for place in range(size)]) for first in firsts])


@pytest.mark.parametrize("shape", [(12, 3, 4, 5), (12, 1, 2, 2), (12, 2)])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_packed_critic_judges_the_channels_of_neighbors_side_by_side(size: int, shape: tuple[int, ...]) -> None:
    samples = torch.randn(shape)
    discriminator = MLPDiscriminator((size * shape[1], *shape[2:]), widths=(5,))
    critic = Critic(discriminator, nullcontext, packing=size)
    assert torch.equal(critic.packs(samples), packs_by_hand(samples, size))
    (logits,) = critic(samples)
    assert logits.shape == (12 // size, 1)
    assert torch.equal(logits[:, 0], discriminator(packs_by_hand(samples, size)))
    # Penalties are handed packs, which are not packed again.
    assert torch.equal(critic.exact(critic.packs(samples)), logits[:, 0])


def test_a_critic_that_packs_convolves_over_the_channels_of_all_samples_of_a_pack() -> None:
    discriminator = nn.Sequential(nn.Conv2d(6, 2, 3), nn.Flatten(), nn.Linear(2 * 2 * 2, 1), nn.Flatten(0))
    samples = torch.randn(8, 3, 4, 4)
    (logits,) = Critic(discriminator, nullcontext, packing=2)(samples)
    assert_close(logits[:, 0], discriminator(torch.cat([samples[0::2], samples[1::2]], 1)))


class Halves(Augment):
    """Each image less its own mean: what an augmentation does depends on what one image is."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        self.shapes.append(tuple(images.shape))
        return images - images.mean((1, 2, 3), keepdim=True)


def test_augmentations_see_single_images_of_a_pack() -> None:
    augment, discriminator = Halves(), MLPDiscriminator((6, 4, 4), widths=(5,))
    samples = torch.randn(8, 3, 4, 4)
    critic = Critic(discriminator, nullcontext, View(augment=augment), packing=2).seeing(draws(), None)
    (logits,) = critic(samples)
    assert augment.shapes == [(8, 3, 4, 4)]
    centered = samples - samples.mean((1, 2, 3), keepdim=True)
    assert_close(logits[:, 0], discriminator(packs_by_hand(centered, 2)))
    assert_close(critic.exact(critic.packs(samples)), logits[:, 0])


@pytest.mark.parametrize("view", [View(flip=True), View(noise=0.5), View(True, DiffAugment(), 0.5)], ids=repr)
@pytest.mark.parametrize("size", [1, 2, 4])
def test_what_is_seen_of_the_images_of_a_pack_is_what_is_seen_of_them_alone(size: int, view: View) -> None:
    discriminator = MLPDiscriminator((size * 3, 6, 6), widths=(5,))
    samples = torch.rand(8, 3, 6, 6)
    critic = Critic(discriminator, nullcontext, view, packing=size).seeing(draws(), None)
    (logits,) = critic(samples)
    seen = view(samples, draws())  # one change for each of the eight
    assert_close(logits[:, 0], discriminator(packs_by_hand(seen, size)))
    assert_close(critic.exact(critic.packs(samples)), logits[:, 0])


def test_noise_on_vectors_in_packs_is_that_on_them_alone() -> None:
    discriminator, samples = MLPDiscriminator((4,), widths=(5,)), torch.randn(8, 2)
    critic = Critic(discriminator, nullcontext, View(noise=0.5), packing=2).seeing(draws(), None)
    (logits,) = critic(samples)
    noisy = samples + 0.5 * draws().normal("view/noise", (8, 2))
    assert_close(logits[:, 0], discriminator(packs_by_hand(noisy, 2)))


def test_a_critic_without_draws_sees_samples_as_they_are_and_one_with_them_is_another() -> None:
    discriminator, samples = MLPDiscriminator((2,), widths=(5,)), torch.randn(8, 2)
    critic = Critic(discriminator, nullcontext, View(noise=0.5))
    assert torch.equal(critic(samples)[0][:, 0], discriminator(samples))
    seeing = critic.seeing(draws(), None)
    assert not torch.equal(seeing(samples)[0], critic(samples)[0])
    assert torch.equal(seeing(samples)[0], seeing(samples)[0])
    assert torch.equal(critic(samples)[0][:, 0], discriminator(samples))  # and is left as it was


def linear_critic(size: int) -> tuple[Critic, Tensor]:
    """A packed critic that is linear in its pack, and the square of its slope."""
    layer = nn.Linear(size * 2, 1).double()
    return Critic(nn.Sequential(layer, nn.Flatten(0)), nullcontext, packing=size), layer.weight.detach().square().sum()


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(
    ("penalty", "places"), [(R1(gamma=3.0), 1), (R2(gamma=3.0), 1), (R1R2(gamma=3.0), 2)], ids=repr
)
def test_zero_centered_penalties_of_a_linear_packed_critic_are_the_squared_slope_of_each_pack(
    penalty: Penalty, places: int, size: int
) -> None:
    critic, slope = linear_critic(size)
    real, fake = (critic.packs(torch.randn(6, 2, dtype=torch.float64)) for _ in range(2))
    values = penalty(critic.exact, real, fake, draws())
    # The slope with respect to the whole pack: all 2·size weights.
    assert_close(values.detach(), (1.5 * places * slope).expand(6 // size))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_gradient_penalty_of_a_linear_packed_critic_is_that_of_each_packs_slope(size: int) -> None:
    critic, slope = linear_critic(size)
    real, fake = (critic.packs(torch.randn(6, 2, dtype=torch.float64)) for _ in range(2))
    values = GradientPenalty(weight=7.0)(critic.exact, real, fake, draws())
    assert_close(values.detach(), (7 * (slope.sqrt() - 1) ** 2).expand(6 // size))


def test_gradient_penalty_mixes_whole_packs() -> None:
    # For D(p) = |p|²/2 the slope at p is |p|: it tells where the critic was asked.
    critic = Critic(Bowl(), nullcontext, packing=2)
    real, fake = (critic.packs(torch.randn(6, 2)) for _ in range(2))
    values = GradientPenalty(weight=1.0)(critic.exact, real, fake, draws())
    mix = draws().uniform("penalty/mix", (3, 1))
    slopes = (mix * real + (1 - mix) * fake).norm(dim=1)
    assert_close(values.detach(), (slopes - 1) ** 2)


class Bowl(nn.Module):
    """Half the squared distance from a point that is learned, 0 at first."""

    def __init__(self) -> None:
        super().__init__()
        self.center = nn.Parameter(torch.zeros(4))

    def forward(self, packs: Tensor) -> Tensor:
        return (packs - self.center).square().sum(1) / 2


def test_penalties_see_the_slope_with_respect_to_samples_before_they_are_mirrored_and_blurred() -> None:
    # D(seen) = |seen|²/2 has the slope |seen|; mirroring and noise turn slopes but do not lengthen them.
    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.center = nn.Parameter(torch.zeros(1))

        def forward(self, images: Tensor) -> Tensor:
            return (images - self.center).square().flatten(1).sum(1) / 2

    view, images = View(flip=True, noise=0.5), torch.randn(6, 1, 2, 3)
    critic = Critic(Square(), nullcontext, view).seeing(draws("discriminator/penalty"), None)
    values = R1(gamma=2.0)(critic.exact, images, images, draws())
    seen = view(images, draws("discriminator/penalty"))
    assert_close(values.detach(), seen.square().flatten(1).sum(1))
