"""An unpaired pair that needs no download: MNIST's digits, and other digits of it in dark colors on bright grounds."""

from dataclasses import replace

import torch
from torch import Tensor

from gan_cli.data import mnist
from gan_cli.data.dataset import Dataset, Judges
from gan_cli.data.origin import Origin
from gan_cli.data.unpaired import Unpaired
from gan_cli.streams import Streams

ORIGIN: Origin = replace(mnist.ORIGIN, name="MNIST, and other digits of it that gan-cli has colored")

_CHUNK = 4096  # images mixed at once: bounds the memory of the float copy


def load(split: str = "train", data_seed: int = 0) -> Unpaired:
    """Two halves of MNIST, uint8 (N, 3, 28, 28): a is white on black, b in color; no digit is in both.

    a holds the images at even places of the split, b those at odd places, 30,000 each of the training and 5,000 of the
    test images; both with their labels.

    Args:
        split: "train" or "test".
        data_seed: the colors depend on it and not on the run's seed.
    """
    digits = mnist.load(split)
    plain, colored = (_every_second(digits, start) for start in (0, 1))
    grey = replace(plain, samples=plain.samples.repeat(1, 3, 1, 1))
    return Unpaired(grey, replace(colored, samples=recolored(colored.samples, data_seed)))


def recolored(digits: Tensor, data_seed: int = 0) -> Tensor:
    """Each digit in a color of its own on a ground of its own.

        ground + digit / 255 · (ink - ground)

    The ground is bright and pale, of any hue; the ink dark and strong, of nearly the opposite hue.

    Args:
        digits: uint8 (N, 1, H, W), white on black.
        data_seed: image i's colors depend on it and on i alone.

    Returns:
        uint8 (N, 3, H, W).
    """
    draws = Streams(data_seed, torch.device("cpu")).draws("data/digits_recoloured", 0)
    hue, turn, paleness, strength = draws.uniform("colors", (len(digits), 4)).unbind(1)
    ground = _rgb(hue, 0.4 - 0.2 * paleness, 0.92 + 0.08 * paleness)
    ink = _rgb(hue + 0.4 + 0.2 * turn, 0.75 + 0.25 * strength, 0.25 + 0.25 * strength)
    parts = zip(*(whole.split(_CHUNK) for whole in (digits, ground, ink)), strict=True)
    return torch.cat([_mixed(*part) for part in parts])


def uncolored(images: Tensor) -> Tensor:
    """Digits of either domain, or translated to it, as MNIST has them: how far from the ground pixels are.

        255 · |x - ground| / max |x - ground|        |·| the length over channels, the maximum over an image's pixels

    The ground is, channel by channel, the median of the pixels on the image's edge. Of `recolored` digits it is the
    inverse, but for rounding and the brightness of digits that are not 255 anywhere.

    Args:
        images: uint8 (N, 3, H, W).

    Returns:
        uint8 (N, 1, H, W), white on black; an image of one color is black.
    """
    values = images.float()
    edge = torch.cat([values[..., 0, :], values[..., -1, :], values[..., 0], values[..., -1]], -1)
    ground = edge.median(-1).values[..., None, None]
    distance: Tensor = torch.linalg.vector_norm(values - ground, dim=1, keepdim=True)
    return (255 * distance / distance.amax((1, 2, 3), keepdim=True).clamp(min=1)).round().to(torch.uint8)


def _mixed(digits: Tensor, ground: Tensor, ink: Tensor) -> Tensor:
    levels: Tensor = 255 * ground + digits * (ink - ground)
    return levels.round().to(torch.uint8)


def _rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Colors (N,) of the HSV cone, hue in turns, as red, green and blue in [0, 1], (N, 3, 1, 1).

    Source: Smith 1978, "Color gamut transform pairs", the hexcone model.
    """
    sixth = (torch.tensor([5.0, 3.0, 1.0]) + 6 * hue[:, None]) % 6
    weakened = torch.minimum(sixth, 4 - sixth).clamp(0, 1)
    colors: Tensor = value[:, None] * (1 - saturation[:, None] * weakened)
    return colors[..., None, None]


def _every_second(digits: Dataset, start: int) -> Dataset:
    assert digits.labels is not None
    return replace(digits, samples=digits.samples[start::2], labels=digits.labels[start::2], judges=Judges())
