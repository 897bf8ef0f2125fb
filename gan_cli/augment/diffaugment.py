"""DiffAugment: color, translation and cutout, by the same strength from the first step to the last."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli.augment import Augment
from gan_cli.bounds import bounded
from gan_cli.streams import Draws


@dataclass(frozen=True)
class DiffAugment(Augment):
    """Every image recolored, shifted and partly blanked, in this order, each by numbers of its own.

    What is shifted in and what is cut out is 0, which in [-1, 1] is middle grey, as published. At every setting off
    (color=false, translation=0, cutout=0) images stay as they are.

    Args:
        color: brightness, saturation and contrast, `recolored`.
        translation: the longest shift along each side, as a share of that side; rounded to whole pixels.
        cutout: the sides of the blanked rectangle as shares of the image's; rounded to whole pixels. Its center is
            anywhere in the image, so part of it may lie outside.

    Source: Zhao et al. 2020, arXiv:2006.10738, section 3.2, as strong as the authors publish it; cutout: DeVries and
    Taylor 2017, arXiv:1708.04552.
    """

    color: bool = True
    translation: float = bounded(0.125, ge=0, le=1)
    cutout: float = bounded(0.5, ge=0, le=1)

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        if self.color:
            images = recolored(images, draws)
        if self.translation:
            images = translated(images, self.translation, draws)
        if self.cutout:
            images = cut_out(images, self.cutout, draws)
        return images


def recolored(images: Tensor, draws: Draws) -> Tensor:
    """Brighter or darker, then more or less saturated, then of more or less contrast.

        x + b        b ~ U(-½, ½)
        s · (x - mean(x)) + mean(x)        s ~ U(0, 2), the mean of each pixel over its channels
        c · (x - mean(x)) + mean(x)        c ~ U(½, 3/2), the mean of the whole image

    Saturation leaves images of one channel as they are.
    """

    def uniform(name: str) -> Tensor:
        return draws.uniform(f"augment/{name}", (len(images), 1, 1, 1)).to(images.dtype)

    images = images + (uniform("brightness") - 0.5)
    images = _spread(images, images.mean(1, keepdim=True), 2 * uniform("saturation"))
    return _spread(images, images.mean((1, 2, 3), keepdim=True), uniform("contrast") + 0.5)


def _spread(images: Tensor, center: Tensor, factor: Tensor) -> Tensor:
    return factor * (images - center) + center


def translated(images: Tensor, share: float, draws: Draws) -> Tensor:
    """Shifted by whole pixels, each number of them up to share · size equally likely, with 0 shifted in."""
    height, width = images.shape[2:]
    down, right = draws.uniform("augment/translation", (len(images), 2)).unbind(1)
    images = _shifted(images, _whole(down, _pixels(share, height)), 2)
    return _shifted(images, _whole(right, _pixels(share, width)), 3)


def _whole(uniform: Tensor, most: int) -> Tensor:
    """Numbers uniform on [0, 1) to whole numbers from -most to most, all equally likely."""
    return (uniform * (2 * most + 1)).long() - most


def _shifted(images: Tensor, shift: Tensor, dim: int) -> Tensor:
    size = images.shape[dim]
    source = torch.arange(size, device=shift.device) - shift[:, None]
    along = [len(images), 1, 1, 1]
    along[dim] = size
    taken = images.gather(dim, source.clamp(0, size - 1).view(along).expand_as(images))
    return torch.where(((source >= 0) & (source < size)).view(along), taken, 0.0)


def cut_out(images: Tensor, share: float, draws: Draws) -> Tensor:
    """With a rectangle of 0, share · height by share · width, around a point of the image."""
    height, width = images.shape[2:]
    down, right = draws.uniform("augment/cutout", (len(images), 2)).unbind(1)
    rows, columns = _strip(down, _pixels(share, height), height), _strip(right, _pixels(share, width), width)
    return torch.where((rows[:, :, None] & columns[:, None, :]).unsqueeze(1), 0.0, images)


def _strip(uniform: Tensor, length: int, size: int) -> Tensor:
    """Which of `size` places lie in a strip of `length` around one of them, or around one of the lines between them.

    A strip of even length has its center on a line; the two outermost lines count.
    """
    center = (uniform * (size + 1 - length % 2)).long()
    start = (center - length // 2)[:, None]
    places = torch.arange(size, device=uniform.device)
    return (places >= start) & (places < start + length)


def _pixels(share: float, size: int) -> int:
    return int(share * size + 0.5)
