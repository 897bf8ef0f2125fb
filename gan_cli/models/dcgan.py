"""The course DCGAN of CS231n, for 28×28 images and other multiples of 4.

A descendant of Radford et al. 2016, arXiv:1511.06434, that keeps fully connected layers and pools in the discriminator.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from gan_cli.models.conditional import LabelledSequential, batch_norm, head, join, num_joined
from gan_cli.models.layers import RISING, map_norm, vector_norm, weighted
from gan_cli.models.layers import activation as make_activation
from gan_cli.models.layers import dropout as make_dropout
from gan_cli.models.minibatch_std import minibatch_std as make_minibatch_std


class DCGANGenerator(nn.Module):
    """Two linear layers to a small map, then transposed convolutions that double it, BatchNorm after each activation.

    Args:
        latent_dim: length of a latent.
        sample_shape: (C, S, S), S a multiple of 2^len(widths).
        hidden: width of the first linear layer.
        widths: channels; widths[0] at resolution S / 2^len(widths), each further entry at twice the resolution.
        conditional: none, concat (the label beside the latent) or projection (in every BatchNorm).
        num_classes: of the labels.

    Raises:
        ValueError: the resolution does not halve len(widths) times.
    """

    def __init__(
        self,
        latent_dim: int,
        sample_shape: Sequence[int],
        hidden: int = 1024,
        widths: Sequence[int] = (128, 64),
        activation: str = "relu",
        slope: float = 0.01,
        dropout: float = 0.0,
        conditional: str = "none",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        channels, size, _ = sample_shape
        base, rest = divmod(size, 2 ** len(widths))
        if not widths:
            raise ValueError("model.generator.widths must have at least one entry")
        if rest:
            raise ValueError(
                f"model.resolution must be a multiple of {2 ** len(widths)} for the generator's {len(widths)} widths, "
                f"got {size}"
            )

        def tail(kind: type[nn.Module], features: int) -> list[nn.Module]:
            norm = batch_norm(kind, features, conditional, num_classes)
            return [make_activation(activation, slope), norm, *make_dropout(dropout)]

        map_size, width_in = widths[0] * base * base, latent_dim + num_joined(conditional, num_classes)
        layers = [*join(conditional, num_classes), nn.Linear(width_in, hidden), *tail(nn.BatchNorm1d, hidden)]
        layers += [nn.Linear(hidden, map_size), *tail(nn.BatchNorm1d, map_size)]
        layers.append(nn.Unflatten(1, (widths[0], base, base)))
        for width_in, width in pairwise(widths):
            layers += [nn.ConvTranspose2d(width_in, width, 4, 2, 1), *tail(nn.BatchNorm2d, width)]
        self.layers = LabelledSequential(*layers, nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh())

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, latent_dim), and labels (N,) if conditional, to images (N, C, S, S) in [-1, 1]."""
        images: Tensor = self.layers(latents, labels)
        return images


class DCGANDiscriminator(nn.Module):
    """5×5 convolutions, each with a 2×2 max pooling, then two linear layers.

    Args:
        sample_shape: (C, S, S).
        hidden: width of the linear layer.
        widths: channels of the convolutions; each takes the resolution from s to (s - 4) / 2.
        norm: of each hidden layer, before its activation: none (as in the course), batch, layer, instance, group, or
            spectral, which normalizes the weights of all layers.
        minibatch_std: size of the groups whose spread the linear layers see; 0: they do not.
        conditional: none, concat (the label beside the image, in planes) or projection (in the last layer).
        num_classes: of the labels.

    Raises:
        ValueError: nothing is left of the image after the last pooling.
    """

    def __init__(
        self,
        sample_shape: Sequence[int],
        hidden: int = 1024,
        widths: Sequence[int] = (32, 64),
        activation: str = "leaky_relu",
        slope: float = 0.01,
        dropout: float = 0.0,
        norm: str = "none",
        minibatch_std: int = 0,
        conditional: str = "none",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        channels, size, _ = sample_shape
        channels += num_joined(conditional, num_classes)
        layers = join(conditional, num_classes)
        left, rising = size, activation in RISING and slope >= 0
        for width in widths:
            layers += [weighted(nn.Conv2d(channels, width, 5), norm), *map_norm(norm, width)]
            layers += [*_pooled(make_activation(activation, slope), rising), *make_dropout(dropout)]
            channels, left = width, (left - 4) // 2
            if left < 1:
                raise ValueError(
                    f"model.discriminator.widths has {len(widths)} entries, more 5×5 convolutions than an image of "
                    f"{size} pixels allows: give fewer, or a larger model.resolution"
                )
        layers += [*make_minibatch_std(minibatch_std), nn.Flatten()]
        features = (channels + (minibatch_std > 0)) * left * left
        layers += [weighted(nn.Linear(features, hidden), norm), *vector_norm(norm, hidden)]
        layers += [make_activation(activation, slope), *make_dropout(dropout)]
        layers.append(head(weighted(nn.Linear(hidden, 1), norm), hidden, conditional, num_classes, norm))
        self.layers = LabelledSequential(*layers, nn.Flatten(0))

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, C, S, S), and labels (N,) if conditional, to logits (N,)."""
        logits: Tensor = self.layers(samples, labels)
        return logits


def _pooled(activation: nn.Module, rising: bool) -> list[nn.Module]:
    """An activation and the 2×2 max pooling behind it. One that rises gives the same numbers behind the pooling, from
    a quarter of the work."""
    return [nn.MaxPool2d(2), activation] if rising else [activation, nn.MaxPool2d(2)]
