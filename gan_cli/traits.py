"""What a discriminator is, seen from its layers: whether it mixes samples, and whether its slope is bounded."""

from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm

MIXES_SAMPLES = "mixes_samples"
"""A module of any kind that sets this attribute to true says that its output for a sample depends on the others."""


@dataclass(frozen=True)
class CriticTraits:
    """Facts about a discriminator on which legality depends.

    Attributes:
        mixes: the kinds of the layers through which a sample's logit depends on its batch.
        bounded_slope: whether every parameter is a spectrally normalized weight or a bias.
    """

    mixes: tuple[str, ...]
    bounded_slope: bool


def critic_traits(discriminator: nn.Module) -> CriticTraits:
    """The traits of a network, from its modules."""
    kinds = [
        type(module).__name__
        for module in discriminator.modules()
        if isinstance(module, _BatchNorm) or getattr(module, MIXES_SAMPLES, False)
    ]
    spectral = [module for module in discriminator.modules() if is_spectral(module)]
    held = {id(module.get_parameter("parametrizations.weight.original")) for module in spectral}
    free = [
        name
        for name, parameter in discriminator.named_parameters()
        if name.rsplit(".", 1)[-1] != "bias" and id(parameter) not in held
    ]
    return CriticTraits(tuple(dict.fromkeys(kinds)), bool(held) and not free)


def is_spectral(module: nn.Module) -> bool:
    """Whether the module's weight is spectrally normalized."""
    if not parametrize.is_parametrized(module, "weight"):
        return False
    return any(isinstance(part, _SpectralNorm) for part in module.parametrizations["weight"])  # type: ignore[index]
