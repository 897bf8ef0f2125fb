"""The colors of ADA: an affine map of each pixel's channels."""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from gan_cli.augment.homogeneous import matrix, product
from gan_cli.streams import Draws


@dataclass(frozen=True)
class Color:
    """How each of N images is recolored, in this order; every entry 0 leaves an image as it is.

    Attributes:
        brightness: what is added to every channel.
        contrast: c, every channel times 2^c.
        flip: 1 where light and dark change places and hue and saturation stay.
        hue: the angle of a rotation about the axis of greys, in radians.
        saturation: s, the distance from that axis times 2^s.
    """

    brightness: Tensor
    contrast: Tensor
    flip: Tensor
    hue: Tensor
    saturation: Tensor

    @classmethod
    def drawn(cls, draws: Draws, count: int, p: float | Tensor) -> Self:
        """Each of the changes with probability p; of the flip, p/2 are seen, standing still being as likely.

        Brightness is N(0, 0.2²), contrast N(0, 0.5²), hue U(-π, π) and saturation N(0, 1).
        """
        happens = (draws.uniform("augment/color/happens", (count, 5)) < p).unbind(1)
        uniform = draws.uniform("augment/color/uniform", (count, 2))
        normal = draws.normal("augment/color/normal", (count, 3))
        return cls(
            brightness=happens[0] * 0.2 * normal[:, 0],
            contrast=happens[1] * 0.5 * normal[:, 1],
            flip=happens[2] * (2 * uniform[:, 0]).floor(),
            hue=happens[3] * 2 * math.pi * (uniform[:, 1] - 0.5),
            saturation=happens[4] * normal[:, 2],
        )

    def of_rgb(self) -> Tensor:
        """Matrices (N, 4, 4) of (red, green, blue, 1)."""
        return product(
            saturated(torch.exp2(self.saturation)),
            hue_turned(self.hue),
            luma_flipped(self.flip),
            contrasted(torch.exp2(self.contrast)),
            brightened(self.brightness),
        )

    def of_grey(self) -> Tensor:
        """Matrices (N, 2, 2) of (grey, 1), in which hue and saturation have no part."""
        gain = (1 - 2 * self.flip) * torch.exp2(self.contrast)
        return matrix((gain, gain * self.brightness), (0.0, 1.0))


def brightened(by: Tensor) -> Tensor:
    """Every channel plus a number."""
    return matrix((1.0, 0.0, 0.0, by), (0.0, 1.0, 0.0, by), (0.0, 0.0, 1.0, by), (0.0, 0.0, 0.0, 1.0))


def contrasted(factor: Tensor) -> Tensor:
    """Every channel times a number."""
    return _about_grey(factor, torch.zeros_like(factor), torch.zeros_like(factor))


def luma_flipped(flip: Tensor) -> Tensor:
    """Mirrored at the plane through 0 across the axis of greys where `flip` is 1: I - 2 v vᵀ, v = (1, 1, 1) / √3."""
    return _about_grey(torch.ones_like(flip), -2 * flip, torch.zeros_like(flip))


def hue_turned(angle: Tensor) -> Tensor:
    """Turned about the axis of greys (Rodrigues' formula): cos I + (1 - cos) v vᵀ + sin [v]×."""
    return _about_grey(angle.cos(), 1 - angle.cos(), angle.sin())


def saturated(factor: Tensor) -> Tensor:
    """The distance from the axis of greys times a number: v vᵀ + factor (I - v vᵀ)."""
    return _about_grey(factor, 1 - factor, torch.zeros_like(factor))


def _about_grey(same: Tensor, grey: Tensor, across: Tensor) -> Tensor:
    """same · I + grey · v vᵀ + across · [v]×, and with (1, 0, 0) exactly the identity: every map that turns with v."""
    third, cross = grey / 3, across / math.sqrt(3)
    diagonal, after, before = same + third, third + cross, third - cross
    return matrix(
        (diagonal, before, after, 0.0),
        (after, diagonal, before, 0.0),
        (before, after, diagonal, 0.0),
        (0.0, 0.0, 0.0, 1.0),
    )


def recolored(images: Tensor, color: Color) -> Tensor:
    """Images (N, C, H, W) by their matrices; hue and saturation are those of three channels."""
    if images.shape[1] != 3:
        gain, offset = color.of_grey()[:, :1, :, None, None].unbind(2)
        return gain * images + offset
    matrices = color.of_rgb()
    mixed = (matrices[:, :3, :3, None, None] * images.unsqueeze(1)).sum(2)
    return mixed + matrices[:, :3, 3, None, None]
