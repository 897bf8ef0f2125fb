"""A small, fast pair for small images: the generator works at a quarter of the resolution and shuffles its channels to
pixels in the end, so that no layer of either network is large.

Sub-pixel convolution after Shi et al. 2016, arXiv:1609.05158, equation (4); the rest after Radford et al. 2016,
arXiv:1511.06434.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from gan_cli.models.conditional import LabelledSequential, batch_norm, head, join, num_joined
from gan_cli.models.layers import activation as make_activation
from gan_cli.models.layers import dropout as make_dropout
from gan_cli.models.layers import map_norm, vector_norm, weighted
from gan_cli.models.minibatch_std import minibatch_std as make_minibatch_std

_FACTOR = 4  # between the generator's maps and its images


class SubpixelGenerator(nn.Module):
    """A linear layer to a map of a quarter of the resolution, 3×3 convolutions on it, and a pixel shuffle.

    Args:
        latent_dim: length of a latent.
        sample_shape: (C, S, S), S a multiple of 4.
        widths: channels of the map and behind each convolution but the last, each with BatchNorm and an activation.
        conditional: none, concat (the label beside the latent) or projection (in every BatchNorm).
        num_classes: of the labels.

    Raises:
        ValueError: no width, or a resolution that is no multiple of 4.
    """

    def __init__(
        self,
        latent_dim: int,
        sample_shape: Sequence[int],
        widths: Sequence[int] = (64, 32),
        activation: str = "relu",
        slope: float = 0.2,
        dropout: float = 0.0,
        conditional: str = "none",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        channels, size, _ = sample_shape
        _check(size, widths, "generator")
        base = size // _FACTOR

        def tail(features: int) -> list[nn.Module]:
            norm = batch_norm(nn.BatchNorm2d, features, conditional, num_classes)
            return [norm, make_activation(activation, slope), *make_dropout(dropout)]

        width_in = latent_dim + num_joined(conditional, num_classes)
        layers = [*join(conditional, num_classes), nn.Linear(width_in, widths[0] * base**2, bias=False)]
        layers += [nn.Unflatten(1, (widths[0], base, base)), *tail(widths[0])]
        for width_in, width in pairwise(widths):
            layers += [nn.Conv2d(width_in, width, 3, padding=1, bias=False), *tail(width)]
        layers += [nn.Conv2d(widths[-1], channels * _FACTOR**2, 3, padding=1), nn.PixelShuffle(_FACTOR)]
        self.layers = LabelledSequential(*layers, nn.Tanh())

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, latent_dim), and labels (N,) if conditional, to images (N, C, S, S) in [-1, 1]."""
        images: Tensor = self.layers(latents, labels)
        return images


class SubpixelDiscriminator(nn.Module):
    """Two 4×4 convolutions, each halving the resolution, and two linear layers.

    Args:
        sample_shape: (C, S, S), S a multiple of 4.
        widths: channels of the two convolutions.
        hidden: width of the first linear layer.
        norm: of each hidden layer, before its activation: none, batch, layer, instance, group, or spectral, which
            normalizes the weights of all layers.
        minibatch_std: size of the groups whose spread the linear layers see; 0: they do not.
        conditional: none, concat (the label beside the image, in planes) or projection (in the last layer).
        num_classes: of the labels.

    Raises:
        ValueError: not two widths, or a resolution that is no multiple of 4.
    """

    def __init__(
        self,
        sample_shape: Sequence[int],
        widths: Sequence[int] = (16, 32),
        hidden: int = 128,
        activation: str = "leaky_relu",
        slope: float = 0.2,
        dropout: float = 0.0,
        norm: str = "none",
        minibatch_std: int = 0,
        conditional: str = "none",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        channels, size, _ = sample_shape
        _check(size, widths, "discriminator")
        if len(widths) != 2:
            raise ValueError(f"model.discriminator.widths must have two entries, got {list(widths)}")
        width_in = channels + num_joined(conditional, num_classes)
        layers = join(conditional, num_classes)
        for width in widths:
            layers += [weighted(nn.Conv2d(width_in, width, 4, 2, 1), norm), *map_norm(norm, width)]
            layers += [make_activation(activation, slope), *make_dropout(dropout)]
            width_in = width
        layers += [*make_minibatch_std(minibatch_std), nn.Flatten()]
        features = (width_in + (minibatch_std > 0)) * (size // _FACTOR) ** 2
        layers += [weighted(nn.Linear(features, hidden), norm), *vector_norm(norm, hidden)]
        layers += [make_activation(activation, slope), *make_dropout(dropout)]
        layers.append(head(weighted(nn.Linear(hidden, 1), norm), hidden, conditional, num_classes, norm))
        self.layers = LabelledSequential(*layers, nn.Flatten(0))

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, C, S, S), and labels (N,) if conditional, to logits (N,)."""
        logits: Tensor = self.layers(samples, labels)
        return logits


def _check(size: int, widths: Sequence[int], network: str) -> None:
    if not widths:
        raise ValueError(f"model.{network}.widths must have at least one entry")
    if size % _FACTOR:
        raise ValueError(f"model.resolution must be a multiple of {_FACTOR} for these networks, got {size}")
