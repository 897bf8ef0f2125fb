"""What the architectures share: activations, normalizations and the tail of a hidden layer."""

from typing import Any

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

RISING = ("relu", "leaky_relu", "tanh", "elu")
"""Activations that never fall, leaky_relu for slopes that are not negative: they may change places with a maximum."""

_GROUP = 16


def activation(name: str, slope: float) -> nn.Module:
    """A fresh activation module; `slope` is leaky_relu's on the negative side."""
    match name:
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(slope)
        case "tanh":
            return nn.Tanh()
        case "elu":
            return nn.ELU()
        case "gelu":
            return nn.GELU()
        case "silu":
            return nn.SiLU()
    raise ValueError(f"activation must be relu, leaky_relu, tanh, elu, gelu or silu, got {name!r}")


def dropout(probability: float) -> list[nn.Module]:
    """A Dropout layer, or none where nothing would be dropped."""
    return [nn.Dropout(probability)] if probability > 0 else []


def weighted(layer: nn.Module, norm: str) -> nn.Module:
    """The layer, with its weight divided by its largest singular value for norm="spectral".

    Source: Miyato et al. 2018, arXiv:1802.05957; one power iteration a forward pass in training.
    """
    return spectral_norm(layer) if norm == "spectral" else layer


def map_norm(norm: str, channels: int, scaled: bool = True) -> list[nn.Module]:
    """What stands behind a convolution to normalize its maps (N, C, H, W): nothing for "none" and "spectral".

    "layer" normalizes a sample over all its channels and places, "group" in groups of 16 channels or, where that does
    not divide them, a few more (Wu and He 2018, arXiv:1803.08494, table 3), "instance" each channel alone; only "batch"
    looks at other samples.

    Args:
        scaled: whether "instance" brings a scale and a shift for each channel; Ulyanov et al. 2016 (arXiv:1607.08022)
            have none.
    """
    match norm:
        case "none" | "spectral":
            return []
        case "batch":
            return [nn.BatchNorm2d(channels)]
        case "layer":
            return [nn.GroupNorm(1, channels)]
        case "group":
            return [nn.GroupNorm(_num_groups(channels), channels)]
        case "instance":
            return [nn.InstanceNorm2d(channels, affine=scaled)]
    raise _unknown(norm)


def brings_bias(norm: str) -> bool:
    """Whether `map_norm(norm, ..., scaled=False)` shifts what it normalizes, as a bias before it would in vain."""
    return norm in ("batch", "layer", "group")


def vector_norm(norm: str, features: int) -> list[nn.Module]:
    """What stands behind a linear layer (N, features); as `map_norm`.

    A feature is a single number, for which "instance" is undefined: layers beside convolutions take "layer" then.

    Raises:
        ValueError: "layer" or "group" over one or two features, which leaves of them no more than a sign.
    """
    if norm in ("layer", "instance", "group") and features < 3:
        raise ValueError(f"norm={norm} needs layers of three features or more, got a width of {features}")
    match norm:
        case "none" | "spectral":
            return []
        case "batch":
            return [nn.BatchNorm1d(features)]
        case "layer" | "instance":
            return [nn.LayerNorm(features)]
        case "group":
            return [nn.GroupNorm(_num_groups(features), features)]
    raise _unknown(norm)


def _num_groups(channels: int) -> int:
    """The most groups of equal size that hold 16 channels or more."""
    return max((groups for groups in range(1, channels // _GROUP + 1) if channels % groups == 0), default=1)


def _unknown(norm: Any) -> ValueError:
    return ValueError(f"norm must be none, batch, layer, instance, group or spectral, got {norm!r}")
