"""The architectures are the published ones, and start from weights that the seed alone decides."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import elu, gelu, leaky_relu, relu, silu
from torch.testing import assert_close

from gan_cli.errors import Refused
from gan_cli.models.dcgan import DCGANDiscriminator, DCGANGenerator
from gan_cli.models.dcgan3x3 import DCGAN3x3Discriminator, DCGAN3x3Generator
from gan_cli.models.dcgan64 import DCGAN64Discriminator, DCGAN64Generator
from gan_cli.models.initialize import initialize
from gan_cli.models.layers import activation
from gan_cli.models.mlp import MLPDiscriminator, MLPGenerator
from gan_cli.models.subpixel import SubpixelDiscriminator, SubpixelGenerator
from gan_cli.networks import DataFacts, build_discriminator, build_generator
from gan_cli.schema import Config
from gan_cli.streams import Streams
from gan_cli.target_options import Activation

CPU = torch.device("cpu")
MNIST, RGB64 = (1, 28, 28), (3, 64, 64)

Compose = Callable[..., Config]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (lambda: MLPDiscriminator(MNIST), 267_009),
        (lambda: MLPGenerator(4, MNIST), 1_858_320),
        (lambda: MLPGenerator(96, MNIST), 1_952_528),
        (lambda: DCGANDiscriminator(MNIST), 1_102_721),
        (lambda: DCGANGenerator(4, MNIST), 6_580_801),
        (lambda: DCGANGenerator(96, MNIST), 6_675_009),
        (lambda: DCGAN64Generator(100, RGB64), 3_576_704),
        (lambda: DCGAN64Discriminator(RGB64), 2_765_696),
        (lambda: MLPGenerator(2, (2,), widths=()), 6),
        (lambda: MLPDiscriminator((2,), widths=(5, 3), activation="tanh"), 37),
        (lambda: MLPGenerator(128, MNIST, (256, 512, 1024), "leaky_relu", 0.2), 1_493_520),
        (lambda: MLPDiscriminator(MNIST, (1024, 512, 256), "leaky_relu", 0.2, 0.3), 1_460_225),
    ],
)
def test_parameter_counts_are_those_of_the_course_texts(make: Callable[[], nn.Module], parameters: int) -> None:
    with torch.device("meta"):
        assert count(make()) == parameters


@pytest.mark.parametrize(
    ("overrides", "shape", "parameters"),
    [
        (("model=mlp", "data=mnist"), MNIST, (1_952_528, 267_009)),
        (("model=dcgan", "data=mnist"), MNIST, (6_675_009, 1_102_721)),
        (("model=dcgan64", "data=pokemon", "latent.dim=100"), RGB64, (3_576_704, 2_765_696)),
        (("model=dcgan3x3", "latent.dim=128"), MNIST, (2_005_761, 400_385)),
        (("model=subpixel", "latent.dim=64"), MNIST, (223_952, 209_457)),
        (("experiment=cs231n_gan",), MNIST, (1_952_528, 267_009)),
        (("experiment=cs231n_lsgan",), MNIST, (1_952_528, 267_009)),
        (("experiment=cs231n_dcgan",), MNIST, (6_675_009, 1_102_721)),
        (("experiment=d2l_gaussian",), (2,), (6, 37)),
        (("experiment=d2l_pokemon",), RGB64, (3_576_704, 2_765_696)),
        (("experiment=ucla_dogs",), RGB64, (13_243_971, 694_528)),
        (("experiment=utrgv_gan",), MNIST, (1_493_520, 1_460_225)),
        (("experiment=utrgv_dcgan",), MNIST, (2_005_761, 400_385)),
    ],
)
def test_default_configurations_make_the_published_sizes(
    overrides: Sequence[str], shape: tuple[int, ...], parameters: tuple[int, int], compose: Compose
) -> None:
    config, streams = compose(*overrides), Streams(0, CPU)
    with torch.device("meta"):
        generator, discriminator = (
            build_generator(config, DataFacts(shape), streams),
            build_discriminator(config, DataFacts(shape), streams),
        )
    assert (count(generator), count(discriminator)) == parameters


# The same networks, layer by layer as the course texts list them.

REFERENCES: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp G": (
        lambda: MLPGenerator(96, MNIST),
        lambda: nn.Sequential(
            *(nn.Linear(96, 1024), nn.ReLU()),
            *(nn.Linear(1024, 1024), nn.ReLU()),
            *(nn.Linear(1024, 784), nn.Tanh(), nn.Unflatten(1, MNIST)),
        ),
        (96,),
    ),
    "mlp D": (
        lambda: MLPDiscriminator(MNIST),
        lambda: nn.Sequential(
            nn.Flatten(),
            *(nn.Linear(784, 256), nn.LeakyReLU(0.01)),
            *(nn.Linear(256, 256), nn.LeakyReLU(0.01)),
            *(nn.Linear(256, 1), nn.Flatten(0)),
        ),
        MNIST,
    ),
    "d2l G": (lambda: MLPGenerator(2, (2,), widths=()), lambda: nn.Linear(2, 2), (2,)),
    "d2l D": (
        lambda: MLPDiscriminator((2,), widths=(5, 3), activation="tanh"),
        lambda: nn.Sequential(
            *(nn.Linear(2, 5), nn.Tanh()), *(nn.Linear(5, 3), nn.Tanh()), *(nn.Linear(3, 1), nn.Flatten(0))
        ),
        (2,),
    ),
    "dcgan G": (
        lambda: DCGANGenerator(96, MNIST),
        lambda: nn.Sequential(
            *(nn.Linear(96, 1024), nn.ReLU(), nn.BatchNorm1d(1024)),
            *(nn.Linear(1024, 6272), nn.ReLU(), nn.BatchNorm1d(6272)),
            nn.Unflatten(1, (128, 7, 7)),
            *(nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1), nn.ReLU(), nn.BatchNorm2d(64)),
            *(nn.ConvTranspose2d(64, 1, 4, stride=2, padding=1), nn.Tanh()),
        ),
        (96,),
    ),
    "dcgan D": (
        lambda: DCGANDiscriminator(MNIST),
        lambda: nn.Sequential(
            *(nn.Conv2d(1, 32, 5), nn.MaxPool2d(2, 2), nn.LeakyReLU(0.01)),  # in the text the other way around
            *(nn.Conv2d(32, 64, 5), nn.MaxPool2d(2, 2), nn.LeakyReLU(0.01)),
            *(nn.Flatten(), nn.Linear(1024, 1024), nn.LeakyReLU(0.01), nn.Linear(1024, 1), nn.Flatten(0)),
        ),
        MNIST,
    ),
    "dcgan64 G": (
        lambda: DCGAN64Generator(100, RGB64),
        lambda: nn.Sequential(
            nn.Unflatten(1, (100, 1, 1)),
            *(nn.ConvTranspose2d(100, 512, 4, 1, 0, bias=False), nn.BatchNorm2d(512), nn.ReLU()),
            *(nn.ConvTranspose2d(512, 256, 4, 2, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU()),
            *(nn.ConvTranspose2d(256, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU()),
            *(nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh()),
        ),
        (100,),
    ),
    "dcgan64 D": (
        lambda: DCGAN64Discriminator(RGB64),
        lambda: nn.Sequential(
            *(nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(64, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(128, 256, 4, 2, 1, bias=False), nn.BatchNorm2d(256), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(256, 512, 4, 2, 1, bias=False), nn.BatchNorm2d(512), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(512, 1, 4, 1, 0, bias=False), nn.Flatten(0)),
        ),
        RGB64,
    ),
    "dogs G": (
        lambda: DCGAN64Generator(128, RGB64, (1024, 512, 256, 128, 64), last_stride=1),
        lambda: nn.Sequential(
            nn.Unflatten(1, (128, 1, 1)),
            *(nn.ConvTranspose2d(128, 1024, 4, 1, 0, bias=False), nn.BatchNorm2d(1024), nn.ReLU()),
            *(nn.ConvTranspose2d(1024, 512, 4, 2, 1, bias=False), nn.BatchNorm2d(512), nn.ReLU()),
            *(nn.ConvTranspose2d(512, 256, 4, 2, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU()),
            *(nn.ConvTranspose2d(256, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU()),
            *(nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.ConvTranspose2d(64, 3, 3, 1, 1), nn.Tanh()),
        ),
        (128,),
    ),
    "dogs D": (
        lambda: DCGAN64Discriminator(RGB64, (32, 64, 128, 256), norm_from=2),
        lambda: nn.Sequential(
            *(nn.Conv2d(3, 32, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(32, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(64, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(128, 256, 4, 2, 1, bias=False), nn.BatchNorm2d(256), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(256, 1, 4, 1, 0, bias=False), nn.Flatten(0)),
        ),
        RGB64,
    ),
    "dcgan3x3 G": (
        lambda: DCGAN3x3Generator(128, MNIST),
        lambda: nn.Sequential(
            *(nn.Linear(128, 256 * 7 * 7), nn.Unflatten(1, (256, 7, 7))),
            *(nn.ConvTranspose2d(256, 128, 3, stride=2, padding=1, output_padding=1), nn.ReLU()),
            *(nn.ConvTranspose2d(128, 64, 3, stride=1, padding=1), nn.ReLU()),
            *(nn.ConvTranspose2d(64, 32, 3, stride=1, padding=1), nn.ReLU()),
            *(nn.ConvTranspose2d(32, 1, 3, stride=2, padding=1, output_padding=1), nn.Tanh()),
        ),
        (128,),
    ),
    "dcgan3x3 D": (
        lambda: DCGAN3x3Discriminator(MNIST),
        lambda: nn.Sequential(
            *(nn.Conv2d(1, 32, 3, stride=2, padding=1), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(32, 64, 3, stride=1, padding=1), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(64, 128, 3, stride=1, padding=1), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(128, 256, 3, stride=2, padding=1), nn.LeakyReLU(0.2)),
            *(nn.Flatten(), nn.Linear(12544, 1), nn.Flatten(0)),
        ),
        MNIST,
    ),
    "subpixel G": (
        lambda: SubpixelGenerator(64, MNIST),
        lambda: nn.Sequential(
            *(nn.Linear(64, 64 * 7 * 7, bias=False), nn.Unflatten(1, (64, 7, 7)), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.Conv2d(64, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
            *(nn.Conv2d(32, 16, 3, padding=1), nn.PixelShuffle(4), nn.Tanh()),
        ),
        (64,),
    ),
    "subpixel D": (
        lambda: SubpixelDiscriminator(MNIST),
        lambda: nn.Sequential(
            *(nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(16, 32, 4, stride=2, padding=1), nn.LeakyReLU(0.2)),
            *(nn.Flatten(), nn.Linear(32 * 7 * 7, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1), nn.Flatten(0)),
        ),
        MNIST,
    ),
    "utrgv G": (
        lambda: MLPGenerator(128, MNIST, (256, 512, 1024), "leaky_relu", 0.2),
        lambda: nn.Sequential(
            *(nn.Linear(128, 256), nn.LeakyReLU(0.2), nn.Linear(256, 512), nn.LeakyReLU(0.2)),
            *(nn.Linear(512, 1024), nn.LeakyReLU(0.2), nn.Linear(1024, 784), nn.Tanh(), nn.Unflatten(1, MNIST)),
        ),
        (128,),
    ),
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", REFERENCES)
def test_architectures_compute_what_their_layer_lists_say(name: str, training: bool) -> None:
    make, make_reference, shape = REFERENCES[name]
    torch.manual_seed(1)
    network, reference = make().train(training), make_reference().train(training)
    ours, theirs = network.state_dict(), reference.state_dict()
    assert [tensor.shape for tensor in ours.values()] == [tensor.shape for tensor in theirs.values()]
    reference.load_state_dict(dict(zip(theirs, ours.values(), strict=True)))
    inputs = torch.randn(3, *shape)
    with torch.no_grad():
        assert_close(network(inputs), reference(inputs), rtol=1e-5, atol=1e-6)


# What the options do.

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": relu,
    "leaky_relu": lambda x: leaky_relu(x, 0.3),
    "tanh": torch.tanh,
    "elu": elu,
    "gelu": gelu,
    "silu": silu,
}


def test_every_declared_activation_is_the_function_of_its_name() -> None:
    assert FUNCTIONS.keys() == {option.name for option in Activation}
    inputs = torch.linspace(-3, 3, 25)
    for name, function in FUNCTIONS.items():
        assert torch.equal(activation(name, 0.3)(inputs), function(inputs)), name


def test_unknown_activation_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="relu, leaky_relu, tanh, elu, gelu or silu, got 'swish'"):
        activation("swish", 0.0)


SMALL: dict[str, tuple[Callable[..., nn.Module], dict[str, Any], tuple[int, ...]]] = {
    "mlp G": (lambda **o: MLPGenerator(3, (2,), **o), {"widths": (6, 5)}, (3,)),
    "mlp D": (lambda **o: MLPDiscriminator((2,), **o), {"widths": (6, 5)}, (2,)),
    "dcgan G": (lambda **o: DCGANGenerator(3, (1, 16, 16), **o), {"hidden": 7, "widths": (6, 5)}, (3,)),
    "dcgan D": (lambda **o: DCGANDiscriminator((1, 16, 16), **o), {"hidden": 7, "widths": (6, 5)}, (1, 16, 16)),
    "dcgan64 G": (lambda **o: DCGAN64Generator(3, (1, 16, 16), **o), {"widths": (6, 5)}, (3,)),
    "dcgan64 D": (lambda **o: DCGAN64Discriminator((1, 16, 16), **o), {"widths": (6, 5)}, (1, 16, 16)),
    "dcgan3x3 G": (lambda **o: DCGAN3x3Generator(3, (1, 16, 16), **o), {"widths": (7, 6, 5)}, (3,)),
    "dcgan3x3 D": (lambda **o: DCGAN3x3Discriminator((1, 16, 16), **o), {"widths": (6, 5)}, (1, 16, 16)),
    "subpixel G": (lambda **o: SubpixelGenerator(3, (1, 16, 16), **o), {"widths": (6, 5)}, (3,)),
    "subpixel D": (lambda **o: SubpixelDiscriminator((1, 16, 16), **o), {"hidden": 7, "widths": (6, 5)}, (1, 16, 16)),
}


@pytest.mark.parametrize("name", SMALL)
def test_dropout_draws_while_training_and_does_nothing_in_evaluation(name: str) -> None:
    make, options, shape = SMALL[name]
    torch.manual_seed(2)
    dropping, plain = make(**options, dropout=0.5), make(**options)
    plain.load_state_dict(dict(zip(plain.state_dict(), dropping.state_dict().values(), strict=True)))
    inputs = torch.randn(8, *shape)
    assert torch.equal(dropping.eval()(inputs), plain.eval()(inputs))
    dropping.train()
    assert not torch.equal(dropping(inputs), dropping(inputs))
    rates = {module.p for module in dropping.modules() if isinstance(module, nn.Dropout)}
    hidden = sum(isinstance(module, nn.ReLU | nn.LeakyReLU) for module in dropping.modules())
    assert rates == {0.5}
    assert sum(isinstance(module, nn.Dropout) for module in dropping.modules()) == hidden


@pytest.mark.parametrize("name", [name.name for name in Activation])
def test_pooling_before_or_behind_the_activation_is_the_same_function(name: str) -> None:
    # The course puts the activation first, on four times as many numbers.
    discriminator = DCGANDiscriminator(MNIST, hidden=8, widths=(4, 4), activation=name, slope=0.2)
    convolutions = [layer for layer in discriminator.modules() if isinstance(layer, nn.Conv2d)]
    linear = [layer for layer in discriminator.modules() if isinstance(layer, nn.Linear)]

    def as_in_the_text(inputs: Tensor) -> Tensor:
        for convolution in convolutions:
            inputs = nn.functional.max_pool2d(activation(name, 0.2)(convolution(inputs)), 2)
        return linear[1](activation(name, 0.2)(linear[0](inputs.flatten(1)))).flatten()

    samples = torch.randn(5, *MNIST, requires_grad=True)
    found, expected = discriminator(samples), as_in_the_text(samples)
    assert torch.equal(found, expected)
    wanted = [samples, *discriminator.parameters()]
    for one, other in zip(
        torch.autograd.grad(found.sum(), wanted), torch.autograd.grad(expected.sum(), wanted), strict=True
    ):
        assert_close(one, other)


@pytest.mark.parametrize("option", [{"activation": "tanh"}, {"activation": "leaky_relu", "slope": 0.7}])
@pytest.mark.parametrize("name", SMALL)
def test_activation_and_slope_reach_every_hidden_layer(name: str, option: dict[str, Any]) -> None:
    make, options, _ = SMALL[name]
    wanted = str(activation(option["activation"], option.get("slope", 0.0)))
    default = [module for module in make(**options).modules() if isinstance(module, nn.ReLU | nn.LeakyReLU)]
    changed = [str(module) for module in make(**options, **option).layers.children()]
    # A generator of images ends in one tanh more.
    ends_in_tanh = isinstance(make(**options).layers[-1], nn.Tanh)
    assert changed.count(wanted) == len(default) + (ends_in_tanh and wanted == "Tanh()")
    assert not any(module.startswith("ReLU") for module in changed)


@pytest.mark.parametrize("name", SMALL)
def test_widths_are_the_sizes_of_the_hidden_layers(name: str) -> None:
    make, options, _ = SMALL[name]
    network = make(**options)
    weights = [parameter for parameter in network.parameters() if parameter.dim() > 1]
    sizes = [weight.shape[1 if isinstance_transposed(network, weight) else 0] for weight in weights]
    sizes_of = {"dcgan G": [7, 6 * 4 * 4, 5], "dcgan D": [6, 5, 7], "dcgan3x3 G": [7 * 4 * 4, 6, 5]}
    sizes_of |= {"subpixel G": [6 * 4 * 4, 5], "subpixel D": [6, 5, 7]}
    hidden = sizes_of.get(name, [6, 5])
    assert sizes[:-1] == hidden


def isinstance_transposed(network: nn.Module, weight: Tensor) -> bool:
    return any(module.weight is weight for module in network.modules() if isinstance(module, nn.ConvTranspose2d))


@pytest.mark.parametrize("name", ["mlp G", "dcgan G", "dcgan64 G", "dogs G", "dcgan3x3 G", "subpixel G"])
def test_generated_images_fill_the_range_from_minus_one_to_one_and_no_more(name: str) -> None:
    make, _, shape = REFERENCES[name]
    generator = make()
    with torch.no_grad():
        [parameter for parameter in generator.parameters() if parameter.dim() > 1][-1].mul_(1e3)
        images = generator(torch.randn(4, *shape))
    assert images.min() == -1
    assert images.max() == 1


def test_generated_vectors_have_no_bounds_and_a_generator_without_hidden_layers_is_affine() -> None:
    generator = MLPGenerator(2, (2,), widths=()).double()
    z, w = torch.randn(2, 5, 2, dtype=torch.float64) * 1e6
    origin = generator(torch.zeros(1, 2, dtype=torch.float64))
    assert_close(generator(2 * z - 3 * w) - origin, 2 * (generator(z) - origin) - 3 * (generator(w) - origin))
    assert generator(z).abs().max() > 1e4


@pytest.mark.parametrize("name", SMALL)
def test_samples_of_a_batch_do_not_mix_in_evaluation(name: str) -> None:
    make, options, shape = SMALL[name]
    network = make(**options).eval()
    inputs = torch.randn(5, *shape)
    with torch.no_grad():
        alone = torch.cat([network(one[None]) for one in inputs])
        assert_close(network(inputs), alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("overrides", "size", "named"),
    [
        (("model=dcgan",), 30, "model.resolution must be a multiple of 4 .*got 30"),
        (("model=dcgan", "model.generator.widths=[8,8,8]"), 28, "model.resolution must be a multiple of 8 .*got 28"),
        (("model=dcgan", "model.generator.widths=[]"), 28, r"model\.generator\.widths"),
        (("model=dcgan64",), 32, r"model\.generator\.widths has 4 .*64 pixels, and model\.resolution is 32"),
        (("model=dcgan64", "model.generator.widths=[8]"), 64, r"model\.generator\.widths has 1 .*8 pixels"),
        (("model=dcgan64", "model.generator.last_stride=1"), 64, r"model\.generator\.widths has 4 .*32 pixels"),
        (("model=dcgan3x3",), 30, "model.resolution must be a multiple of 4 .*got 30"),
        (("model=subpixel",), 30, "model.resolution must be a multiple of 4 .*got 30"),
        (("model=subpixel", "model.generator.widths=[]"), 28, r"model\.generator\.widths must have at least one"),
        (("model=dcgan3x3", "model.generator.widths=[8]"), 28, r"model\.generator\.widths must have two"),
    ],
)
def test_generator_of_a_wrong_resolution_is_refused_with_the_key_named(
    overrides: Sequence[str], size: int, named: str, compose: Compose
) -> None:
    config = compose(*overrides)
    with pytest.raises(Refused, match=named), torch.device("meta"):
        build_generator(config, DataFacts((1, size, size)), Streams(0, CPU))


@pytest.mark.parametrize(
    ("overrides", "size", "named"),
    [
        (("model=dcgan",), 12, r"model\.discriminator\.widths has 2 .*12 pixels.*model\.resolution"),
        (("model=dcgan", "model.discriminator.widths=[8,8,8]"), 28, r"model\.discriminator\.widths has 3 .*28 pixels"),
        (("model=dcgan64",), 32, r"model\.discriminator\.widths has 4 .*64 pixels, and model\.resolution is 32"),
        (("model=dcgan3x3",), 30, "model.resolution must be a multiple of 4 .*got 30"),
        (("model=subpixel",), 30, "model.resolution must be a multiple of 4 .*got 30"),
        (("model=subpixel", "model.discriminator.widths=[8]"), 28, r"model\.discriminator\.widths must have two"),
        (("model=dcgan3x3", "model.discriminator.widths=[8]"), 28, r"model\.discriminator\.widths must have two"),
    ],
)
def test_discriminator_of_a_wrong_resolution_is_refused_with_the_key_named(
    overrides: Sequence[str], size: int, named: str, compose: Compose
) -> None:
    config = compose(*overrides)
    with pytest.raises(Refused, match=named), torch.device("meta"):
        build_discriminator(config, DataFacts((1, size, size)), Streams(0, CPU))


@pytest.mark.parametrize("size", [16, 20, 28, 32, 64])
def test_dcgan_takes_every_multiple_of_four_from_sixteen_up(size: int) -> None:
    with torch.device("meta"):
        images = DCGANGenerator(4, (3, size, size))(torch.empty(2, 4))
        assert images.shape == (2, 3, size, size)
        assert DCGANDiscriminator((3, size, size))(images).shape == (2,)


# Initial weights.


def everything() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(60, 80), nn.Conv2d(30, 20, 5), nn.ConvTranspose2d(40, 20, 4), nn.BatchNorm1d(9), nn.BatchNorm2d(9)
    )


def weights(network: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in network.state_dict().values()]


def test_default_scheme_leaves_what_pytorch_drew() -> None:
    network = everything()
    before = weights(network)
    initialize(network, "default", 0.02)
    assert all(torch.equal(old, new) for old, new in zip(before, weights(network), strict=True))


def test_xavier_draws_linear_and_transposed_weights_within_its_bound_and_changes_nothing_else() -> None:
    torch.manual_seed(3)
    network = everything()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    initialize(network, "xavier", 0.02)
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"0.weight", "2.weight"}
    # Glorot and Bengio 2010, equation (16): U(-a, a), a = sqrt(6 / (fan_in + fan_out)); a fan is channels × 4 × 4.
    for weight, fans in ((network[0].weight, 60 + 80), (network[2].weight, (40 + 20) * 16)):
        bound = math.sqrt(6 / fans)
        assert weight.abs().max() <= bound
        assert weight.abs().max() > 0.99 * bound
        assert abs(weight.mean()) < 5 * bound / math.sqrt(3 * weight.numel())
        # The variance of U(-a, a) is a²/3; a sample's has the relative standard error sqrt(0.8 / n).
        assert weight.var().item() == pytest.approx(bound**2 / 3, rel=5 * math.sqrt(0.8 / weight.numel()))


@pytest.mark.parametrize("std", [0.02, 0.5])
def test_normal_scheme_draws_weights_of_its_standard_deviation_and_zeroes_biases(std: float) -> None:
    torch.manual_seed(4)
    network = everything()
    initialize(network, "normal", std)
    for layer in network[:3]:
        n = layer.weight.numel()
        assert abs(layer.weight.mean()) < 5 * std / math.sqrt(n)
        assert layer.weight.std().item() == pytest.approx(std, rel=5 / math.sqrt(2 * n))
        assert layer.weight.abs().max() > 3 * std  # not uniform
        assert torch.equal(layer.bias, torch.zeros_like(layer.bias))
    for norm in network[3:]:
        assert torch.equal(norm.weight, torch.ones(9))
        assert torch.equal(norm.bias, torch.zeros(9))


def test_initial_weights_take_gradients() -> None:
    for scheme in ("xavier", "normal"):
        network = everything()
        initialize(network, scheme, 0.02)
        assert all(parameter.requires_grad and parameter.is_leaf for parameter in network.parameters())


OPTIONS = ("model.generator.widths=[4]", "model.discriminator.widths=[4]", "data=gaussian2d", "latent.dim=3")


@pytest.mark.parametrize("init", ["default", "xavier", "orthogonal", "normal"])
@pytest.mark.parametrize("build", [build_generator, build_discriminator])
def test_initial_weights_depend_on_the_seed_and_not_on_the_global_generator(
    build: Callable[..., nn.Module], init: str, compose: Compose
) -> None:
    config = compose(*OPTIONS, f"model.init={init}")
    drawn = []
    for seed, before in ((7, 1), (7, 2), (8, 2)):
        torch.manual_seed(before)
        state = torch.get_rng_state()
        drawn.append(weights(build(config, DataFacts((2,)), Streams(seed, CPU))))
        assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one, other) for one, other in zip(drawn[0], drawn[1], strict=True))
    assert not any(torch.equal(one, other) for one, other in zip(drawn[0], drawn[2], strict=True) if one.any())


def test_initial_weights_of_one_network_do_not_depend_on_the_other(compose: Compose) -> None:
    streams = Streams(0, CPU)
    one = compose(*OPTIONS)
    other = compose(*OPTIONS, "model.discriminator.widths=[9,9]")
    build_discriminator(other, DataFacts((2,)), streams)
    for ours, theirs in zip(
        weights(build_generator(one, DataFacts((2,)), streams)),
        weights(build_generator(other, DataFacts((2,)), streams)),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


def test_both_networks_draw_from_streams_of_their_own(compose: Compose) -> None:
    # Equal shapes: with one stream for both they would start alike.
    config = compose(*OPTIONS, "latent.dim=2", "model.generator.activation=leaky_relu")
    first = [
        next(iter(build(config, DataFacts((2,)), Streams(0, CPU)).parameters()))
        for build in (build_generator, build_discriminator)
    ]
    assert first[0].shape == first[1].shape
    assert not torch.equal(first[0], first[1])


def test_layers_of_equal_shape_start_from_different_weights() -> None:
    network = MLPGenerator(5, (5,), widths=(5, 5, 5))
    initialize(network, "normal", 0.02)
    matrices = [parameter for parameter in network.parameters() if parameter.dim() == 2]
    assert not any(torch.equal(one, other) for one, other in pairwise(matrices))


@pytest.mark.parametrize(
    "make", [lambda: nn.Linear(12, 5), lambda: nn.Conv2d(3, 40, 3), lambda: nn.ConvTranspose2d(8, 4, 3)]
)
def test_orthogonal_weights_are_orthogonal_along_their_shorter_side(make: Callable[[], nn.Module]) -> None:
    layer = make().double()
    initialize(layer, "orthogonal", 0.02)
    assert isinstance(layer.weight, Tensor)
    assert isinstance(layer.bias, Tensor)
    matrix = layer.weight.detach().flatten(1)
    matrix = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    assert_close(matrix @ matrix.T, torch.eye(len(matrix), dtype=torch.float64), rtol=0, atol=1e-12)
    assert not layer.bias.any()
