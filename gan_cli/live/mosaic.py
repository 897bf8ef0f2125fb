"""Several samples side by side, as large as the terminal lets them be."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli import images
from gan_cli.live.half_blocks import NOTHING
from gan_cli.live.shrink import shrunk

_GAP = 1  # pixels between samples
_ENOUGH = 6  # samples: with so many, larger ones are worth more than further ones
_SMALLEST = 8  # pixels: below that nothing can be told


@dataclass(frozen=True)
class Layout:
    """Rows and columns of samples, and the height and width in pixels of each."""

    rows: int
    columns: int
    height: int
    width: int


def layout(height: int, width: int, room: tuple[int, int], most: int) -> Layout | None:
    """How to show samples of a size in a room of (height, width) pixels; None where not even a small one fits.

    No sample is enlarged. Where six fit or more, they are as large as six can be.

    Args:
        most: there are so many samples.
    """
    found = [_with_rows(rows, height, width, room, most) for rows in range(1, most + 1)]
    fitting = [one for one in found if one is not None]
    return max(fitting, key=lambda one: (min(_ENOUGH, one.rows * one.columns), one.height, one.columns), default=None)


def _with_rows(rows: int, height: int, width: int, room: tuple[int, int], most: int) -> Layout | None:
    """The largest samples in so many rows: of the heights that the room has for them, the first that gives enough."""
    tallest = min(height, (room[0] + _GAP) // rows - _GAP)
    best = None
    for high in range(tallest, min(_SMALLEST, height) - 1, -1):
        wide = max(1, round(width * high / height))
        columns = min((room[1] + _GAP) // (wide + _GAP), most // rows)
        if columns and (best is None or rows * best.columns < min(_ENOUGH, rows * columns)):
            best = Layout(rows, columns, high, wide)
    return best


def mosaic(samples: Tensor, of: Layout) -> Tensor:
    """The first samples, float (N, C, H, W) in [-1, 1], in that layout: int16 (C, H, W), nothing drawn between them."""
    shown = images.to_bytes(shrunk(samples[: of.rows * of.columns].float(), of.height, of.width)).short()
    down, across = of.height + _GAP, of.width + _GAP
    tiled = torch.full((shown.shape[1], of.rows * down - _GAP, of.columns * across - _GAP), NOTHING, dtype=torch.int16)
    for number, sample in enumerate(shown):
        row, column = divmod(number, of.columns)
        tiled[:, row * down : row * down + of.height, column * across : column * across + of.width] = sample
    return tiled
