"""A critic is its discriminator, computed in the asked precision, with logits in float32 by scale."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_cli.accelerate import autocast
from gan_cli.critic import Critic, mean_logit, over_scales
from gan_cli.losses.lsgan import LSGAN
from gan_cli.losses.rsgan import RSGAN
from gan_cli.models.mlp import MLPDiscriminator
from gan_cli.schema import Precision

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
