"""R3GAN's networks have the paper's layers, sizes and initial values, and can be differentiated twice."""

import inspect
import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import conv2d, leaky_relu
from torch.testing import assert_close

from gan_cli.errors import Refused
from gan_cli.models.r3gan import Basis, R3GANDiscriminator, R3GANGenerator, Resample, Residual, stage
from gan_cli.networks import DataFacts, build_discriminator, build_generator
from gan_cli.penalties.zero_centered import R1R2
from gan_cli.schema import Config
from gan_cli.streams import Streams
from gan_cli.traits import CriticTraits, critic_traits

GREY28, RGB32, RGB64 = (1, 28, 28), (3, 32, 32), (3, 64, 64)
GAIN = math.sqrt(2 / (1 + 0.2**2))  # He et al. 2015, arXiv:1502.01852, equation (15)
EXACT = {"rtol": 1e-10, "atol": 1e-10}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def generator(blocks: int = 2, widths: Sequence[int] = (64, 32, 16), shape: Sequence[int] = GREY28) -> R3GANGenerator:
    return R3GANGenerator(64, shape, widths, blocks)


def discriminator(
    blocks: int = 2, widths: Sequence[int] = (16, 32, 64), shape: Sequence[int] = GREY28
) -> R3GANDiscriminator:
    return R3GANDiscriminator(shape, widths, blocks)


def trained(network: nn.Module) -> nn.Module:
    """The network with nothing left at 0."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network


# Sizes.


def block_size(width: int, expansion: int = 2, group: int = 16) -> int:
    inner = expansion * width
    return (width * inner + inner) + (inner * group * 9 + inner) + inner * width


def sizes(
    latent_dim: int, shape: Sequence[int], widths: Sequence[int], blocks: int, group: int = 16
) -> tuple[int, int]:
    """The parameters of a generator with these widths, and of the discriminator with the same ones reversed."""
    channels, size, _ = shape
    base = size // 2 ** (len(widths) - 1)
    both = sum(blocks * block_size(width, group=group) for width in widths)
    both += sum(one * other for one, other in pairwise(widths) if one != other)
    basis, to_image = widths[0] * (base**2 + latent_dim), widths[-1] * channels
    from_image, last = channels * widths[-1], widths[0] * base**2 + widths[0]
    return both + basis + to_image, both + from_image + last


SIZES = [
    (GREY28, (64, 32, 16), 1, (64_016, 59_984)),
    (GREY28, (64, 32, 16), 2, (118_224, 114_192)),
    (RGB64, (128, 96, 64, 48, 32), 1, (272_928, 264_864)),
    (RGB64, (128, 96, 64, 48, 32), 2, (512_480, 504_416)),
]


@pytest.mark.parametrize(("shape", "widths", "blocks", "parameters"), SIZES)
def test_parameters_are_as_many_as_one_counts_by_hand(
    shape: Sequence[int], widths: Sequence[int], blocks: int, parameters: tuple[int, int]
) -> None:
    with torch.device("meta"):
        counted = count(generator(blocks, widths, shape)), count(discriminator(blocks, widths[::-1], shape))
    assert counted == sizes(64, shape, widths, blocks) == parameters


def test_default_networks_mirror_each_other_and_have_the_size_of_the_formula() -> None:
    def defaults(network: type[nn.Module]) -> dict[str, object]:
        return {name: parameter.default for name, parameter in inspect.signature(network).parameters.items()}

    ours, theirs = defaults(R3GANGenerator), defaults(R3GANDiscriminator)
    assert ours["widths"] == theirs["widths"][::-1]
    for name in ("blocks", "expansion", "group_size"):
        assert ours[name] == theirs[name]
    with torch.device("meta"):
        counted = count(R3GANGenerator(64, GREY28)), count(R3GANDiscriminator(GREY28))
    assert counted == sizes(64, GREY28, ours["widths"], ours["blocks"])


# Channels from the smallest resolution up, group size, and millions of parameters: Huang et al. 2024, table 9.
PUBLISHED = {
    "Stacked MNIST": (RGB32, (768,) * 4, 20.73, 20.68),
    "FFHQ-64": (RGB64, (768,) * 4 + (384,), 22.43, 22.38),
    "FFHQ-256": ((3, 256, 256), (768,) * 4 + (384, 192, 96), 23.06, 23.01),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_of_the_papers_widths_have_the_papers_sizes(name: str) -> None:
    shape, widths, *millions = PUBLISHED[name]
    with torch.device("meta"):
        networks = R3GANGenerator(64, shape, widths), R3GANDiscriminator(shape, widths[::-1])
    assert [round(count(network) / 1e6, 2) for network in networks] == millions


# Layers.


def test_a_block_is_its_input_plus_three_convolutions_of_which_the_second_sees_groups_alone() -> None:
    block = trained(Residual(6, 8, 2, total_blocks=4)).double()
    inputs = torch.randn(2, 6, 5, 5, dtype=torch.float64)
    one, two, three = (layer for layer in block.layers if isinstance(layer, nn.Conv2d))
    h = torch.einsum("oi,nihw->nohw", one.weight[:, :, 0, 0], inputs) + one.bias[:, None, None]
    h = leaky_relu(h, 0.2)
    groups = [
        conv2d(h[:, here], two.weight[here], two.bias[here], padding=1) for here in (slice(0, 4), slice(4, 8))
    ]  # 4 channels in a group
    h = leaky_relu(torch.cat(groups, 1), 0.2)
    assert_close(block(inputs), inputs + torch.einsum("oi,nihw->nohw", three.weight[:, :, 0, 0], h), **EXACT)
    assert [layer.bias is not None for layer in (one, two, three)] == [True, True, False]


@pytest.mark.parametrize(("width", "expansion", "group_size"), [(16, 2, 16), (24, 2, 16), (5, 3, 5), (8, 1, 1)])
def test_a_stage_has_its_blocks_and_these_have_groups_of_the_size_that_is_asked_for(
    width: int, expansion: int, group_size: int
) -> None:
    blocks = stage(width, 3, 9, expansion, group_size)
    assert len(blocks) == 3
    for block in blocks:
        one, two, three = (layer for layer in block.layers if isinstance(layer, nn.Conv2d))
        assert two.weight.shape == (width * expansion, group_size, 3, 3)
        assert one.weight.shape == (width * expansion, width, 1, 1)
        assert three.weight.shape == (width, width * expansion, 1, 1)


def test_basis_scales_each_map_by_a_linear_function_of_the_latent() -> None:
    basis = Basis(3, 2, 4)
    latents = torch.randn(5, 3)
    maps = basis(latents)
    assert maps.shape == (5, 2, 4, 4)
    for sample in range(5):
        for channel in range(2):
            scale = sum(basis.scale.weight[channel, i] * latents[sample, i] for i in range(3))
            assert_close(maps[sample, channel], scale * basis.maps[channel])
    assert not basis(torch.zeros(1, 3)).any()


@pytest.mark.parametrize("make", [generator, discriminator])
@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_each_resolution_has_its_blocks_and_one_transition_before_it(
    make: Callable[..., nn.Module], blocks: int
) -> None:
    kinds = [type(layer) for layer in make(blocks).layers]
    body = [Residual] * blocks
    if make is generator:
        up = [nn.Conv2d, Resample, *body]
        assert kinds == [Basis, *body, *up, *up, nn.Conv2d]
    else:
        down = [Resample, nn.Conv2d, *body]
        assert kinds == [nn.Conv2d, *body, *down, *down, nn.Conv2d, nn.Flatten, nn.Linear, nn.Flatten]


def test_between_resolutions_of_equal_width_nothing_is_convolved() -> None:
    kinds = [type(layer) for layer in generator(1, (32, 32), (1, 8, 8)).layers]
    assert kinds == [Basis, Residual, Resample, Residual, nn.Conv2d]
    kinds = [type(layer) for layer in discriminator(1, (32, 32), (1, 8, 8)).layers]
    assert kinds == [nn.Conv2d, Residual, Resample, Residual, nn.Conv2d, nn.Flatten, nn.Linear, nn.Flatten]


def test_no_layer_normalizes_and_none_draws() -> None:
    for network in (generator(), discriminator()):
        leaves = {type(module) for module in network.modules() if not list(module.children())}
        assert leaves <= {nn.Conv2d, nn.Linear, nn.LeakyReLU, nn.Flatten, Resample}
        assert {module.negative_slope for module in network.modules() if isinstance(module, nn.LeakyReLU)} == {0.2}
        assert not list(network.buffers())


def test_generated_images_are_not_squeezed_into_a_range() -> None:
    network = trained(generator(1)).double()
    latents = torch.randn(2, 64, dtype=torch.float64)
    before = network(latents)
    with torch.no_grad():
        network.layers[-1].weight.mul_(100)
    assert_close(network(latents), 100 * before, **EXACT)
    assert network(latents).abs().max() > 1


@pytest.mark.parametrize("size", [4, 12, 28, 64, 100])
def test_any_resolution_that_halves_often_enough_is_generated_and_judged(size: int) -> None:
    with torch.device("meta"):
        images = generator(1, shape=(3, size, size))(torch.empty(2, 64))
        assert images.shape == (2, 3, size, size)
        assert discriminator(1, shape=(3, size, size))(images).shape == (2,)


# Resampling.


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_resampling_leaves_constants_constant_and_the_mean_as_it_was(factor: float) -> None:
    constants = torch.randn(2, 3, 1, 1, dtype=torch.float64)
    resized = Resample(factor)(constants.expand(2, 3, 6, 6))
    assert_close(resized, constants.expand(2, 3, *[int(6 * factor)] * 2), **EXACT)
    maps = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    assert_close(Resample(factor)(maps).mean((2, 3)), maps.mean((2, 3)), **EXACT)


def test_half_the_resolution_is_the_mean_of_two_by_two_pixels() -> None:
    maps = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    expected = torch.empty(2, 3, 3, 4, dtype=torch.float64)
    for row in range(3):
        for column in range(4):
            expected[:, :, row, column] = maps[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean((2, 3))
    assert_close(Resample(0.5)(maps), expected, **EXACT)


def doubling(size: int) -> Tensor:
    """The matrix of linear interpolation to twice as many pixels, the border's value beyond the border."""
    matrix = torch.zeros(2 * size, size, dtype=torch.float64)
    for pixel in range(size):
        for fine, other in ((2 * pixel, pixel - 1), (2 * pixel + 1, pixel + 1)):
            matrix[fine, pixel] += 0.75
            matrix[fine, min(max(other, 0), size - 1)] += 0.25
    return matrix


def test_twice_the_resolution_takes_three_parts_of_the_nearest_pixel_and_one_of_the_next() -> None:
    maps = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    assert_close(Resample(2.0)(maps), doubling(4) @ maps @ doubling(5).T, **EXACT)


def test_up_and_down_again_is_a_slight_blur_and_not_the_identity() -> None:
    maps = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    again = Resample(0.5)(Resample(2.0)(maps))
    # In each direction (x₋ + 6 x + x₊) / 8.
    blur = torch.zeros(3, 1, 3, 3, dtype=torch.float64) + torch.outer(*[torch.tensor([1.0, 6.0, 1.0]) / 8] * 2)
    assert_close(again[:, :, 1:-1, 1:-1], conv2d(maps, blur, groups=3), **EXACT)
    assert (again - maps).abs().max() > 0.1


# Initial values.


@pytest.mark.parametrize("make", [generator, discriminator])
def test_every_block_starts_as_the_exact_identity(make: Callable[..., nn.Module]) -> None:
    blocks = [module for module in make().modules() if isinstance(module, Residual)]
    assert len(blocks) == 6
    for block in blocks:
        inputs = 1e3 * torch.randn(2, block.layers[0].in_channels, 5, 5)
        assert torch.equal(block(inputs), inputs)


def assert_normal(weight: Tensor, std: float) -> None:
    n = weight.numel()
    assert abs(weight.mean().item()) < 5 * std / math.sqrt(n)
    assert weight.std().item() == pytest.approx(std, rel=5 / math.sqrt(2 * n))
    if n > 1000:
        assert weight.abs().max() > 3 * std  # not uniform


@pytest.mark.parametrize(("blocks", "widths"), [(1, (64, 32)), (2, (64, 32, 16)), (5, (32, 32, 32, 32))])
@pytest.mark.parametrize("make", [generator, discriminator])
def test_inner_convolutions_start_smaller_the_more_blocks_the_network_has(
    make: Callable[..., nn.Module], blocks: int, widths: Sequence[int]
) -> None:
    network = make(blocks, widths if make is generator else widths[::-1], (1, 32, 32))
    residuals = [module for module in network.modules() if isinstance(module, Residual)]
    total = blocks * len(widths)
    assert len(residuals) == total
    for residual in residuals:
        one, two, three = (layer for layer in residual.layers if isinstance(layer, nn.Conv2d))
        assert_normal(one.weight, GAIN * total**-0.25 / math.sqrt(one.in_channels))
        assert_normal(two.weight, GAIN * total**-0.25 / math.sqrt(16 * 3 * 3))
        assert not three.weight.any()
        assert not one.bias.any()
        assert not two.bias.any()


def test_layers_outside_the_blocks_start_with_the_variance_of_one_over_the_fan_in_and_without_bias() -> None:
    for network in (generator(), discriminator()):
        convolutions = [layer for layer in network.layers if isinstance(layer, nn.Conv2d)]
        assert len(convolutions) == (3 if isinstance(network, R3GANGenerator) else 4)
        for layer in convolutions:
            assert_normal(layer.weight, layer.weight[0].numel() ** -0.5)
            assert layer.bias is None or not layer.bias.any()
    basis = generator().layers[0]
    assert_normal(basis.maps, 1.0)
    assert_normal(basis.scale.weight, 64**-0.5)


def test_the_generator_starts_linear_and_the_discriminator_affine() -> None:
    # As all blocks are identities, what is left is resampling and convolutions of 1×1.
    made, judge = generator().double(), discriminator().double()
    z, w = torch.randn(2, 3, 64, dtype=torch.float64)
    assert_close(made(2 * z - 3 * w), 2 * made(z) - 3 * made(w), **EXACT)
    x, y = torch.randn(2, 3, *GREY28, dtype=torch.float64)
    assert_close(judge(0.25 * x + 0.75 * y), 0.25 * judge(x) + 0.75 * judge(y), **EXACT)
    assert not torch.allclose(trained(made)(2 * z), 2 * made(z))


def variances(network: nn.Module, inputs: Tensor) -> list[float]:
    """Of what each layer that convolves, resamples or adds gives out, the mean square."""
    found: list[float] = []
    for layer in network.layers:
        if not isinstance(layer, nn.Flatten):
            layer.register_forward_hook(lambda _module, _inputs, outputs: found.append(outputs.square().mean().item()))
    with torch.no_grad():
        network(inputs)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_features_keep_their_size_on_the_way_through_the_whole_network(seed: int) -> None:
    torch.manual_seed(seed)
    made = variances(R3GANGenerator(64, GREY28, (128, 96, 64)), torch.randn(32, 64))
    assert 0.8 < made[0] < 1.25
    # Interpolating maps of white noise takes (5/8)² of their variance, less at the border; smooth maps lose little.
    assert all(0.15 < variance < 1.3 for variance in made)
    flat = torch.randn(32, 1, 1, 1).expand(-1, 1, 28, 28)
    judged = variances(R3GANDiscriminator(GREY28, (64, 96, 128)), flat)
    assert all(1 / 4 < variance / flat.square().mean() < 4 for variance in judged[:-1])
    noise = torch.randn(32, *GREY28)
    judged = variances(R3GANDiscriminator(GREY28, (64, 96, 128)), noise)
    assert judged[3] / judged[0] == pytest.approx(1 / 4, rel=0.1)  # the mean of four independent pixels


@pytest.mark.parametrize("blocks", [1, 2, 8])
def test_a_blocks_first_two_layers_keep_the_size_of_features_but_for_their_scaling_down(blocks: int) -> None:
    total = 3 * blocks
    block = Residual(64, 128, 8, total)
    inside = block.layers[:4](torch.randn(16, 64, 20, 20))[:, :, 1:-1, 1:-1]  # away from the zeros beyond the border
    # Two convolutions, each with L^(-1/4) of the deviation: of the variance L^(-1) is left.
    assert inside.square().mean().item() * total == pytest.approx(1, rel=0.25)


# What the discriminator is to losses and penalties.


def test_the_discriminator_keeps_samples_apart() -> None:
    judge = trained(R3GANDiscriminator((1, 8, 8), (8, 16), 1))
    assert critic_traits(judge) == CriticTraits(mixes=(), bounded_slope=False)
    samples = torch.randn(5, 1, 8, 8, requires_grad=True)
    (slopes,) = torch.autograd.grad(judge(samples)[2], samples)
    assert slopes.flatten(1).any(1).tolist() == [False, False, True, False, False]


def test_the_discriminator_mixes_samples_when_it_is_shown_their_spread() -> None:
    judge = trained(R3GANDiscriminator((1, 8, 8), (8, 16), 1, minibatch_std=2))
    assert critic_traits(judge).mixes == ("MinibatchStd",)
    samples = torch.randn(4, 1, 8, 8, requires_grad=True)
    (slopes,) = torch.autograd.grad(judge(samples)[2], samples)
    assert slopes.flatten(1).any(1).tolist() == [False, False, True, True]


TINY = {"sample_shape": (1, 4, 4), "widths": (2, 4), "blocks": 1, "group_size": 2}


def test_the_discriminator_is_twice_differentiable_in_its_samples() -> None:
    judge = trained(R3GANDiscriminator(**TINY)).double()
    samples = torch.randn(2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(judge, samples)
    assert torch.autograd.gradgradcheck(judge, samples)


def test_the_penalty_of_r3gan_can_be_minimized_by_every_weight_that_the_slope_depends_on() -> None:
    judge = trained(R3GANDiscriminator(**TINY)).double()
    real, fake = torch.randn(2, 2, 1, 4, 4, dtype=torch.float64)
    draws = Streams(0, torch.device("cpu")).draws("discriminator", 0)
    names = [name for name, _ in judge.named_parameters()]

    def penalty(*parameters: Tensor) -> Tensor:
        state = dict(zip(names, parameters, strict=True))
        return R1R2(gamma=0.5)(lambda samples: functional_call(judge, state, samples), real, fake, draws).sum()

    parameters = [parameter.detach().requires_grad_() for parameter in judge.parameters()]
    assert torch.autograd.gradcheck(penalty, parameters)
    gradients = torch.autograd.grad(penalty(*parameters), parameters, allow_unused=True, materialize_grads=True)
    still = [name for name, gradient in zip(names, gradients, strict=True) if not gradient.any()]
    assert all(name.endswith("bias") for name in still)


# Refusals.


@pytest.mark.parametrize("size", [30, 27, 2])
def test_a_resolution_that_does_not_halve_often_enough_is_refused(size: int) -> None:
    message = rf"^model\.resolution must be a multiple of 4 for the {{}}'s 3 widths, got {size}$"
    with pytest.raises(ValueError, match=message.format("generator")):
        generator(shape=(1, size, size))
    with pytest.raises(ValueError, match=message.format("discriminator")):
        discriminator(shape=(1, size, size))


def test_a_network_without_widths_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^model\.generator\.widths must have at least one entry"):
        generator(widths=())
    with pytest.raises(ValueError, match=r"^model\.discriminator\.widths must have at least one entry"):
        discriminator(widths=())


@pytest.mark.parametrize(
    ("widths", "options", "inner"), [((64, 20), {}, 40), ((16, 4), {}, 8), ((16, 16), {"group_size": 12}, 32)]
)
@pytest.mark.parametrize("network", [R3GANGenerator, R3GANDiscriminator])
def test_groups_that_do_not_divide_the_channels_of_a_block_are_refused(
    network: type[nn.Module], widths: Sequence[int], options: dict[str, int], inner: int
) -> None:
    facts = {"sample_shape": GREY28} | ({"latent_dim": 4} if network is R3GANGenerator else {})
    with pytest.raises(ValueError, match=rf"group_size=\d+ must divide the {inner} channels .*width \d+, expansion 2"):
        network(**facts, widths=widths, **options)


@pytest.mark.parametrize(("name", "build"), [("generator", build_generator), ("discriminator", build_discriminator)])
@pytest.mark.parametrize(
    ("override", "size", "told"), [("group_size=12", 28, "group_size=12 must"), ("blocks=1", 30, "")]
)
def test_a_configuration_that_does_not_fit_is_refused_with_its_key(
    name: str, build: Callable[..., nn.Module], override: str, size: int, told: str, compose: Callable[..., Config]
) -> None:
    config = compose("model=r3gan", f"model.{name}.{override}")
    message = rf"^model\.{name}: {told or 'model.resolution must be a multiple of 4 .*got 30'}"
    with pytest.raises(Refused, match=message), torch.device("meta"):
        build(config, DataFacts((1, size, size)), Streams(0, torch.device("cpu")))
