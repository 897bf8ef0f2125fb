"""Pictures as text: each character is two pixels, one above the other, in their own colors."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from torch import Tensor

_UPPER, _LOWER = "▀", "▄"
NOTHING = -1
"""The value, in each channel, of a pixel that is not drawn: the terminal's own background stays."""


def half_blocks(picture: Tensor) -> list[list[Segment]]:
    """A picture, integers 0..255 (C, H, W) of one channel or three, as ⌈H / 2⌉ lines of W characters.

    The pixel below the last row of an odd height is not drawn, nor is one of `NOTHING`.
    """
    red, green, blue = picture.long().expand(3, -1, -1)
    pixels = ((red << 16) + (green << 8) + blue).where(red >= 0, NOTHING).tolist()
    blank = [NOTHING] * picture.shape[2]
    return [list(_line(pixels[row], (*pixels[row + 1 : row + 2], blank)[0])) for row in range(0, len(pixels), 2)]


def _line(upper: list[int], lower: list[int]) -> Iterator[Segment]:
    for pair, equal in groupby(zip(upper, lower, strict=True)):
        character, style = _drawn(*pair)
        yield Segment(character * sum(1 for _ in equal), style)


@lru_cache(maxsize=8192)
def _drawn(upper: int, lower: int) -> tuple[str, Style]:
    """The character and its colors: of a block that is drawn, and behind it."""
    if upper == NOTHING:
        return (" ", Style()) if lower == NOTHING else (_LOWER, Style.from_color(_color(lower)))
    return _UPPER, Style.from_color(_color(upper), None if lower == NOTHING else _color(lower))


def _color(pixel: int) -> Color:
    return Color.from_rgb(pixel >> 16, pixel >> 8 & 255, pixel & 255)
