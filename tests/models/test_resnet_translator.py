"""CycleGAN's generator has the published layers and sizes, and gives back images of the shape it was given."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, instance_norm, pad, relu
from torch.testing import assert_close

from gan_cli.models.initialize import initialize
from gan_cli.models.layers import brings_bias, map_norm
from gan_cli.models.resnet_translator import ResNetTranslator


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def conv(width_in: int, width: int, kernel: int) -> int:
    return width_in * width * kernel**2 + width


def size(channels: int, width: int, blocks: int) -> int:
    """Parameters, layer by layer, with a bias in each."""
    ends = conv(channels, width, 7) + conv(width, channels, 7)
    down = conv(width, 2 * width, 3) + conv(2 * width, 4 * width, 3)
    up = conv(4 * width, 2 * width, 3) + conv(2 * width, width, 3)
    return ends + down + up + 2 * blocks * conv(4 * width, 4 * width, 3)


@pytest.mark.parametrize(("blocks", "published"), [(9, 11_378_179), (6, 7_837_699)])
def test_the_networks_for_color_images_have_the_published_sizes(blocks: int, published: int) -> None:
    with torch.device("meta"):
        network = ResNetTranslator((3, 256, 256), blocks=blocks)
    assert count(network) == size(3, 64, blocks) == published


def by_hand(images: Tensor, parameters: Sequence[Tensor], blocks: int) -> Tensor:
    """The network in functions alone: weight and bias of each layer in turn."""
    left = list(parameters)

    def layer(inputs: Tensor, transposed: bool = False, stride: int = 1, padding: int = 0) -> Tensor:
        weight, bias = left.pop(0), left.pop(0)
        if transposed:
            return conv_transpose2d(inputs, weight, bias, 2, 1, output_padding=1)
        return conv2d(inputs, weight, bias, stride, padding)

    def mirrored(inputs: Tensor, by: int) -> Tensor:
        return pad(inputs, [by] * 4, "reflect")

    maps = relu(instance_norm(layer(mirrored(images, 3))))
    for _ in range(2):
        maps = relu(instance_norm(layer(maps, stride=2, padding=1)))
    for _ in range(blocks):
        inner = relu(instance_norm(layer(mirrored(maps, 1))))
        maps = maps + instance_norm(layer(mirrored(inner, 1)))
    for _ in range(2):
        maps = relu(instance_norm(layer(maps, transposed=True)))
    out = layer(mirrored(maps, 3)).tanh()
    assert not left
    return out


@pytest.mark.parametrize("blocks", [1, 3])
def test_the_network_is_the_published_one_layer_by_layer(blocks: int) -> None:
    network, images = ResNetTranslator((3, 28, 20), 4, blocks).double(), torch.rand(2, 3, 28, 20).double() * 2 - 1
    expected = by_hand(images, list(network.parameters()), blocks)
    assert_close(network(images), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (3, 32, 64), (1, 100, 36), (3, 256, 256)])
def test_every_shape_whose_sides_are_multiples_of_four_comes_out_as_it_went_in(shape: tuple[int, int, int]) -> None:
    made = ResNetTranslator(shape, 2, 1)(torch.rand(2, *shape) * 2 - 1)
    assert made.shape == (2, *shape)
    assert bool((made.abs() < 1).all())


@pytest.mark.parametrize("sides", [(30, 28), (28, 30), (4, 4), (4, 64), (255, 255)])
def test_other_shapes_are_refused_with_what_fits(sides: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"^model\.resolution must be a multiple of 4 from 8 up .* got \d+ × \d+$"):
        ResNetTranslator((3, *sides))


def test_an_image_is_translated_alike_whatever_stands_beside_it_and_in_evaluation_mode() -> None:
    network, images = ResNetTranslator((3, 16, 16), 4, 2).double(), torch.rand(3, 3, 16, 16).double()
    assert_close(network(images)[1:2], network(images[1:2]))
    assert_close(network.eval()(images)[1:2], network.train()(images)[1:2])


def test_without_normalization_a_pixel_depends_on_what_lies_around_it_alone() -> None:
    plain = ResNetTranslator((1, 64, 64), 2, 1, norm="none").double()
    images = torch.rand(1, 1, 64, 64).double().requires_grad_()
    plain(images)[0, 0, 32, 32].backward()
    assert images.grad is not None
    rows = images.grad[0, 0].abs().sum(1).nonzero()
    assert int(rows.min()) > 8
    assert int(rows.max()) < 56


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "instance", "group", "spectral"])
def test_every_norm_stands_behind_every_hidden_convolution_or_in_it(norm: str) -> None:
    network = ResNetTranslator((3, 16, 16), 16, 2, norm, dropout=0.5)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(convolutions) == 10
    assert all((layer.bias is None) == brings_bias(norm) for layer in convolutions[:-1])
    assert convolutions[-1].bias is not None
    kinds = {type(layer) for layer in map_norm(norm, 16)}
    assert len([layer for layer in network.modules() if type(layer) in kinds]) == 9 * len(kinds)
    assert sum(isinstance(layer, nn.Dropout) for layer in network.modules()) == 2
    assert all(torch.isfinite(network(torch.rand(2, 3, 16, 16))).flatten())


def test_a_norm_brings_a_bias_where_it_has_one() -> None:
    for norm in ("none", "batch", "layer", "instance", "group", "spectral"):
        named = {name for layer in map_norm(norm, 16, scaled=False) for name, _ in layer.named_parameters()}
        assert ("bias" in named) == brings_bias(norm)


def test_weights_start_normal_with_the_papers_deviation_and_biases_at_zero() -> None:
    network = ResNetTranslator((3, 32, 32), 32, 2)
    initialize(network, "normal", 0.02)
    for name, parameter in network.state_dict().items():
        if name.endswith("bias"):
            assert not parameter.any()
        else:
            spread = 4.5 / (2 * parameter.numel()) ** 0.5  # of an estimated deviation, relative
            assert abs(float(parameter.std()) / 0.02 - 1) < spread
            assert abs(float(parameter.mean())) < 4.5 * 0.02 / parameter.numel() ** 0.5


def test_it_learns_to_turn_images_into_their_negatives() -> None:
    network = ResNetTranslator((1, 16, 16), 8, 1)
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    losses = []
    for _ in range(60):
        batch = (torch.rand(8, 1, 4, 4) * 2 - 1).sign().repeat_interleave(4, 2).repeat_interleave(4, 3) * 0.8
        optimizer.zero_grad()
        loss = (network(batch) + batch).abs().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.25 * losses[0]
