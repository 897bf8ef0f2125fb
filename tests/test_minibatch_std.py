"""Minibatch standard deviation: its one number by hand, and what a discriminator can tell by it."""

import math
from collections.abc import Callable, Sequence
from statistics import fmean, pstdev

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_cli.models.dcgan import DCGANDiscriminator
from gan_cli.models.dcgan64 import DCGAN64Discriminator
from gan_cli.models.minibatch_std import MinibatchStd, minibatch_std
from gan_cli.models.mlp import MLPDiscriminator
from gan_cli.models.r3gan import R3GANDiscriminator
from gan_cli.traits import critic_traits

# Minibatch std last but for one or two layers; group_size=2 are the channels in a group of R3GAN's convolutions.
NETWORKS: dict[str, tuple[Callable[..., nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda **o: MLPDiscriminator((6,), (8,), **o), (6,)),
    "mlp-no-hidden-layer": (lambda **o: MLPDiscriminator((6,), (), **o), (6,)),
    "dcgan": (lambda **o: DCGANDiscriminator((1, 16, 16), 8, (4, 4), **o), (1, 16, 16)),
    "dcgan64": (lambda **o: DCGAN64Discriminator((3, 8, 8), (4,), norm="none", **o), (3, 8, 8)),
    "r3gan": (lambda **o: R3GANDiscriminator((3, 8, 8), (4, 4), 1, 2, 2, **o), (3, 8, 8)),
}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def by_hand(features: Tensor, size: int, eps: float = 1e-8) -> list[float]:
    """The number of each sample, with loops: groups are `size` samples beside each other."""
    numbers: list[float] = []
    for first in range(0, len(features), size):
        group = features[first : first + size].flatten(1).tolist()
        spreads = [math.sqrt(pstdev(values) ** 2 + eps) for values in zip(*group, strict=True)]
        numbers += [fmean(spreads)] * size
    return numbers


def appended(features: Tensor, group_size: int) -> Tensor:
    """The channel that is added, once it is sure that the others are as they were."""
    outputs = MinibatchStd(group_size)(features)
    assert outputs.shape == (len(features), features.shape[1] + 1, *features.shape[2:])
    assert torch.equal(outputs[:, :-1], features)
    return outputs[:, -1]


def test_the_spread_of_two_samples_is_half_their_distance() -> None:
    features = torch.tensor([[1.0, 5.0], [3.0, 11.0]], dtype=torch.float64)
    # Standard deviations of 1 and 3 over the group, not over n - 1.
    assert_close(appended(features, 2), torch.tensor([2.0, 2.0], dtype=torch.float64), rtol=1e-7, atol=0)


@pytest.mark.parametrize("places", [(), (1, 1), (2, 3)])
@pytest.mark.parametrize(
    ("group_size", "used"),
    [(2, 2), (3, 3), (4, 4), (12, 12), (8, 4), (5, 1), (9, 3), (16, 4), (24, 12), (1, 1)],
)
def test_channel_is_that_of_a_loop_over_groups_of_the_largest_size_that_fits(
    group_size: int, used: int, places: Sequence[int]
) -> None:
    features = torch.randn(12, 3, *places, dtype=torch.float64)
    channel = appended(features, group_size)
    expected = torch.tensor(by_hand(features, used), dtype=torch.float64).reshape(12, *(1,) * len(places))
    assert_close(channel, expected.expand(12, *places), rtol=1e-12, atol=0)


def test_groups_are_neighbors_and_know_nothing_of_each_other() -> None:
    features = torch.randn(6, 4)
    changed = features.clone()
    changed[4] += 1
    assert (appended(features, 3) == appended(changed, 3)).tolist() == [True] * 3 + [False] * 3
    alike = torch.cat([torch.zeros(3, 4), torch.randn(3, 4)])
    assert_close(appended(alike, 3)[:3], torch.full((3,), 1e-4))


@pytest.mark.parametrize("places", [(), (2, 2)])
def test_a_constant_batch_has_the_spread_sqrt_eps_and_a_gradient_of_zero(places: Sequence[int]) -> None:
    features = torch.randn(1, 3, *places).expand(8, -1, *places).clone().requires_grad_()
    channel = MinibatchStd(4)(features)[:, -1]
    assert_close(channel, torch.full_like(channel, 1e-4), rtol=1e-3, atol=0)
    (gradient,) = torch.autograd.grad(channel.sum(), features)
    assert gradient.isfinite().all()
    assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-2)  # a mean rounds, and sqrt is steep there


def test_derivatives_are_those_of_finite_differences_twice() -> None:
    features = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)
    layer = MinibatchStd(2)
    assert torch.autograd.gradcheck(layer, features)
    assert torch.autograd.gradgradcheck(layer, features)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_discriminator_takes_other_logits_from_a_sample_among_its_likes(name: str) -> None:
    make, shape = NETWORKS[name]
    network = make(minibatch_std=4).double().eval()
    samples = torch.randn(4, *shape, dtype=torch.float64)
    alike = samples[:1].repeat(4, *[1] * len(shape))
    assert abs(float((network(samples) - network(alike))[0].detach())) > 1e-3
    # Of copies every logit is that of the one.
    assert_close(network(alike), network(alike)[:1].expand(4))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_discriminator_without_it_judges_each_sample_alone_and_says_so(name: str) -> None:
    make, shape = NETWORKS[name]
    assert minibatch_std(0) == []
    network = make().double().eval()
    samples = torch.randn(4, *shape, dtype=torch.float64)
    alike = samples[:1].repeat(4, *[1] * len(shape))
    assert_close(network(samples)[0], network(alike)[0], rtol=1e-10, atol=1e-12)
    assert critic_traits(network).mixes == ()
    assert critic_traits(make(minibatch_std=4)).mixes == ("MinibatchStd",)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_spread_reaches_the_logits_as_the_layer_computes_it(name: str) -> None:
    make, shape = NETWORKS[name]
    network = make(minibatch_std=3).eval()
    (layer,) = (module for module in network.modules() if isinstance(module, MinibatchStd))
    seen: list[tuple[Tensor, Tensor]] = []
    layer.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    network(torch.randn(6, *shape))
    ((features, output),) = seen
    numbers = torch.tensor(by_hand(features.detach(), 3)).reshape(6, *(1,) * (features.dim() - 2))
    assert_close(output[:, -1].detach(), numbers.expand_as(output[:, -1]), rtol=1e-4, atol=1e-6)
