"""What is read off a discriminator's layers is how it behaves: whether samples mix, and whether its slope is held."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import remove_parametrizations

from gan_cli.models.dcgan import DCGANDiscriminator
from gan_cli.models.dcgan64 import DCGAN64Discriminator
from gan_cli.models.initialize import initialize
from gan_cli.models.mlp import MLPDiscriminator
from gan_cli.target_options import Norm
from gan_cli.traits import critic_traits, is_spectral

NETWORKS: dict[str, tuple[Callable[..., nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda **o: MLPDiscriminator((6,), (32, 32), **o), (6,)),
    "dcgan": (lambda **o: DCGANDiscriminator((3, 16, 16), 32, (32, 16), **o), (3, 16, 16)),
    "dcgan64": (lambda **o: DCGAN64Discriminator((3, 16, 16), (32, 32), **o), (3, 16, 16)),
}
CASES = [(name, norm.name) for name in NETWORKS for norm in Norm if (name, norm.name) != ("mlp", "instance")]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


class MinibatchStd(nn.Module):
    """Adds a sample's distance from the mean of its batch; says so, or says that it does not."""

    def __init__(self, says: bool = True) -> None:
        super().__init__()
        self.mixes_samples = says

    def forward(self, samples: Tensor) -> Tensor:
        return samples + samples.std(0)


def inside(module: nn.Module) -> nn.Module:
    """The module some levels down, between others."""
    return nn.Sequential(nn.Flatten(), nn.ModuleDict({"deep": nn.Sequential(nn.Linear(4, 4), module)}), nn.ReLU())


# Whether samples mix.


@pytest.mark.parametrize("wrapped", [inside, lambda module: module], ids=["deep inside", "itself"])
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: nn.BatchNorm1d(4), "BatchNorm1d"),
        (lambda: nn.BatchNorm2d(4, affine=False), "BatchNorm2d"),
        (lambda: nn.BatchNorm3d(4, track_running_stats=False), "BatchNorm3d"),
        (lambda: nn.LazyBatchNorm2d(), "LazyBatchNorm2d"),
        (lambda: nn.SyncBatchNorm(4), "SyncBatchNorm"),
        (MinibatchStd, "MinibatchStd"),
    ],
)
def test_layers_that_mix_samples_are_found_by_kind_or_by_their_own_word(
    make: Callable[[], nn.Module], kind: str, wrapped: Callable[[nn.Module], nn.Module]
) -> None:
    assert critic_traits(wrapped(make())).mixes == (kind,)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.InstanceNorm1d(4),
        lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
        lambda: nn.LayerNorm(4),
        lambda: nn.RMSNorm(4),
        lambda: nn.GroupNorm(2, 4),
        lambda: nn.LocalResponseNorm(2),
        lambda: nn.Dropout(),
        lambda: spectral_norm(nn.Linear(4, 4)),
        lambda: MinibatchStd(says=False),
    ],
)
def test_layers_that_keep_samples_apart_are_not_taken_for_mixing_ones(make: Callable[[], nn.Module]) -> None:
    assert critic_traits(inside(make())).mixes == ()


def test_every_kind_of_mixing_layer_is_named_once_in_order() -> None:
    layers = (nn.ReLU(), MinibatchStd(), nn.BatchNorm1d(4), nn.BatchNorm1d(4), MinibatchStd())
    assert critic_traits(nn.Sequential(*layers)).mixes == ("MinibatchStd", "BatchNorm1d")
    assert critic_traits(nn.Sequential(*layers[2:])).mixes == ("BatchNorm1d", "MinibatchStd")


@pytest.mark.parametrize("training", [True, False])
def test_traits_are_those_of_training_whatever_the_mode_of_the_moment(training: bool) -> None:
    network = DCGAN64Discriminator((3, 8, 8), (4,)).train(training)
    assert critic_traits(network).mixes == ("BatchNorm2d",)


def slope_of_first_logit(network: nn.Module, samples: Tensor) -> Tensor:
    """The gradient of the first sample's logit with respect to every sample of its batch, in training."""
    samples = samples.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(deepcopy(network).train()(samples)[0], samples)
    return gradient.flatten(1).norm(dim=1)


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_a_layer_is_said_to_mix_exactly_if_the_logit_of_a_sample_moves_with_the_others(name: str, norm: str) -> None:
    make, shape = NETWORKS[name]
    network = make(norm=norm).double()
    own, *others = slope_of_first_logit(network, torch.randn(8, *shape, dtype=torch.float64))
    assert own > 1e-6
    assert all(slope > 1e-9 if critic_traits(network).mixes else slope == 0 for slope in others)
    assert bool(critic_traits(network).mixes) == (norm == "batch")


# Whether the slope is bounded.


def all_spectral() -> list[nn.Module]:
    return [
        *(spectral_norm(nn.Conv2d(3, 4, 3)), nn.LeakyReLU(), nn.Flatten(), nn.Dropout()),
        *(spectral_norm(nn.Linear(16, 5, bias=False)), nn.Tanh(), spectral_norm(nn.Linear(5, 1))),
    ]


def test_slope_is_bounded_where_every_layer_with_a_weight_is_spectrally_normalized() -> None:
    assert critic_traits(nn.Sequential(*all_spectral())).bounded_slope
    assert critic_traits(spectral_norm(nn.Linear(4, 4))).bounded_slope


@pytest.mark.parametrize("place", [0, 3, 7], ids=["first", "between", "last"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Linear(4, 4),
        lambda: nn.Conv2d(3, 3, 1, bias=False),
        lambda: nn.ConvTranspose2d(3, 3, 1),
        lambda: nn.LayerNorm(4),
        lambda: nn.GroupNorm(2, 4),
        lambda: nn.InstanceNorm2d(4, affine=True),
        lambda: nn.BatchNorm2d(4),
        lambda: nn.PReLU(),
        lambda: inside(spectral_norm(nn.Linear(4, 4))),  # with a plain layer beside the normalized one
    ],
)
def test_one_weight_that_is_not_spectrally_normalized_leaves_the_slope_unbounded(
    make: Callable[[], nn.Module], place: int
) -> None:
    layers = all_spectral()
    layers.insert(place, make())
    assert not critic_traits(nn.Sequential(*layers)).bounded_slope


@pytest.mark.parametrize("network", [nn.Sequential(), nn.Flatten(), nn.Sequential(nn.ReLU(), nn.Dropout())])
def test_network_without_weights_has_nothing_that_bounds_its_slope(network: nn.Module) -> None:
    assert not critic_traits(network).bounded_slope


def test_a_module_is_spectral_by_its_own_weight_while_that_is_normalized() -> None:
    layer = spectral_norm(nn.Linear(4, 4))
    assert is_spectral(layer)
    assert not is_spectral(nn.Sequential(layer))
    remove_parametrizations(layer, "weight")
    assert not is_spectral(layer)
    assert not is_spectral(nn.ReLU())
    assert not is_spectral(spectral_norm(nn.Bilinear(4, 4, 4), "bias"))


@pytest.mark.parametrize("scheme", ["default", "xavier", "normal"])
@pytest.mark.parametrize(("name", "norm"), CASES)
def test_slope_is_said_to_be_bounded_exactly_if_it_does_not_grow_with_the_parameters(
    name: str, norm: str, scheme: str
) -> None:
    make, shape = NETWORKS[name]
    network, samples = make(norm=norm).double(), torch.randn(8, *shape, dtype=torch.float64)
    initialize(network, scheme, 0.02)
    before = slope_of_first_logit(network, samples)[0]
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            if not key.endswith("bias"):
                parameter.mul_(2.0**10)
    growth = slope_of_first_logit(network, samples)[0] / before
    assert critic_traits(network).bounded_slope == (growth < 1.01)
    assert growth == pytest.approx(1) if norm == "spectral" else growth > 100
