"""The geometry of ADA: where each pixel of what the critic sees lies in the image."""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from gan_cli.augment.homogeneous import matrix, product
from gan_cli.streams import Draws


@dataclass(frozen=True)
class Geometry:
    """How each of N images is moved, in this order; every entry 0 leaves an image where it is.

    Attributes:
        mirror: 1 where left and right change places.
        quarters: of a turn, 0 to 3, counterclockwise.
        shift: to the right and down, as shares of width and height, (N, 2); rounded to whole pixels.
        zoom: s, to 2^s times the size.
        first_angle: of a rotation counterclockwise, in radians.
        stretch: s, to 2^s times the width and 2^-s times the height.
        second_angle: of another rotation.
        drift: as `shift`, without rounding.
    """

    mirror: Tensor
    quarters: Tensor
    shift: Tensor
    zoom: Tensor
    first_angle: Tensor
    stretch: Tensor
    second_angle: Tensor
    drift: Tensor

    @classmethod
    def drawn(cls, draws: Draws, count: int, p: float | Tensor) -> Self:
        """Each of the moves with probability p; the two rotations with 1 - √(1-p) each, so that p is that of any.

        Then all that may be drawn is equally likely, standing still included: p/2 of the images are seen mirrored, and
        3p/4 turned by quarters. Shifts are U(-1/8, 1/8), zoom and stretch N(0, 0.2²), angles U(-π, π) and drifts
        N(0, (1/8)²).
        """
        chance = draws.uniform("augment/geometry/happens", (count, 8))
        moves = (chance[:, :6] < p).unbind(1)
        turns = (chance[:, 6:] < 1 - (1 - p) ** 0.5).unbind(1)
        uniform = draws.uniform("augment/geometry/uniform", (count, 6))
        normal = draws.normal("augment/geometry/normal", (count, 4))
        angles = 2 * math.pi * (uniform[:, 4:] - 0.5)
        return cls(
            mirror=moves[0] * (2 * uniform[:, 0]).floor(),
            quarters=moves[1] * (4 * uniform[:, 1]).floor(),
            shift=moves[2][:, None] * 0.25 * (uniform[:, 2:4] - 0.5),
            zoom=moves[3] * 0.2 * normal[:, 0],
            first_angle=turns[0] * angles[:, 0],
            stretch=moves[4] * 0.2 * normal[:, 1],
            second_angle=turns[1] * angles[:, 1],
            drift=moves[5][:, None] * 0.125 * normal[:, 2:],
        )

    def way_back(self, height: int, width: int) -> Tensor:
        """Matrices (N, 3, 3) from pixels of what is seen to points of the image: (x, y, 1), from the center, y down."""
        shift_x, shift_y = self.shift.unbind(1)
        drift_x, drift_y = self.drift.unbind(1)
        return product(
            scaled(1 - 2 * self.mirror, torch.ones_like(self.mirror)),
            quarter_turned(self.quarters),
            moved(-(shift_x * width).round(), -(shift_y * height).round()),
            scaled(torch.exp2(-self.zoom), torch.exp2(-self.zoom)),
            turned(self.first_angle),
            scaled(torch.exp2(-self.stretch), torch.exp2(self.stretch)),
            turned(self.second_angle),
            moved(-drift_x * width, -drift_y * height),
        )


def scaled(x: Tensor, y: Tensor) -> Tensor:
    """Points farther from the center by these factors."""
    return matrix((x, 0.0, 0.0), (0.0, y, 0.0), (0.0, 0.0, 1.0))


def moved(x: Tensor, y: Tensor) -> Tensor:
    """Points that far to the right and down."""
    return matrix((1.0, 0.0, x), (0.0, 1.0, y), (0.0, 0.0, 1.0))


def turned(angle: Tensor) -> Tensor:
    """Points clockwise: what is seen there is then counterclockwise of where it was."""
    return _turned(angle.cos(), angle.sin())


def quarter_turned(quarters: Tensor) -> Tensor:
    """As `turned`, by exact quarters of a turn."""
    turns = (quarters == 0, quarters == 1, quarters == 2, quarters == 3)
    east, north, west, south = (turn.to(quarters.dtype) for turn in turns)
    return _turned(east - west, north - south)


def _turned(cos: Tensor, sin: Tensor) -> Tensor:
    return matrix((cos, -sin, 0.0), (sin, cos, 0.0), (0.0, 0.0, 1.0))


def resampled(images: Tensor, way_back: Tensor) -> Tensor:
    """Images seen through a map of their pixels: bilinear between pixels, mirrored about the outermost ones.

    By four gathers, which can be differentiated any number of times, as penalties need: torch 2.11 cannot
    differentiate `grid_sample` twice (2.14 can). Pixels are counted from the center in whole or half numbers, which
    float32 holds exactly: where a pixel falls upon a pixel, its value is passed on bit by bit.

    Args:
        images: (N, C, H, W).
        way_back: (N, 3, 3), float32 or float64; see `Geometry.way_back`.
    """
    height, width = images.shape[2:]
    x = torch.arange(width, device=images.device) - (width - 1) / 2
    y = torch.arange(height, device=images.device)[:, None] - (height - 1) / 2
    to_x, to_y = way_back[:, :2, :, None, None].unbind(1)
    left, across = _cell(to_x[:, 0] * x + to_x[:, 1] * y + to_x[:, 2] + (width - 1) / 2)
    top, down = _cell(to_y[:, 0] * x + to_y[:, 1] * y + to_y[:, 2] + (height - 1) / 2)
    columns, rows = _inside(left, width), _inside(top, height)
    pixels = images.flatten(2)

    def between(row: Tensor) -> Tensor:
        index = (row * width + torch.stack(columns)).flatten(2).unsqueeze(2)
        first, second = (pixels.gather(2, places.expand_as(pixels)) for places in index)
        return first * (1 - across) + second * across

    upper, lower = map(between, rows)
    return (upper * (1 - down) + lower * down).view_as(images)


def _cell(at: Tensor) -> tuple[Tensor, Tensor]:
    """The pixel before each place (N, H, W), and how much of the way to the next the place is, (N, 1, H · W)."""
    before = at.floor()
    return before.long(), (at - before).flatten(1).unsqueeze(1)


def _inside(index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The pixels at an index and after it, of an image that is followed by its mirror image, and so on."""
    period = max(2 * size - 2, 1)
    first, second = index.remainder(period), (index + 1).remainder(period)
    return torch.minimum(first, period - first), torch.minimum(second, period - second)
