"""The fully convolutional DCGAN of D2L, for 64×64 images and other powers of two.

After Radford et al. 2016, arXiv:1511.06434; here BatchNorm stands after the discriminator's first convolution too,
unless `norm_from` says otherwise.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from gan_cli.models.conditional import LabelledSequential, batch_norm, head, join, num_joined
from gan_cli.models.layers import activation as make_activation
from gan_cli.models.layers import dropout as make_dropout
from gan_cli.models.layers import map_norm, weighted
from gan_cli.models.minibatch_std import minibatch_std as make_minibatch_std


class DCGAN64Generator(nn.Module):
    """Transposed 4×4 convolutions without bias: from a latent to 4×4, then twice the resolution each time.

    Args:
        latent_dim: length of a latent.
        sample_shape: (C, S, S) with S = 4 · 2^len(widths), or half of it where last_stride is 1.
        widths: channels at 4×4, 8×8, and so on.
        last_stride: of the convolution that makes the image. 2: 4×4 without bias, which doubles the resolution; 1: 3×3
            with bias, which keeps it.
        conditional: none, concat (the label beside the latent) or projection (in every BatchNorm).
        num_classes: of the labels.

    Raises:
        ValueError: the resolution is not that of so many widths.
    """

    def __init__(
        self,
        latent_dim: int,
        sample_shape: Sequence[int],
        widths: Sequence[int] = (512, 256, 128, 64),
        last_stride: int = 2,
        activation: str = "relu",
        slope: float = 0.2,
        dropout: float = 0.0,
        conditional: str = "none",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        channels, size, _ = sample_shape
        _check_resolution(size, widths, len(widths) - (last_stride == 1), "generator")
        width_in, stride, padding = latent_dim + num_joined(conditional, num_classes), 1, 0
        layers = [*join(conditional, num_classes), nn.Unflatten(1, (width_in, 1, 1))]
        for width in widths:
            layers.append(nn.ConvTranspose2d(width_in, width, 4, stride, padding, bias=False))
            layers.append(batch_norm(nn.BatchNorm2d, width, conditional, num_classes))
            layers += [make_activation(activation, slope), *make_dropout(dropout)]
            width_in, stride, padding = width, 2, 1
        doubles = last_stride == 2
        last = nn.ConvTranspose2d(width_in, channels, 4 if doubles else 3, last_stride, 1, bias=not doubles)
        self.layers = LabelledSequential(*layers, last, nn.Tanh())

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, latent_dim), and labels (N,) if conditional, to images (N, C, S, S) in [-1, 1]."""
        images: Tensor = self.layers(latents, labels)
        return images


class DCGAN64Discriminator(nn.Module):
    """The generator mirrored: strided 4×4 convolutions, each halving the resolution.

    Args:
        sample_shape: (C, S, S) with S = 4 · 2^len(widths).
        widths: channels, the last at 4×4.
        norm: behind each convolution but the last: batch (as in the text), none, layer, instance, group, or spectral,
            which normalizes the weights of all layers. Hidden convolutions have a bias where the norm brings none.
        norm_from: the number, from 0, of the first convolution with a norm behind it; 1 as Radford et al. have it.
        minibatch_std: size of the groups whose spread the last layer sees; 0: it does not.
        conditional: none, concat (the label beside the image, in planes) or projection (in the last layer).
        num_classes: of the labels.

    Raises:
        ValueError: the resolution is not 4 · 2^len(widths).
    """

    def __init__(
        self,
        sample_shape: Sequence[int],
        widths: Sequence[int] = (64, 128, 256, 512),
        activation: str = "leaky_relu",
        slope: float = 0.2,
        dropout: float = 0.0,
        norm: str = "batch",
        norm_from: int = 0,
        minibatch_std: int = 0,
        conditional: str = "none",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        channels, size, _ = sample_shape
        _check_resolution(size, widths, len(widths), "discriminator")
        width_in = channels + num_joined(conditional, num_classes)
        layers = join(conditional, num_classes)
        for number, width in enumerate(widths):
            behind = map_norm(norm, width)
            layers.append(weighted(nn.Conv2d(width_in, width, 4, 2, 1, bias=not behind), norm))
            layers += behind if number >= norm_from else []
            layers += [make_activation(activation, slope), *make_dropout(dropout)]
            width_in = width
        layers += make_minibatch_std(minibatch_std)
        width_in += minibatch_std > 0
        last = weighted(nn.Conv2d(width_in, 1, 4, 1, 0, bias=False), norm)
        self.layers = LabelledSequential(
            *layers, head(last, width_in, conditional, num_classes, norm, places=16), nn.Flatten(0)
        )

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, C, S, S), and labels (N,) if conditional, to logits (N,)."""
        logits: Tensor = self.layers(samples, labels)
        return logits


def _check_resolution(size: int, widths: Sequence[int], doublings: int, network: str) -> None:
    if not widths:
        raise ValueError(f"model.{network}.widths must have at least one entry")
    fitting = 4 * 2**doublings
    if size != fitting:
        raise ValueError(
            f"model.{network}.widths has {len(widths)} entries, which makes images of {fitting} pixels, "
            f"and model.resolution is {size}: change one of the two"
        )
