"""Fully connected networks, for images and vectors.

CS231n's GAN on MNIST at the default widths; a linear generator and a small tanh discriminator are D2L's 2-D example.
"""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from gan_cli.models.conditional import LabelledSequential, head, join, num_joined
from gan_cli.models.layers import activation as make_activation
from gan_cli.models.layers import dropout as make_dropout
from gan_cli.models.layers import vector_norm, weighted
from gan_cli.models.minibatch_std import minibatch_std as make_minibatch_std


class MLPGenerator(nn.Module):
    """Linear layers; a tanh at the end for images, nothing for vectors, whose range is not known.

    Args:
        latent_dim: length of a latent.
        sample_shape: (C, H, W) for images in [-1, 1], (D,) for vectors.
        widths: of the hidden layers; none makes an affine map.
        conditional: none, or in any way: the label stands beside the latent, as there is no BatchNorm to take it in.
        num_classes: of the labels.
    """

    def __init__(
        self,
        latent_dim: int,
        sample_shape: Sequence[int],
        widths: Sequence[int] = (1024, 1024),
        activation: str = "relu",
        slope: float = 0.01,
        dropout: float = 0.0,
        conditional: str = "none",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        beside = "none" if conditional == "none" else "concat"
        width_in = latent_dim + num_joined(beside, num_classes)
        layers = [*join(beside, num_classes), *_hidden_layers(width_in, widths, activation, slope, dropout)]
        layers.append(nn.Linear(widths[-1] if widths else width_in, prod(sample_shape)))
        if len(sample_shape) == 3:
            layers.append(nn.Tanh())
        self.layers = LabelledSequential(*layers, nn.Unflatten(1, tuple(sample_shape)))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, latent_dim), and labels (N,) if conditional, to samples (N, *sample_shape)."""
        samples: Tensor = self.layers(latents, labels)
        return samples


class MLPDiscriminator(nn.Module):
    """Linear layers on the flattened sample.

    Args:
        sample_shape: (C, H, W) or (D,).
        widths: of the hidden layers.
        norm: of each hidden layer, before its activation: none, batch, layer, group, or spectral, which normalizes the
            weights of all layers.
        minibatch_std: size of the groups whose spread the last layer sees; 0: it does not.
        conditional: none, concat (the label beside the sample) or projection (in the last layer).
        num_classes: of the labels.

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
        minibatch_std: int = 0,
        conditional: str = "none",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        if norm == "instance":
            raise ValueError(
                "norm=instance normalizes the maps of convolutions, and fully connected layers have none: "
                "model.discriminator.norm=layer or group"
            )
        width_in = prod(sample_shape) + num_joined(conditional, num_classes)
        layers = [*join(conditional, num_classes), *_hidden_layers(width_in, widths, activation, slope, dropout, norm)]
        layers += make_minibatch_std(minibatch_std)
        width = (widths[-1] if widths else width_in) + (minibatch_std > 0)
        layers.append(head(weighted(nn.Linear(width, 1), norm), width, conditional, num_classes, norm))
        self.layers = LabelledSequential(nn.Flatten(), *layers, nn.Flatten(0))

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples (N, *sample_shape), and labels (N,) if conditional, to logits (N,)."""
        logits: Tensor = self.layers(samples, labels)
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
