"""Fully connected networks, for images and vectors.

CS231n's GAN on MNIST at the default widths; a linear generator and a small tanh discriminator are D2L's 2-D example.
"""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from gan_cli.models.layers import activation as make_activation
from gan_cli.models.layers import dropout as make_dropout
from gan_cli.models.layers import vector_norm, weighted


class MLPGenerator(nn.Module):
    """Linear layers; a tanh at the end for images, nothing for vectors, whose range is not known.

    Args:
        latent_dim: length of a latent.
        sample_shape: (C, H, W) for images in [-1, 1], (D,) for vectors.
        widths: of the hidden layers; none makes an affine map.
    """

    def __init__(
        self,
        latent_dim: int,
        sample_shape: Sequence[int],
        widths: Sequence[int] = (1024, 1024),
        activation: str = "relu",
        slope: float = 0.01,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        layers = _hidden_layers(latent_dim, widths, activation, slope, dropout)
        layers.append(nn.Linear(widths[-1] if widths else latent_dim, prod(sample_shape)))
        if len(sample_shape) == 3:
            layers.append(nn.Tanh())
        self.layers = nn.Sequential(*layers, nn.Unflatten(1, tuple(sample_shape)))

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (N, latent_dim) to samples (N, *sample_shape)."""
        samples: Tensor = self.layers(latents)
        return samples


class MLPDiscriminator(nn.Module):
    """Linear layers on the flattened sample.

    Args:
        sample_shape: (C, H, W) or (D,).
        widths: of the hidden layers.
        norm: of each hidden layer, before its activation: none, batch, layer, group, or spectral, which normalizes the
            weights of all layers.

    Raises:
        ValueError: the norm is "instance": a feature is one number, whose mean is itself.
    """

    def __init__(
        self,
        sample_shape: Sequence[int],
        widths: Sequence[int] = (256, 256),
        activation: str = "leaky_relu",
        slope: float = 0.01,
        dropout: float = 0.0,
        norm: str = "none",
    ) -> None:
        super().__init__()
        if norm == "instance":
            raise ValueError(
                "norm=instance normalizes the maps of convolutions, and fully connected layers have none: "
                "model.discriminator.norm=layer or group"
            )
        layers = _hidden_layers(prod(sample_shape), widths, activation, slope, dropout, norm)
        layers.append(weighted(nn.Linear(widths[-1] if widths else prod(sample_shape), 1), norm))
        self.layers = nn.Sequential(nn.Flatten(), *layers, nn.Flatten(0))

    def forward(self, samples: Tensor) -> Tensor:
        """Samples (N, *sample_shape) to logits (N,)."""
        logits: Tensor = self.layers(samples)
        return logits


def _hidden_layers(
    width_in: int, widths: Sequence[int], activation: str, slope: float, dropout: float, norm: str = "none"
) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [weighted(nn.Linear(width_in, width), norm), *vector_norm(norm, width)]
        layers += [make_activation(activation, slope), *make_dropout(dropout)]
        width_in = width
    return layers
