"""PatchGAN has the published layers, sizes and patches, and its map of logits fits every loss and penalty."""

from contextlib import nullcontext
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, instance_norm, leaky_relu
from torch.testing import assert_close

from gan_cli.critic import Critic, over_scales
from gan_cli.losses import AdversarialLoss
from gan_cli.losses.bce import BCE
from gan_cli.losses.hinge import Hinge
from gan_cli.losses.lsgan import LSGAN
from gan_cli.losses.minimax import Minimax
from gan_cli.losses.rahinge import RaHinge
from gan_cli.losses.ralsgan import RaLSGAN
from gan_cli.losses.rasgan import RaSGAN
from gan_cli.losses.rsgan import RSGAN
from gan_cli.losses.wgan import WGAN
from gan_cli.models.layers import brings_bias, map_norm
from gan_cli.models.patchgan import PatchGAN
from gan_cli.penalties import Penalty
from gan_cli.penalties.dragan import DRAGAN
from gan_cli.penalties.gp import GradientPenalty
from gan_cli.penalties.zero_centered import R1, R1R2, R2
from gan_cli.streams import Streams
from gan_cli.traits import critic_traits

assert_same = partial(assert_close, rtol=1e-10, atol=1e-10)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def critic_of(discriminator: nn.Module, packing: int = 1) -> Critic:
    return Critic(discriminator, nullcontext, packing=packing)


def images(count: int, channels: int = 3, side: int = 32) -> Tensor:
    return torch.rand(count, channels, side, side).double() * 2 - 1


# Layers and sizes.


def test_the_network_for_color_images_has_the_published_size_layer_by_layer() -> None:
    with torch.device("meta"):
        network = PatchGAN((3, 256, 256))
    widths = [3, 64, 128, 256, 512, 1]
    by_layer = [16 * one * other + other for one, other in pairwise(widths)]
    assert count(network) == sum(by_layer) == 2_764_737
    with torch.device("meta"):
        assert network(torch.empty(1, 3, 256, 256)).shape == (1, 30, 30)


@pytest.mark.parametrize(
    ("layers", "widths"),
    [(1, [2, 4]), (2, [2, 4, 8]), (3, [2, 4, 8, 16]), (4, [2, 4, 8, 16, 16]), (5, [2, 4, 8, 16, 16, 16])],
)
def test_widths_double_up_to_eight_times_the_first(layers: int, widths: list[int]) -> None:
    convolutions = [layer for layer in PatchGAN((1, 128, 128), 2, layers).modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [*widths, 1]
    assert [layer.stride[0] for layer in convolutions] == [2] * layers + [1, 1]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_network_is_the_published_one_layer_by_layer(layers: int) -> None:
    network, seen = PatchGAN((3, 40, 32), 4, layers).double(), torch.rand(2, 3, 40, 32).double()
    left = list(network.parameters())
    maps = leaky_relu(conv2d(seen, left.pop(0), left.pop(0), 2, 1), 0.2)
    for number in range(1, layers + 1):
        maps = conv2d(maps, left.pop(0), left.pop(0), 2 if number < layers else 1, 1)
        maps = leaky_relu(instance_norm(maps), 0.2)
    expected = conv2d(maps, left.pop(0), left.pop(0), 1, 1)[:, 0]
    assert not left
    assert_same(network(seen), expected)


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "instance", "group", "spectral"])
def test_the_norm_stands_behind_all_but_the_first_and_the_last_convolution(norm: str) -> None:
    network = PatchGAN((3, 32, 32), 8, 3, norm)
    first, *hidden, last = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert first.bias is not None
    assert last.bias is not None
    assert all((layer.bias is None) == brings_bias(norm) for layer in hidden)
    kinds = {type(layer) for layer in map_norm(norm, 16)}
    assert len([layer for layer in network.modules() if type(layer) in kinds]) == 3 * len(kinds)
    traits = critic_traits(network)
    assert traits.mixes == (("BatchNorm2d",) if norm == "batch" else ())
    assert traits.bounded_slope == (norm == "spectral")


# Patches.


@pytest.mark.parametrize(("layers", "side"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_a_logit_sees_a_patch_of_so_many_pixels_and_the_next_one_lies_so_far_away(layers: int, side: int) -> None:
    size = 2 * side + 2**layers
    network = PatchGAN((1, size, size), 2, layers, norm="none").double()
    with torch.no_grad():
        for parameter in network.parameters():  # no weight and no slope hides a pixel
            parameter.copy_(torch.rand_like(parameter) + 0.1)
    seen = torch.rand(1, 1, size, size).double().requires_grad_()
    logits = network(seen)
    middle = logits.shape[-1] // 2
    corners = []
    for place in (middle, middle + 1):
        (gradient,) = torch.autograd.grad(logits[0, place, middle], seen, retain_graph=True)
        rows, columns = (gradient[0, 0] != 0).nonzero().unbind(1)
        assert int(rows.max() - rows.min()) + 1 == int(columns.max() - columns.min()) + 1 == side
        assert int((gradient != 0).sum()) == side**2
        corners.append(int(rows.min()))
    assert corners[1] - corners[0] == 2**layers


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_the_smallest_image_leaves_one_logit_and_smaller_ones_are_refused(layers: int) -> None:
    side = 3 * 2**layers
    for sides, left in (((side, side), (1, 1)), ((side + 2**layers, side), (2, 1)), ((side, side + 1), (1, 1))):
        assert PatchGAN((3, *sides), 2, layers)(torch.rand(2, 3, *sides)).shape == (2, *left)
    for sides in ((side - 1, side), (side, side - 1)):
        with pytest.raises(ValueError, match=rf"^model\.discriminator\.layers={layers} .*{side} pixels .* fewer, or"):
            PatchGAN((3, *sides), 2, layers)


# What the critic, losses and penalties make of a map of logits.


LOSSES = [LSGAN(), BCE(), Minimax(), Hinge(), WGAN(), RSGAN(), RaSGAN(), RaLSGAN(), RaHinge()]


def objectives(loss: AdversarialLoss, critic: Critic, real: Tensor, fake: Tensor) -> list[Tensor]:
    judged = critic(real), critic(fake)
    return [over_scales(loss.discriminator, *judged), over_scales(loss.generator, *reversed(judged))]


def test_least_squares_is_the_mean_over_patches_as_published() -> None:
    network, real, fake = PatchGAN((3, 32, 32), 4, 2).double(), images(3), images(3)
    told, fooled = objectives(LSGAN(), critic_of(network), real, fake)
    squares = [((network(real) - 1) ** 2).mean(), (network(fake) ** 2).mean()]
    assert_same(told, (squares[0] + squares[1]) / 2)
    assert_same(fooled, ((network(fake) - 1) ** 2).mean() / 2)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_a_loss_of_a_map_is_that_of_its_patches_taken_for_samples(loss: AdversarialLoss) -> None:
    network, real, fake = PatchGAN((3, 32, 32), 4, 2).double(), images(3), images(3)
    found = objectives(loss, critic_of(network), real, fake)
    patches = network(real).reshape(-1, 1), network(fake).reshape(-1, 1)
    assert_same(found, [loss.discriminator(*patches), loss.generator(patches[1], patches[0])])
    for value in found:
        network.zero_grad()
        value.backward(retain_graph=True)
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_a_relativistic_loss_holds_a_patch_beside_the_one_at_its_place() -> None:
    network, real, fake = PatchGAN((3, 32, 32), 4, 2).double(), images(2), images(2)
    found, _ = objectives(RSGAN(), critic_of(network), real, fake)
    logits = torch.stack([network(real), network(fake)])
    by_hand = [
        (1 + (logits[1, i, y, x] - logits[0, i, y, x]).exp()).log()
        for i in range(2)
        for y in range(logits.shape[2])
        for x in range(logits.shape[3])
    ]
    assert_same(found, torch.stack(by_hand).mean())


PENALTIES = [R1(), R2(), R1R2(), GradientPenalty(), DRAGAN()]


@pytest.mark.parametrize("norm", ["none", "instance", "layer", "spectral"])
@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda penalty: type(penalty).__name__)
def test_penalties_are_of_each_sample_alone_and_move_every_weight(
    penalty: Penalty, norm: str, streams: Streams
) -> None:
    network, real, fake = PatchGAN((3, 32, 32), 4, 2, norm).double().eval(), images(3), images(3)
    draws = streams.draws("penalty", 0)
    fitted = penalty.fitted(real, lambda rows: rows)
    found = fitted(critic_of(network).exact, real, fake, draws)
    assert found.shape == (3,)
    found.sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters() if p.dim() > 1)
    other = torch.cat([real[:2], -real[2:]]), torch.cat([fake[:2], -fake[2:]])
    assert_same(fitted(critic_of(network).exact, *other, draws)[:2], found[:2])


def test_a_penalty_takes_the_gradient_of_the_mean_over_patches() -> None:
    network, real = PatchGAN((3, 32, 32), 4, 2).double(), images(2)
    found = R1(gamma=2.0)(critic_of(network).exact, real, real, Streams(0, torch.device("cpu")).draws("p", 0))
    for number in range(2):
        one = real[number : number + 1].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(network(one).mean(), one)
        assert_same(found[number], gradient.square().sum())


def test_packs_and_the_spread_of_groups_reach_every_patch() -> None:
    packed = PatchGAN((6, 32, 32), 4, 2).double()
    (logits,) = critic_of(packed, packing=2)(images(6))
    assert logits.shape == (3, 6 * 6)
    grouped, pair = PatchGAN((3, 32, 32), 4, 2, minibatch_std=2).double(), images(2)
    assert critic_traits(grouped).mixes == ("MinibatchStd",)
    alone, beside = grouped(pair), grouped(torch.stack([pair[0], pair[0]]))
    assert ((alone[0] - beside[0]).abs() > 1e-9).all()


def test_it_learns_to_tell_the_texture_of_nearly_every_patch() -> None:
    network = PatchGAN((1, 28, 28), 8, 1)
    optimizer, critic = torch.optim.Adam(network.parameters(), 5e-3, (0.5, 0.999)), critic_of(network)

    def batch() -> tuple[Tensor, Tensor]:
        stripes = (torch.rand(16, 1, 14, 1) * 2 - 1).repeat_interleave(2, 2).expand(-1, -1, -1, 28)
        return stripes, stripes.transpose(2, 3)

    for _ in range(40):
        optimizer.zero_grad()
        objectives(LSGAN(), critic, *batch())[0].backward()
        optimizer.step()
    (real,), (fake,) = (critic(samples) for samples in batch())
    assert float((real > 0.5).float().mean()) > 0.9
    assert float((fake < 0.5).float().mean()) > 0.9
