"""Words beside the pictures of a grid."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gan_cli.images import from_pil

_LARGEST, _SMALLEST = 14, 8  # pixels of a font
_BAND = 20  # pixels above the columns
_WIDEST = 160  # pixels beside the rows
_MARGIN = 3  # pixels on each side of a word


def captioned(grid: Tensor, columns: Sequence[str] = (), rows: Sequence[str] = ()) -> Tensor:
    """A grid with a word above each column, and one to the left of each row: white on black.

    A word that is too long is written smaller, and then cut.

    Args:
        grid: uint8 (C, H, W), cells of equal size.
        columns, rows: as many as there are, or none.

    Returns:
        uint8 (C, H + h, W + w).
    """
    channels, height, width = grid.shape
    above, beside = _BAND if columns else 0, _beside(rows)
    words = Image.new("L", (beside + width, above + height))
    pen = ImageDraw.Draw(words)
    for number, word in enumerate(columns):
        across = width / len(columns)
        text, font = _fitting(word, across)
        pen.text((beside + (number + 0.5) * across, above / 2), text, 255, font, anchor="mm")
    for number, word in enumerate(rows):
        text, font = _fitting(word, beside)
        pen.text((beside - _MARGIN, above + (number + 0.5) * height / len(rows)), text, 255, font, anchor="rm")
    whole = from_pil(words).repeat(channels, 1, 1)
    whole[:, above:, beside:] = grid
    return whole


def _beside(rows: Sequence[str]) -> int:
    longest = max((_font(_LARGEST).getlength(word) for word in rows), default=0)
    return min(_WIDEST, int(longest) + 2 * _MARGIN + 1) if rows else 0


def _fitting(word: str, width: float) -> "tuple[str, ImageFont.FreeTypeFont]":
    """A word in the largest font in which it fits, or as much of it as does in the smallest."""
    for size in range(_LARGEST, _SMALLEST - 1, -1):
        font = _font(size)
        if font.getlength(word) <= width - 2 * _MARGIN:
            return word, font
    while word and font.getlength(word) > width - 2 * _MARGIN:
        word = word[:-1]
    return word, font


def _font(size: int) -> "ImageFont.FreeTypeFont":
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
