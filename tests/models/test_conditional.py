"""Labels enter the networks as the papers' formulas say, in every model and every way, and nowhere else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.testing import assert_close

from gan_cli.models.conditional import ConditionalBatchNorm, JoinLabels, LabelledSequential, ProjectionHead
from gan_cli.models.dcgan import DCGANDiscriminator, DCGANGenerator
from gan_cli.models.dcgan3x3 import DCGAN3x3Discriminator, DCGAN3x3Generator
from gan_cli.models.dcgan64 import DCGAN64Discriminator, DCGAN64Generator
from gan_cli.models.mlp import MLPDiscriminator, MLPGenerator
from gan_cli.models.r3gan import R3GANDiscriminator, R3GANGenerator
from gan_cli.models.subpixel import SubpixelDiscriminator, SubpixelGenerator
from gan_cli.traits import critic_traits

CLASSES = 3
LABELS = torch.tensor([2, 0, 1, 1, 0, 2])
EXACT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def shake(network: nn.Module) -> nn.Module:
    """The network with every parameter drawn anew, so that nothing is 0, 1 or equal by construction."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


# The layers.


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(4,), (2, 3, 5)], ids=["vectors", "images"])
def test_join_labels_puts_a_one_and_zeros_behind_the_input_at_every_place(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    inputs = torch.randn(len(LABELS), *shape).to(dtype)
    joined = JoinLabels(CLASSES)(inputs, LABELS)
    assert joined.dtype == dtype
    assert joined.shape == (len(LABELS), shape[0] + CLASSES, *shape[1:])
    assert torch.equal(joined[:, : shape[0]], inputs)
    for sample, label in enumerate(LABELS.tolist()):
        for plane in range(CLASSES):
            expected = torch.full(shape[1:], float(plane == label), dtype=dtype)
            assert torch.equal(joined[sample, shape[0] + plane], expected)


KINDS = {
    "vectors": (nn.BatchNorm1d, (4,)),
    "maps": (nn.BatchNorm2d, (4, 3, 2)),
}


def conditional_norm(kind: str) -> ConditionalBatchNorm:
    return ConditionalBatchNorm(KINDS[kind][0](4, affine=False), 4, CLASSES).double()


@pytest.mark.parametrize("kind", KINDS)
def test_conditional_batch_norm_starts_as_one_without_scale_and_shift(kind: str) -> None:
    make, shape = KINDS[kind]
    layer, plain = conditional_norm(kind), make(4, affine=False).double()
    inputs = 3 + 2 * torch.randn(6, *shape, dtype=torch.float64)
    assert torch.equal(layer(inputs, LABELS), plain(inputs))
    assert torch.equal(layer.eval()(inputs, LABELS), plain.eval()(inputs))


@pytest.mark.parametrize("kind", KINDS)
def test_conditional_batch_norm_of_equal_classes_is_batch_norm(kind: str) -> None:
    make, shape = KINDS[kind]
    layer, plain = conditional_norm(kind), make(4).double()
    with torch.no_grad():
        plain.weight.copy_(torch.randn(4))
        plain.bias.copy_(torch.randn(4))
        layer.scale.weight.copy_(plain.weight.expand(CLASSES, -1))
        layer.shift.weight.copy_(plain.bias.expand(CLASSES, -1))
    for batch in range(3):
        inputs = batch + 2 * torch.randn(6, *shape, dtype=torch.float64)
        assert_close(layer(inputs, LABELS.roll(batch)), plain(inputs), **EXACT)
    for name, statistic in plain.named_buffers():
        assert torch.equal(layer.norm.get_buffer(name), statistic), name
    assert_close(layer.eval()(inputs, LABELS), plain.eval()(inputs), **EXACT)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("kind", KINDS)
def test_conditional_batch_norm_scales_by_class_what_it_normalizes_over_all_classes(kind: str, training: bool) -> None:
    layer = shake(conditional_norm(kind)).train(training)
    inputs = 1 + 2 * torch.randn(6, *KINDS[kind][1], dtype=torch.float64)
    layer.norm.running_mean.copy_(torch.tensor([0.5, -1.0, 2.0, 0.0]))
    layer.norm.running_var.copy_(torch.tensor([0.5, 1.0, 2.0, 4.0]))
    mean, variance = layer.norm.running_mean.tolist(), layer.norm.running_var.tolist()
    expected = torch.empty_like(inputs)
    for channel in range(4):
        if training:
            values = inputs[:, channel].flatten()
            mean[channel] = values.sum() / values.numel()
            variance[channel] = (values - mean[channel]).square().sum() / values.numel()
        for sample, label in enumerate(LABELS.tolist()):
            normalized = (inputs[sample, channel] - mean[channel]) / (variance[channel] + 1e-5) ** 0.5
            scale, shift = layer.scale.weight[label, channel], layer.shift.weight[label, channel]
            expected[sample, channel] = (scale * normalized + shift).detach()
    assert_close(layer(inputs, LABELS), expected, **EXACT)


HEADS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "vectors": (lambda: nn.Linear(5, 1), (5,)),
    "maps": (lambda: nn.Conv2d(5, 1, (3, 2), bias=False), (5, 3, 2)),
}


def projection(kind: str, norm: str) -> ProjectionHead:
    layer = ProjectionHead(HEADS[kind][0](), 5, CLASSES, norm).double()
    for _ in range(200):  # a power iteration each, where there is a spectral norm
        layer(torch.randn(len(LABELS), *HEADS[kind][1], dtype=torch.float64), LABELS)
    return layer.eval()


@pytest.mark.parametrize("norm", ["none", "spectral"])
@pytest.mark.parametrize("kind", HEADS)
def test_projection_head_adds_the_product_of_a_classs_vector_and_the_features_summed_over_places(
    kind: str, norm: str
) -> None:
    layer = projection(kind, norm)
    features = torch.randn(6, *HEADS[kind][1], dtype=torch.float64)
    vectors = (layer.embedding.parametrizations.weight.original if norm == "spectral" else layer.embedding.weight).data
    if norm == "spectral":
        vectors = vectors / torch.linalg.svdvals(vectors)[0]
    expected = layer.output(features).detach().reshape(-1, 1)
    for h, label, logit in zip(features, LABELS.tolist(), expected, strict=True):
        for channel in range(5):
            for value in h[channel].flatten():
                logit += vectors[label, channel] * value
    assert_close(layer(features, LABELS).detach(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("norm", ["none", "spectral"])
@pytest.mark.parametrize("kind", HEADS)
def test_spectral_norm_of_a_projection_head_bounds_its_vectors_and_nothing_else_does(kind: str, norm: str) -> None:
    layer = ProjectionHead(HEADS[kind][0](), 5, CLASSES, norm)
    with torch.no_grad():
        (layer.embedding.parametrizations.weight.original if norm == "spectral" else layer.embedding.weight).mul_(40)
    for _ in range(200):
        layer.embedding(LABELS)
    largest = torch.linalg.svdvals(layer.embedding.weight)[0].item()
    assert largest == pytest.approx(1, abs=1e-5) if norm == "spectral" else largest > 10


@pytest.mark.parametrize("features", [16, 400])
def test_vectors_of_a_projection_head_start_with_a_length_of_about_one(features: int) -> None:
    vectors = ProjectionHead(nn.Linear(features, 1), features, 100).embedding.weight
    # ‖v‖² is chi-squared over its degrees of freedom: mean 1, standard deviation sqrt(2 / features), of 100 the tenth.
    assert vectors.square().sum(1).mean().item() == pytest.approx(1, abs=5 * (2 / features) ** 0.5 / 10)


def test_labels_reach_the_layers_that_take_them_and_pass_by_the_others() -> None:
    layers = LabelledSequential(nn.Flatten(), JoinLabels(CLASSES), nn.Identity(), JoinLabels(CLASSES))
    hot = one_hot(LABELS, CLASSES).float()
    inputs = torch.randn(6, 2, 2)
    assert torch.equal(layers(inputs, LABELS), torch.cat([inputs.flatten(1), hot, hot], 1))
    assert torch.equal(LabelledSequential(nn.Flatten())(inputs), inputs.flatten(1))


# The networks.


@dataclass(frozen=True)
class Case:
    """A small network of a model.

    Attributes:
        shape: of an input.
        concat: how many parameters a class more costs where the label stands beside the input.
        projection: how many it costs where the label enters the last layer or the BatchNorms.
        free: the scales and shifts that conditional BatchNorms do away with.
        std: how many parameters minibatch_std adds.
        std_projection: how many of these for each class of a projection.
    """

    make: Callable[..., nn.Module]
    options: Mapping[str, Any]
    shape: tuple[int, ...]
    concat: int
    projection: int
    free: int = 0
    std: int = 0
    std_projection: int = 0
    norms: tuple[str, ...] = ()
    wide: Callable[..., Mapping[str, Any]] = lambda _: {}


def wider(**replaced: Any) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    return lambda options: {**options, **replaced}


MAP_NORMS = ("none", "batch", "layer", "instance", "group", "spectral")
IMAGE, PLANES = (1, 16, 16), (1 + CLASSES, 16, 16)
Z, ZC = 5, 5 + CLASSES
R3 = {"blocks": 1, "group_size": 4}
GENERATORS = {
    "mlp G": Case(
        MLPGenerator,
        {"latent_dim": Z, "sample_shape": (1, 4, 4), "widths": (6, 7)},
        (Z,),
        concat=6,
        projection=6,
        wide=wider(latent_dim=ZC),
    ),
    "affine G": Case(
        MLPGenerator,
        {"latent_dim": Z, "sample_shape": (2,), "widths": ()},
        (Z,),
        concat=2,
        projection=2,
        wide=wider(latent_dim=ZC),
    ),
    "dcgan G": Case(
        DCGANGenerator,
        {"latent_dim": Z, "sample_shape": (1, 8, 8), "hidden": 7, "widths": (6, 5)},
        (Z,),
        concat=7,
        projection=2 * (7 + 6 * 2 * 2 + 5),
        free=2 * (7 + 6 * 2 * 2 + 5),
        wide=wider(latent_dim=ZC),
    ),
    "dcgan64 G": Case(
        DCGAN64Generator,
        {"latent_dim": Z, "sample_shape": IMAGE, "widths": (6, 5)},
        (Z,),
        concat=6 * 4 * 4,
        projection=2 * (6 + 5),
        free=2 * (6 + 5),
        wide=wider(latent_dim=ZC),
    ),
    "dcgan3x3 G": Case(
        DCGAN3x3Generator,
        {"latent_dim": Z, "sample_shape": (1, 8, 8), "widths": (6, 5)},
        (Z,),
        concat=6 * 2 * 2,
        projection=6 * 2 * 2,
        wide=wider(latent_dim=ZC),
    ),
    "subpixel G": Case(
        SubpixelGenerator,
        {"latent_dim": Z, "sample_shape": (1, 8, 8), "widths": (6, 5)},
        (Z,),
        concat=6 * 2 * 2,
        projection=2 * (6 + 5),
        free=2 * (6 + 5),
        wide=wider(latent_dim=ZC),
    ),
    "r3gan G": Case(
        R3GANGenerator,
        {"latent_dim": Z, "sample_shape": (1, 8, 8), "widths": (8, 4), **R3},
        (Z,),
        concat=8,
        projection=8,
        wide=wider(latent_dim=ZC),
    ),
}
DISCRIMINATORS = {
    "mlp D": Case(
        MLPDiscriminator,
        {"sample_shape": (1, 4, 4), "widths": (6, 7)},
        (1, 4, 4),
        concat=6,
        projection=7,
        std=1,
        std_projection=1,
        norms=("none", "batch", "layer", "group", "spectral"),
        wide=wider(sample_shape=(16 + CLASSES,)),
    ),
    "linear D": Case(
        MLPDiscriminator,
        {"sample_shape": (2,), "widths": ()},
        (2,),
        concat=1,
        projection=2,
        std=1,
        std_projection=1,
        norms=("none", "spectral"),
        wide=wider(sample_shape=(2 + CLASSES,)),
    ),
    "dcgan D": Case(
        DCGANDiscriminator,
        {"sample_shape": (1, 20, 20), "hidden": 7, "widths": (6, 5)},
        (1, 20, 20),
        concat=6 * 5 * 5,
        projection=7,
        std=7 * 2 * 2,
        norms=MAP_NORMS,
        wide=wider(sample_shape=(1 + CLASSES, 20, 20)),
    ),
    "dcgan64 D": Case(
        DCGAN64Discriminator,
        {"sample_shape": IMAGE, "widths": (6, 5)},
        IMAGE,
        concat=6 * 4 * 4,
        projection=5,
        std=4 * 4,
        std_projection=1,
        norms=MAP_NORMS,
        wide=wider(sample_shape=PLANES),
    ),
    "dcgan3x3 D": Case(
        DCGAN3x3Discriminator,
        {"sample_shape": IMAGE, "widths": (6, 5)},
        IMAGE,
        concat=6 * 3 * 3,
        projection=5 * 4 * 4,
        std=4 * 4,
        std_projection=4 * 4,
        norms=MAP_NORMS,
        wide=wider(sample_shape=PLANES),
    ),
    "subpixel D": Case(
        SubpixelDiscriminator,
        {"sample_shape": IMAGE, "hidden": 7, "widths": (6, 5)},
        IMAGE,
        concat=6 * 4 * 4,
        projection=7,
        std=7 * 4 * 4,
        norms=MAP_NORMS,
        wide=wider(sample_shape=PLANES),
    ),
    "r3gan D": Case(
        R3GANDiscriminator,
        {"sample_shape": IMAGE, "widths": (4, 8), **R3},
        IMAGE,
        concat=4,
        projection=8,
        std=8 * 8 + 1,  # a depthwise map, a weight of the linear layer
        std_projection=1,
        wide=wider(sample_shape=PLANES),
    ),
}
NETWORKS = GENERATORS | DISCRIMINATORS
WAYS = ("concat", "projection")
VARIANTS = [
    (name, {} if norm is None else {"norm": norm}, std)
    for name, case in NETWORKS.items()
    for norm, std in product(case.norms or (None,), (0, 2) if name in DISCRIMINATORS else (0,))
]


def build(name: str, conditional: str = "none", **options: Any) -> nn.Module:
    case = NETWORKS[name]
    labelled = {} if conditional == "none" else {"conditional": conditional, "num_classes": CLASSES}
    return case.make(**case.options, **labelled, **options)


def inputs_of(name: str, count: int = len(LABELS)) -> Tensor:
    return torch.randn(count, *NETWORKS[name].shape)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("name", "norm", "std"), VARIANTS)
def test_labels_and_minibatch_std_add_the_parameters_that_one_counts_by_hand(
    name: str, norm: dict[str, str], std: int
) -> None:
    case, group = NETWORKS[name], ({"minibatch_std": std} if std else {})
    plain = count(build(name, **norm))
    seeing = count(build(name, **norm, **group))
    assert seeing - plain == (case.std if std else 0)
    assert count(build(name, "concat", **norm, **group)) - seeing == CLASSES * case.concat
    each = case.projection + (case.std_projection if std else 0)
    assert count(build(name, "projection", **norm, **group)) - seeing == CLASSES * each - case.free


@pytest.mark.parametrize("conditional", ["none", *WAYS])
@pytest.mark.parametrize(("name", "norm", "std"), VARIANTS)
def test_every_parameter_of_every_network_gets_a_finite_gradient(
    name: str, norm: dict[str, str], std: int, conditional: str
) -> None:
    network = build(name, conditional, **norm, **({"minibatch_std": std} if std else {}))
    outputs = network(inputs_of(name), None if conditional == "none" else LABELS)
    (outputs * torch.randn_like(outputs)).sum().backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@pytest.mark.parametrize("conditional", ["none", *WAYS])
@pytest.mark.parametrize(("name", "norm", "std"), VARIANTS)
def test_every_network_can_be_built_and_run_without_memory(
    name: str, norm: dict[str, str], std: int, conditional: str
) -> None:
    options = norm | ({"minibatch_std": std} if std else {})
    labels = None if conditional == "none" else LABELS
    real = build(name, conditional, **options)
    with torch.device("meta"):
        network = build(name, conditional, **options)
        outputs = network(inputs_of(name), None if labels is None else labels.to("meta"))
    assert outputs.device.type == "meta"
    assert outputs.shape == real(inputs_of(name), labels).shape
    assert outputs.shape[0] == len(LABELS)
    ours, theirs = network.state_dict(), real.state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in theirs.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_an_unconditional_network_does_not_look_at_labels(name: str) -> None:
    network = shake(build(name)).eval()
    inputs = inputs_of(name)
    alone = network(inputs)
    for labels in (None, LABELS, LABELS.roll(1)):
        assert torch.equal(network(inputs, labels), alone)


@pytest.mark.parametrize("name", NETWORKS)
def test_labels_beside_the_input_are_a_wider_input_of_the_same_network(name: str) -> None:
    case = NETWORKS[name]
    network = shake(build(name, "concat"))
    wide = case.make(**case.wide(case.options))
    wide.load_state_dict(dict(zip(wide.state_dict(), network.state_dict().values(), strict=True)))
    inputs = inputs_of(name)
    by_hand = inputs.flatten(1) if case.make is MLPDiscriminator else inputs
    planes = one_hot(LABELS, CLASSES).float().reshape(6, CLASSES, *[1] * (by_hand.dim() - 2))
    joined = torch.cat([by_hand, planes.expand(-1, -1, *by_hand.shape[2:])], 1)
    assert torch.equal(network(inputs, LABELS), wide(joined))


@pytest.mark.parametrize("conditional", ["none", *WAYS])
@pytest.mark.parametrize("name", [name for name, case in DISCRIMINATORS.items() if "spectral" in case.norms])
def test_spectral_norm_holds_every_weight_of_a_conditional_discriminator(name: str, conditional: str) -> None:
    assert critic_traits(build(name, conditional, norm="spectral")).bounded_slope
    assert not critic_traits(build(name, conditional, norm="none")).bounded_slope


@pytest.mark.parametrize("conditional", WAYS)
@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_labels_alone_mix_no_samples(name: str, conditional: str) -> None:
    plain = {"norm": "none"} if DISCRIMINATORS[name].norms else {}
    assert critic_traits(build(name, conditional, **plain)).mixes == ()
    assert critic_traits(build(name, conditional, **plain, minibatch_std=2)).mixes == ("MinibatchStd",)


@pytest.mark.parametrize("name", ["mlp G", "r3gan G"])
def test_generators_without_batch_norm_take_labels_beside_the_latent_in_any_way(name: str) -> None:
    one, other = build(name, "concat"), build(name, "projection")
    other.load_state_dict(one.state_dict())
    inputs = inputs_of(name)
    assert torch.equal(one(inputs, LABELS), other(inputs, LABELS))


@pytest.mark.parametrize("std", [0, 2])
@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_projection_of_vectors_that_are_zero_is_the_unconditional_discriminator(name: str, std: int) -> None:
    network = shake(build(name, "projection", minibatch_std=std))
    plain = build(name, minibatch_std=std)
    shared = {key: value for key, value in network.state_dict().items() if "embedding" not in key}
    plain.load_state_dict({key.replace(".output.", "."): value for key, value in shared.items()})
    inputs = inputs_of(name)
    network.eval(), plain.eval()
    matching = network(inputs, LABELS) - plain(inputs)
    assert matching.abs().min() > 1e-6
    with torch.no_grad():
        network.layers[-2].embedding.weight.zero_()
    assert torch.equal(network(inputs, LABELS), plain(inputs))


@pytest.mark.parametrize("name", ["dcgan G", "dcgan64 G"])
def test_generator_with_conditional_batch_norms_starts_as_the_unconditional_one(name: str) -> None:
    network, plain = build(name, "projection"), build(name)
    shared = {
        key.replace(".norm.", "."): value
        for key, value in network.state_dict().items()
        if ".scale." not in key and ".shift." not in key
    }
    missing = plain.load_state_dict(shared, strict=False).missing_keys  # which start at 1 and 0
    assert len(missing) == 2 * sum(isinstance(module, ConditionalBatchNorm) for module in network.modules())
    inputs = inputs_of(name)
    for mode in (True, False):
        assert_close(network.train(mode)(inputs, LABELS), plain.train(mode)(inputs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["dcgan G", "dcgan64 G"])
def test_every_batch_norm_of_a_projection_generator_knows_the_class(name: str) -> None:
    normal = [module for module in build(name).modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    aware = [module for module in build(name, "projection").modules() if isinstance(module, ConditionalBatchNorm)]
    assert [layer.norm.num_features for layer in aware] == [layer.num_features for layer in normal]
    assert [type(layer.norm) for layer in aware] == [type(layer) for layer in normal]
    assert not any(isinstance(module, ConditionalBatchNorm) for module in build(name, "concat").modules())


@pytest.mark.parametrize("conditional", WAYS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_samples_label_decides_on_that_sample_and_no_other(name: str, conditional: str) -> None:
    network = shake(build(name, conditional)).eval()
    inputs = inputs_of(name)
    before = network(inputs, LABELS)
    for sample, label in enumerate(LABELS.tolist()):
        changed = LABELS.clone()
        changed[sample] = (label + 1) % CLASSES
        moved = (network(inputs, changed) - before).abs().reshape(len(LABELS), -1).amax(1)
        assert moved[sample] > 1e-5
        assert not moved[torch.arange(len(LABELS)) != sample].any()


@pytest.mark.parametrize("name", ["dcgan G", "dcgan64 G", *DISCRIMINATORS])
def test_only_the_classes_of_the_batch_learn_from_it(name: str) -> None:
    network = shake(build(name, "projection"))
    outputs = network(inputs_of(name), torch.tensor([2, 0, 2, 2, 0, 0]))
    (outputs * torch.randn_like(outputs)).sum().backward()
    embeddings = [module for module in network.modules() if isinstance(module, nn.Embedding)]
    assert embeddings
    for embedding in embeddings:
        assert embedding.weight.grad is not None
        assert embedding.weight.grad.any(1).tolist() == [True, False, True]


@pytest.mark.parametrize("name", ["dcgan G", "dcgan64 G"])
def test_the_generators_gradient_through_a_critic_reaches_the_classes_of_the_batch_alone(name: str) -> None:
    generator = shake(build(name, "projection"))
    shape = NETWORKS[name].options["sample_shape"]
    critic = MLPDiscriminator(shape, (6,), conditional="projection", num_classes=CLASSES)
    labels = torch.tensor([1, 1, 1, 0, 0, 0])
    critic(generator(inputs_of(name), labels), labels).mean().backward()
    for module in generator.modules():
        if isinstance(module, ConditionalBatchNorm):
            assert module.scale.weight.grad.any(1).tolist() == [True, True, False]
            assert module.shift.weight.grad.any(1).tolist() == [True, True, False]
