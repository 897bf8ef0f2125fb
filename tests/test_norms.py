"""Every norm normalizes what its name says, keeps samples apart unless it is batch, and can be drawn and stored."""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from conftest import TINY
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.testing import assert_close

from gan_cli import checkpoint
from gan_cli.build import build
from gan_cli.errors import Refused
from gan_cli.models.dcgan import DCGANDiscriminator
from gan_cli.models.dcgan3x3 import DCGAN3x3Discriminator
from gan_cli.models.dcgan64 import DCGAN64Discriminator
from gan_cli.models.initialize import initialize
from gan_cli.models.layers import map_norm, vector_norm, weighted
from gan_cli.models.mlp import MLPDiscriminator
from gan_cli.models.subpixel import SubpixelDiscriminator
from gan_cli.networks import DataFacts, build_discriminator
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config
from gan_cli.streams import Streams
from gan_cli.target_options import Norm

Compose = Callable[..., Config]

CPU = torch.device("cpu")
EPS = 1e-5  # PyTorch's, in every normalization

# Wide enough for several groups of 16, so that no two norms are the same.
NETWORKS: dict[str, tuple[Callable[..., nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda **o: MLPDiscriminator((6,), (48, 32), **o), (6,)),
    "dcgan": (lambda **o: DCGANDiscriminator((3, 16, 16), 48, (32, 32), **o), (3, 16, 16)),
    "dcgan64": (lambda **o: DCGAN64Discriminator((3, 16, 16), (32, 48), **o), (3, 16, 16)),
    "dcgan3x3": (lambda **o: DCGAN3x3Discriminator((3, 16, 16), (32, 48), **o), (3, 16, 16)),
    "subpixel": (lambda **o: SubpixelDiscriminator((3, 16, 16), (32, 48), 32, **o), (3, 16, 16)),
}
NORMS = [norm.name for norm in Norm]
CASES = [(name, norm) for name in NETWORKS for norm in NORMS if (name, norm) != ("mlp", "instance")]
SCHEMES = ["default", "xavier", "normal"]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def uneven(*shape: int) -> Tensor:
    """Numbers, float64, whose mean and scale differ from sample to sample and from channel to channel."""
    each = (*shape[:2], *[1] * (len(shape) - 2))
    scale, shift = torch.randn(2, *each, dtype=torch.float64)
    return shift + scale.exp() * torch.randn(*shape, dtype=torch.float64)


# Whether samples mix. A copy for each pass, because a pass in training moves what a network keeps beside its weights.


@pytest.mark.parametrize(("name", "norm"), [case for case in CASES if case[1] != "batch"])
def test_logit_of_a_sample_does_not_depend_on_its_batch(name: str, norm: str) -> None:
    make, shape = NETWORKS[name]
    network, inputs = make(norm=norm).double(), uneven(8, *shape)
    assert network.training
    together = deepcopy(network)(inputs)
    alone = torch.cat([deepcopy(network)(one[None]) for one in inputs])
    assert_close(together, alone, rtol=1e-9, atol=1e-12)
    assert together.std() > 1e-3  # a constant would depend on nothing


@pytest.mark.parametrize("name", NETWORKS)
def test_logit_of_a_sample_depends_on_its_batch_with_batchnorm(name: str) -> None:
    make, shape = NETWORKS[name]
    network, (one, others, yet_others) = make(norm="batch").double(), uneven(9, *shape).split((1, 4, 4))
    logits = [deepcopy(network)(torch.cat([one, rest]))[0] for rest in (others, yet_others)]
    assert (logits[0] - logits[1]).abs() > 1e-3


# What is normalized: rows of numbers that share a mean and a variance.

ROWS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "batch": lambda x, _: x.transpose(0, 1).flatten(1),  # a channel, over samples and places
    "layer": lambda x, _: x.flatten(1),  # a sample
    "instance": lambda x, _: x.flatten(2).flatten(0, 1),  # a channel of a sample
    "group": lambda x, size: x.reshape(x.shape[0] * x.shape[1] // size, -1),  # neighbouring channels of a sample
}
# 16 channels a group, or the next larger number that divides them all.
GROUP_SIZES = [(16, 16), (32, 16), (48, 16), (24, 24), (40, 20), (72, 18), (7, 7)]


def assert_normalized(rows: Tensor, normalized: Tensor) -> None:
    mean, variance = rows.mean(1, keepdim=True), rows.var(1, correction=0, keepdim=True)
    assert_close(normalized.mean(1), torch.zeros(len(rows), dtype=torch.float64), rtol=0, atol=1e-12)
    assert_close(normalized.var(1, correction=0), (variance / (variance + EPS)).flatten())
    assert_close(normalized, (rows - mean) / (variance + EPS).sqrt())


@pytest.mark.parametrize(("channels", "size"), GROUP_SIZES)
@pytest.mark.parametrize("norm", ROWS)
def test_maps_get_mean_zero_and_variance_one_over_what_the_norm_is_named_for(
    norm: str, channels: int, size: int
) -> None:
    (layer,), maps = map_norm(norm, channels), uneven(5, channels, 4, 3)
    assert_normalized(ROWS[norm](maps, size), ROWS[norm](layer.double()(maps), size))


@pytest.mark.parametrize(("features", "size"), GROUP_SIZES)
@pytest.mark.parametrize(("norm", "over"), [("batch", "batch"), ("layer", "layer"), ("group", "group")])
def test_vectors_get_mean_zero_and_variance_one_over_what_the_norm_is_named_for(
    norm: str, over: str, features: int, size: int
) -> None:
    (layer,), vectors = vector_norm(norm, features), uneven(5, features)
    assert_normalized(ROWS[over](vectors, size), ROWS[over](layer.double()(vectors), size))


def test_vectors_beside_normalized_maps_take_layer_for_instance() -> None:
    (layer,), vectors = vector_norm("instance", 48), uneven(5, 48)
    assert_normalized(vectors, layer.double()(vectors))


@pytest.mark.parametrize("make", [map_norm, vector_norm])
@pytest.mark.parametrize("norm", ROWS)
def test_every_norm_learns_a_scale_and_a_shift_for_each_channel(
    norm: str, make: Callable[[str, int], list[nn.Module]]
) -> None:
    (layer,), inputs = make(norm, 32), uneven(5, 32, *([4, 3] if make is map_norm else []))
    layer.double()
    normalized = deepcopy(layer)(inputs)
    scale, shift = torch.randn(2, 32, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(scale)
        layer.bias.copy_(shift)
    channels = (1, 32, *[1] * (inputs.dim() - 2))
    assert_close(layer(inputs), normalized * scale.reshape(channels) + shift.reshape(channels))


@pytest.mark.parametrize("norm", ["none", "spectral"])
def test_nothing_stands_behind_layers_without_a_norm_or_with_one_on_their_weights(norm: str) -> None:
    assert map_norm(norm, 32) == []
    assert vector_norm(norm, 32) == []


# Where the norms stand.

LISTS = {
    "mlp": "Flatten Linear {vector} LeakyReLU Linear {vector} LeakyReLU Linear Flatten",
    "dcgan": "Conv2d {map} MaxPool2d LeakyReLU Conv2d {map} MaxPool2d LeakyReLU Flatten "
    "Linear {vector} LeakyReLU Linear Flatten",
    "dcgan64": "Conv2d {map} LeakyReLU Conv2d {map} LeakyReLU Conv2d Flatten",
    "dcgan3x3": "Conv2d {map} LeakyReLU Conv2d {map} LeakyReLU Flatten Linear Flatten",
    "subpixel": "Conv2d {map} LeakyReLU Conv2d {map} LeakyReLU Flatten Linear {vector} LeakyReLU Linear Flatten",
}
KINDS = {
    "none": ("", ""),
    "batch": ("BatchNorm2d", "BatchNorm1d"),
    "layer": ("GroupNorm", "LayerNorm"),
    "instance": ("InstanceNorm2d", "LayerNorm"),
    "group": ("GroupNorm", "GroupNorm"),
    "spectral": ("", ""),
}


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_norm_stands_before_each_activation_and_not_behind_the_last_layer(name: str, norm: str) -> None:
    of_maps, of_vectors = KINDS[norm]
    listed = [type(module).__name__.removeprefix("Parametrized") for module in NETWORKS[name][0](norm=norm).layers]
    assert listed == LISTS[name].format(map=of_maps, vector=of_vectors).split()


@pytest.mark.parametrize("norm", NORMS)
def test_hidden_convolutions_of_dcgan64_have_a_bias_exactly_where_no_norm_behind_them_has_one(norm: str) -> None:
    layers = list(DCGAN64Discriminator((3, 16, 16), (32, 48), norm=norm).layers)
    *hidden, last = [place for place, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    for place in hidden:
        behind = layers[place + 1]
        assert (layers[place].bias is None) == (getattr(behind, "bias", None) is not None)
    assert layers[last].bias is None  # as published, whatever the norm


@pytest.mark.parametrize(("norm_from", "normalized"), [(0, [32, 48, 64]), (1, [48, 64]), (2, [64]), (3, [])])
def test_norms_of_dcgan64_begin_where_norm_from_says_and_biases_do_not_depend_on_it(
    norm_from: int, normalized: list[int]
) -> None:
    layers = DCGAN64Discriminator((3, 32, 32), (32, 48, 64), norm_from=norm_from).layers
    assert [layer.num_features for layer in layers if isinstance(layer, nn.BatchNorm2d)] == normalized
    assert all(layer.bias is None for layer in layers if isinstance(layer, nn.Conv2d))


# The networks of earlier versions, whose checkpoints must go on fitting: same names, and same numbers from a seed.

PUBLISHED: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "mlp": (
        "none",
        lambda: nn.Sequential(
            nn.Flatten(),
            *(nn.Linear(6, 48), nn.LeakyReLU(0.01)),
            *(nn.Linear(48, 32), nn.LeakyReLU(0.01)),
            *(nn.Linear(32, 1), nn.Flatten(0)),
        ),
    ),
    "dcgan": (
        "none",
        lambda: nn.Sequential(
            *(nn.Conv2d(3, 32, 5), nn.LeakyReLU(0.01), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 32, 5), nn.LeakyReLU(0.01), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(32, 48), nn.LeakyReLU(0.01), nn.Linear(48, 1), nn.Flatten(0)),
        ),
    ),
    "dcgan64": (
        "batch",
        lambda: nn.Sequential(
            *(nn.Conv2d(3, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(32, 48, 4, 2, 1, bias=False), nn.BatchNorm2d(48), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(48, 1, 4, bias=False), nn.Flatten(0)),
        ),
    ),
}


@pytest.mark.parametrize("named", [False, True], ids=["default", "named"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_norm_is_the_default_and_leaves_names_and_initial_values_as_they_were(name: str, named: bool) -> None:
    norm, make_reference = PUBLISHED[name]
    torch.manual_seed(5)
    ours = NETWORKS[name][0](**({"norm": norm} if named else {})).state_dict()
    torch.manual_seed(5)
    theirs = {f"layers.{key}": tensor for key, tensor in make_reference().state_dict().items()}
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


# Spectral normalization.


@pytest.mark.parametrize("norm", [norm for norm in NORMS if norm != "spectral"])
def test_weights_are_left_alone_by_every_norm_but_spectral(norm: str) -> None:
    layer = nn.Linear(4, 3)
    weight = layer.weight
    assert weighted(layer, norm) is layer
    assert layer.weight is weight


@pytest.mark.parametrize(
    "make", [lambda: nn.Linear(12, 5), lambda: nn.Conv2d(3, 5, 2), lambda: nn.Conv2d(1, 7, 2, bias=False)]
)
def test_spectral_norm_divides_a_matrix_of_rank_one_by_its_only_singular_value(make: Callable[[], nn.Module]) -> None:
    layer = make().double()
    rows, columns = layer.weight.flatten(1).shape  # (out, everything else)
    direction = normalize(torch.randn(rows, 1), dim=0) @ normalize(torch.randn(1, columns), dim=1)
    direction = direction.double().reshape(layer.weight.shape)
    with torch.no_grad():
        layer.weight.copy_(7 * direction)
    assert_close(weighted(layer, "spectral").eval().weight, direction, rtol=1e-6, atol=1e-7)


def test_a_pass_in_training_is_one_power_iteration_and_one_in_evaluation_none() -> None:
    layer, inputs = weighted(nn.Linear(6, 5).double(), "spectral"), torch.randn(2, 6, dtype=torch.float64)
    spectral, original = layer.parametrizations.weight[0], layer.parametrizations.weight.original
    for _ in range(3):
        u = normalize(original @ spectral._v, dim=0)
        v = normalize(original.T @ u, dim=0)
        outputs = layer.train()(inputs)
        assert_close(outputs, inputs @ (original / (u @ original @ v)).T + layer.bias)
        assert torch.equal(layer.eval()(inputs), outputs)
        assert_close((spectral._u, spectral._v), (u.detach(), v.detach()))


def spectral_layers(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if parametrize.is_parametrized(module, "weight")]


def originals(network: nn.Module) -> list[Tensor]:
    return [module.parametrizations.weight.original for module in spectral_layers(network)]


def initialized(name: str, scheme: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """A spectrally normalized network, and its state before it was initialized."""
    network = NETWORKS[name][0](norm="spectral")
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    initialize(network, scheme, 0.02)
    return network, before


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", NETWORKS)
def test_largest_singular_value_of_every_weight_is_one_after_some_passes(name: str, scheme: str) -> None:
    network, _ = initialized(name, scheme)
    assert {id(weight) for weight in originals(network)} == {id(p) for p in network.parameters() if p.dim() > 1}
    drawn = [weight.detach().clone() for weight in originals(network)]

    def largest() -> list[float]:
        network.eval()  # reading a weight in training is a power iteration
        return [torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() for layer in spectral_layers(network)]

    # Not above 1 by much from the start: 15 iterations are made with the weights that were drawn last.
    assert all(1 - 1e-5 < value < 1.2 for value in largest())
    inputs = torch.randn(1, *NETWORKS[name][1])
    with torch.no_grad():
        for passes in range(2000):  # enough, too, where the two largest singular values are nearly equal
            if passes % 100 == 0 and max(largest()) < 1 + 5e-4:
                break
            network.train()(inputs)
    assert largest() == pytest.approx([1.0] * len(drawn), abs=1e-3)
    for layer, weight in zip(spectral_layers(network), drawn, strict=True):
        assert_close(layer.weight.detach(), weight / torch.linalg.matrix_norm(weight.flatten(1), 2), rtol=2e-3, atol=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_default_scheme_leaves_a_spectral_network_as_it_was(name: str) -> None:
    network, before = initialized(name, "default")
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)


@pytest.mark.parametrize("name", NETWORKS)
def test_normal_scheme_draws_the_weight_behind_a_spectral_one(name: str) -> None:
    network, before = initialized(name, "normal")
    assert list(network.state_dict()) == list(before)
    for weight in originals(network):
        assert weight.std().item() == pytest.approx(0.02, rel=5 / math.sqrt(2 * weight.numel()))
        assert abs(weight.mean()) < 5 * 0.02 / math.sqrt(weight.numel())
    assert not any(p.any() for key, p in network.named_parameters() if key.endswith("bias"))
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_xavier_draws_the_weights_behind_spectral_linear_layers_and_leaves_convolutions(name: str) -> None:
    network, before = initialized(name, "xavier")
    assert list(network.state_dict()) == list(before)
    for key, parameter in network.named_parameters():
        linear = parameter.dim() == 2
        assert torch.equal(parameter, before[key]) == (not linear)
        if linear:
            # Glorot and Bengio 2010, equation (16); the variance of U(-a, a) is a²/3, its relative error sqrt(0.8 / n).
            bound, count = math.sqrt(6 / sum(parameter.shape)), parameter.numel()
            assert 0.9 * bound < parameter.abs().max() <= bound
            assert parameter.var().item() == pytest.approx(bound**2 / 3, rel=5 * math.sqrt(0.8 / count))
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in network.parameters())


# Where networks go: into checkpoints, and to the meta device.


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_state_of_a_network_makes_another_go_on_exactly_as_it_would_have(name: str, norm: str) -> None:
    make, shape = NETWORKS[name]
    one, other = make(norm=norm), make(norm=norm)
    inputs = torch.randn(4, *shape)
    for _ in range(3):
        one(inputs)
    other.load_state_dict({key: tensor.clone() for key, tensor in one.state_dict().items()})
    for training in (True, True, False):  # what a pass leaves behind is taken up by the next
        assert torch.equal(one.train(training)(inputs), other.train(training)(inputs))


@pytest.mark.parametrize("norm", ["batch", "layer", "group", "spectral"])
def test_resumed_run_with_a_norm_ends_in_the_state_of_the_uninterrupted_one(
    norm: str, compose: Compose, tmp_path: Path
) -> None:
    config = compose(*TINY, "model.discriminator.widths=[16]", f"model.discriminator.norm={norm}", "model.init=normal")
    straight, resumed = (build(config, RunDirectory(tmp_path)) for _ in range(2))
    for _ in range(3):
        straight.advance()
    checkpoint.save(tmp_path / "c.safetensors", straight.state())
    resumed.restore(checkpoint.load(tmp_path / "c.safetensors"))
    for run in (straight, resumed):
        for _ in range(3):
            run.advance()
    ours, theirs = resumed.state().tensors, straight.state().tensors
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize(
    ("name", "norm", "scheme"),
    [
        *((*case, "normal") for case in CASES),
        *((name, "spectral", scheme) for name in NETWORKS for scheme in SCHEMES[:2]),
    ],
)
def test_networks_on_the_meta_device_have_the_state_of_real_ones_without_its_numbers(
    name: str, norm: str, scheme: str
) -> None:
    networks = []
    for device in ("cpu", "meta"):
        with torch.device(device):
            networks.append(NETWORKS[name][0](norm=norm))
            initialize(networks[-1], scheme, 0.02)
    real, meta = (network.state_dict() for network in networks)
    assert [(key, t.shape, t.dtype) for key, t in real.items()] == [(key, t.shape, t.dtype) for key, t in meta.items()]
    assert all(tensor.is_meta for tensor in meta.values())


# What is refused.


@pytest.mark.parametrize("norm", ["layer", "group", "instance"])
@pytest.mark.parametrize("features", [1, 2])
def test_normalizing_one_or_two_numbers_is_refused_for_it_leaves_a_sign_at_most(norm: str, features: int) -> None:
    with pytest.raises(
        ValueError, match=f"norm={norm} needs layers of three features or more, got a width of {features}"
    ):
        vector_norm(norm, features)
    assert len(vector_norm(norm, 3)) == 1


@pytest.mark.parametrize("norm", ["layer", "group"])
def test_normalized_critics_of_odd_widths_still_tell_samples_apart(norm: str) -> None:
    torch.manual_seed(0)
    logits = MLPDiscriminator((2,), widths=(5, 3), norm=norm)(torch.randn(64, 2))
    assert float(logits.detach().std()) > 1e-3


@pytest.mark.parametrize("scheme", ["xavier", "normal"])
def test_other_parametrizations_are_initialized_through_what_they_compute(scheme: str) -> None:
    torch.manual_seed(0)
    layer = weight_norm(nn.Linear(64, 64))
    initialize(layer, scheme, 0.02)
    bound = {"xavier": (6 / 128) ** 0.5, "normal": 0.02 * 6}[scheme]
    std = {"xavier": bound / 3**0.5, "normal": 0.02}[scheme]
    assert float(layer.weight.detach().abs().max()) < bound * 1.0001
    assert float(layer.weight.detach().std()) == pytest.approx(std, rel=0.05)
    assert "_SpectralNorm" not in str(layer.parametrizations)


def test_a_spectral_norm_keeps_its_own_number_of_power_iterations_when_it_is_initialized() -> None:
    layer = spectral_norm(nn.Linear(4, 4), n_power_iterations=5)
    initialize(layer, "normal", 0.02)
    assert layer.parametrizations.weight[0].n_power_iterations == 5


UNKNOWN = "norm must be none, batch, layer, instance, group or spectral, got 'swish'"


@pytest.mark.parametrize(
    "make", [map_norm, vector_norm, *(lambda norm, _, n=n: NETWORKS[n][0](norm=norm) for n in NETWORKS)]
)
def test_unknown_norm_is_refused_with_the_known_ones(make: Callable[[str, int], object]) -> None:
    with pytest.raises(ValueError, match=UNKNOWN):
        make("swish", 32)


@pytest.mark.parametrize("widths", [(), (32,)])
def test_instance_norm_of_vectors_is_refused_with_an_override_that_helps(widths: Sequence[int]) -> None:
    with pytest.raises(ValueError, match=r"model\.discriminator\.norm=layer or group"):
        MLPDiscriminator((6,), widths, norm="instance")


def test_instance_norm_in_the_configuration_of_an_mlp_is_refused_as_a_mistake_of_the_user(compose: Compose) -> None:
    config = compose(*TINY, "model.discriminator.norm=instance")
    with pytest.raises(Refused, match=r"^model\.discriminator: norm=instance .*model\.discriminator\.norm=layer"):
        build_discriminator(config, DataFacts((2,)), Streams(0, CPU))
