"""What the architectures share: activations and the tail of a hidden layer."""

from torch import nn


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
