"""A small convolutional pair of 3×3 kernels without normalization: the DCGAN of the UTRGV lecture, for 28×28 images.

A descendant of Radford et al. 2016, arXiv:1511.06434, that keeps strides and leaves out BatchNorm.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from gan_cli.models.conditional import LabelledSequential, head, join, num_joined
from gan_cli.models.layers import activation as make_activation
from gan_cli.models.layers import dropout as make_dropout
from gan_cli.models.layers import map_norm, weighted
from gan_cli.models.minibatch_std import minibatch_std as make_minibatch_std


class DCGAN3x3Generator(nn.Module):
    """A linear layer to a map of a quarter of the resolution, then transposed 3×3 convolutions.

    The first and the last of these double the resolution, those between keep it. The linear layer has no activation.

    Args:
        latent_dim: length of a latent.
        sample_shape: (C, S, S), S a multiple of 4.
        widths: channels of the map and behind each convolution but the last.
        conditional: none, or in any way: the label stands beside the latent, as there is no BatchNorm to take it in.
        num_classes: of the labels.

    Raises:
        ValueError: fewer than two widths, or a resolution that is no multiple of 4.
    """

    def __init__(
        self,
        latent_dim: int,
        sample_shape: Sequence[int],
        widths: Sequence[int] = (256, 128, 64, 32),
        activation: str = "relu",
        slope: float = 0.2,
        dropout: float = 0.0,
        conditional: str = "none",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        channels, size, _ = sample_shape
        _check(size, widths, "generator")
        beside = "none" if conditional == "none" else "concat"
        base, first = size // 4, widths[0]
        layers = [*join(beside, num_classes), nn.Linear(latent_dim + num_joined(beside, num_classes), first * base**2)]
        layers.append(nn.Unflatten(1, (first, base, base)))
        for number, (width_in, width) in enumerate(zip(widths, [*widths[1:], channels], strict=True)):
            stride = _stride(number, widths)
            layers.append(nn.ConvTranspose2d(width_in, width, 3, stride, 1, output_padding=stride - 1))
            if number < len(widths) - 1:
                layers += [make_activation(activation, slope), *make_dropout(dropout)]
        self.layers = LabelledSequential(*layers, nn.Tanh())

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, latent_dim), and labels (N,) if conditional, to images (N, C, S, S) in [-1, 1]."""
        images: Tensor = self.layers(latents, labels)
        return images


class DCGAN3x3Discriminator(nn.Module):
    """The generator mirrored: 3×3 convolutions, the first and the last halving the resolution, and a linear layer.

    Args:
        sample_shape: (C, S, S), S a multiple of 4.
        widths: channels behind each convolution.
        norm: behind each convolution, before its activation: none (as in the lecture), batch, layer, instance, group,
            or spectral, which normalizes the weights of all layers.
        minibatch_std: size of the groups whose spread the linear layer sees; 0: it does not.
        conditional: none, concat (the label beside the image, in planes) or projection (in the last layer).
        num_classes: of the labels.

    Raises:
        ValueError: fewer than two widths, or a resolution that is no multiple of 4.
    """

    def __init__(
        self,
        sample_shape: Sequence[int],
        widths: Sequence[int] = (32, 64, 128, 256),
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
        width_in = channels + num_joined(conditional, num_classes)
        layers = join(conditional, num_classes)
        for number, width in enumerate(widths):
            layers.append(weighted(nn.Conv2d(width_in, width, 3, _stride(number, widths), 1), norm))
            layers += [*map_norm(norm, width), make_activation(activation, slope), *make_dropout(dropout)]
            width_in = width
        layers += [*make_minibatch_std(minibatch_std), nn.Flatten()]
        features = (width_in + (minibatch_std > 0)) * (size // 4) ** 2
        layers.append(head(weighted(nn.Linear(features, 1), norm), features, conditional, num_classes, norm))
        self.layers = LabelledSequential(*layers, nn.Flatten(0))

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, C, S, S), and labels (N,) if conditional, to logits (N,)."""
        logits: Tensor = self.layers(samples, labels)
        return logits


def _stride(number: int, widths: Sequence[int]) -> int:
    return 2 if number in (0, len(widths) - 1) else 1


def _check(size: int, widths: Sequence[int], network: str) -> None:
    if len(widths) < 2:
        raise ValueError(f"model.{network}.widths must have two entries or more, got {list(widths)}")
    if size % 4:
        raise ValueError(f"model.resolution must be a multiple of 4 for these strides, got {size}")
