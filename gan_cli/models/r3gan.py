"""The networks of R3GAN: residual, without any normalization, as plain as a modern GAN can be.

Source: Huang et al. 2024, arXiv:2501.05441, section 3 and appendix D; widths are chosen for small pictures.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan_cli.models.conditional import LabelledSequential, head, join, num_joined
from gan_cli.models.minibatch_std import minibatch_std as make_minibatch_std

_SLOPE = 0.2  # of leaky ReLU
_GAIN = (2 / (1 + _SLOPE**2)) ** 0.5  # keeps the variance of what passes a layer and its leaky ReLU


class R3GANGenerator(nn.Module):
    """Learned maps scaled by the latent, then residual stages, each at twice the resolution of the one before.

    The output is linear: values outside [-1, 1] are unlearned rather than made impossible.

    Args:
        latent_dim: length of a latent.
        sample_shape: (C, S, S), S a multiple of 2^(len(widths) - 1).
        widths: channels of the stages, from the smallest resolution, S / 2^(len(widths) - 1), to S.
        blocks: residual blocks in a stage.
        expansion: channels inside a block, as a multiple of its width.
        group_size: channels in a group of the 3×3 convolutions.
        conditional: none, or in any way: the label stands beside the latent, as there is no BatchNorm to take it in.
        num_classes: of the labels.

    Raises:
        ValueError: the resolution does not halve so often, or the groups do not divide the channels.
    """

    def __init__(
        self,
        latent_dim: int,
        sample_shape: Sequence[int],
        widths: Sequence[int] = (128, 96, 64),
        blocks: int = 2,
        expansion: int = 2,
        group_size: int = 16,
        conditional: str = "none",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        channels, size, _ = sample_shape
        base = _base_size(size, widths, "generator")
        beside = "none" if conditional == "none" else "concat"
        width_in = latent_dim + num_joined(beside, num_classes)
        total = blocks * len(widths)
        layers = [*join(beside, num_classes), Basis(width_in, widths[0], base)]
        layers += stage(widths[0], blocks, total, expansion, group_size)
        for width, wider in pairwise(widths):
            layers += [*_change(width, wider), Resample(2.0), *stage(wider, blocks, total, expansion, group_size)]
        self.layers = LabelledSequential(*layers, _convolution(widths[-1], channels, 1, gain=1.0, bias=False))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, latent_dim), and labels (N,) if conditional, to images (N, C, S, S) around [-1, 1]."""
        images: Tensor = self.layers(latents, labels)
        return images


class R3GANDiscriminator(nn.Module):
    """The generator mirrored: residual stages, each at half the resolution, then one weight map for each channel.

    Args:
        sample_shape: (C, S, S), S a multiple of 2^(len(widths) - 1).
        widths: channels of the stages, from S to the smallest resolution.
        blocks, expansion, group_size: as of the generator.
        minibatch_std: size of the groups whose spread the last layers see; 0: they do not.
        conditional: none, concat (the label beside the image, in planes) or projection (in the last layer).
        num_classes: of the labels.

    Raises:
        ValueError: as the generator.
    """

    def __init__(
        self,
        sample_shape: Sequence[int],
        widths: Sequence[int] = (64, 96, 128),
        blocks: int = 2,
        expansion: int = 2,
        group_size: int = 16,
        minibatch_std: int = 0,
        conditional: str = "none",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        channels, size, _ = sample_shape
        base = _base_size(size, widths, "discriminator")
        total = blocks * len(widths)
        layers = join(conditional, num_classes)
        width_in = channels + num_joined(conditional, num_classes)
        layers.append(_convolution(width_in, widths[0], 1, gain=1.0, bias=False))
        layers += stage(widths[0], blocks, total, expansion, group_size)
        for width, wider in pairwise(widths):
            layers += [Resample(0.5), *_change(width, wider), *stage(wider, blocks, total, expansion, group_size)]
        layers += make_minibatch_std(minibatch_std)
        features = widths[-1] + (minibatch_std > 0)
        layers += [_convolution(features, features, base, gain=1.0, groups=features, bias=False), nn.Flatten()]
        output = nn.Linear(features, 1, bias=False)
        nn.init.normal_(output.weight, 0.0, features**-0.5)
        last = head(output, features, conditional, num_classes, "none")
        self.layers = LabelledSequential(*layers, last, nn.Flatten(0))

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, C, S, S), and labels (N,) if conditional, to logits (N,)."""
        logits: Tensor = self.layers(samples, labels)
        return logits


class Residual(nn.Module):
    """x + f(x), f of three convolutions 1×1, 3×3 in groups, 1×1 with leaky ReLUs between them.

    Fix-up initialization takes the place of normalization: the last convolution starts at 0, so that every block starts
    as the identity, and the other two are scaled down by L^(-1/4) for L blocks in the network (Zhang et al. 2019,
    arXiv:1901.09321: L^(-1/(2m-2)) for m layers in a block, here m = 3).
    """

    def __init__(self, width: int, inner: int, groups: int, total_blocks: int) -> None:
        super().__init__()
        gain = _GAIN * total_blocks**-0.25
        self.layers = nn.Sequential(
            _convolution(width, inner, 1, gain),
            nn.LeakyReLU(_SLOPE),
            _convolution(inner, inner, 3, gain, groups=groups, padding=1),
            nn.LeakyReLU(_SLOPE),
            _convolution(inner, width, 1, gain=0.0, bias=False),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, width, H, W) to the same shape."""
        result: Tensor = inputs + self.layers(inputs)
        return result


class Basis(nn.Module):
    """Learned maps, each scaled by a linear function of the latent."""

    def __init__(self, width_in: int, width: int, size: int) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.empty(width, size, size))
        self.scale = nn.Linear(width_in, width, bias=False)
        nn.init.normal_(self.maps)
        nn.init.normal_(self.scale.weight, 0.0, width_in**-0.5)

    def forward(self, latents: Tensor) -> Tensor:
        """(N, width_in) to (N, width, size, size)."""
        scaled: Tensor = self.maps * self.scale(latents)[:, :, None, None]
        return scaled


class Resample(nn.Module):
    """Bilinear, to `factor` times the resolution; at ½ it is the 2×2 mean (the authors' filter is wider)."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, factor · H, factor · W)."""
        return interpolate(maps, scale_factor=self.factor, mode="bilinear", align_corners=False)


def stage(width: int, blocks: int, total_blocks: int, expansion: int, group_size: int) -> list[nn.Module]:
    """The residual blocks of one resolution."""
    inner = width * expansion
    if inner % group_size:
        raise ValueError(
            f"group_size={group_size} must divide the {inner} channels inside a block (width {width}, expansion "
            f"{expansion})"
        )
    return [Residual(width, inner, inner // group_size, total_blocks) for _ in range(blocks)]


def _change(width: int, other: int) -> list[nn.Module]:
    return [] if width == other else [_convolution(width, other, 1, gain=1.0, bias=False)]


def _convolution(
    width_in: int, width: int, size: int, gain: float, groups: int = 1, padding: int = 0, bias: bool = True
) -> nn.Module:
    """A convolution whose weights are N(0, gain² / fan-in) and whose biases are 0."""
    layer = nn.Conv2d(width_in, width, size, padding=padding, groups=groups, bias=bias)
    nn.init.normal_(layer.weight, 0.0, gain * (width_in // groups * size**2) ** -0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _base_size(size: int, widths: Sequence[int], network: str) -> int:
    if not widths:
        raise ValueError(f"model.{network}.widths must have at least one entry")
    factor: int = 2 ** (len(widths) - 1)
    base, rest = divmod(size, factor)
    if rest or not base:
        raise ValueError(
            f"model.resolution must be a multiple of {factor} for the {network}'s {len(widths)} widths, got {size}"
        )
    return base
