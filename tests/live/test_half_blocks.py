import torch
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from gan_cli.live.half_blocks import NOTHING, half_blocks
from gan_cli.live.shrink import shrunk


def color(red: int, green: int, blue: int) -> Color:
    return Color.from_rgb(red, green, blue)


def test_two_pixels_are_one_character_of_both_colors() -> None:
    picture = torch.tensor([[[255], [1]], [[0], [2]], [[7], [3]]], dtype=torch.uint8)
    assert half_blocks(picture) == [[Segment("▀", Style.from_color(color(255, 0, 7), color(1, 2, 3)))]]


def test_one_channel_is_grey() -> None:
    (line,) = half_blocks(torch.tensor([[[9, 9], [200, 200]]], dtype=torch.uint8))
    assert line == [Segment("▀▀", Style.from_color(color(9, 9, 9), color(200, 200, 200)))]


def test_below_an_odd_height_the_terminal_keeps_its_background() -> None:
    first, last = half_blocks(torch.zeros(1, 3, 1, dtype=torch.uint8))
    assert first == [Segment("▀", Style.from_color(color(0, 0, 0), color(0, 0, 0)))]
    assert last == [Segment("▀", Style.from_color(color(0, 0, 0)))]


def test_what_is_not_drawn_leaves_the_background() -> None:
    picture = torch.tensor([[[NOTHING, NOTHING, 5], [NOTHING, 5, NOTHING]]], dtype=torch.int16)
    drawn = Style.from_color(color(5, 5, 5))
    assert half_blocks(picture) == [[Segment(" ", Style()), Segment("▄", drawn), Segment("▀", drawn)]]


def test_every_line_is_as_wide_as_the_picture() -> None:
    picture = torch.randint(0, 256, (3, 7, 13), generator=torch.Generator().manual_seed(0))
    assert [sum(segment.cell_length for segment in line) for line in half_blocks(picture)] == [13] * 4


def test_shrinking_keeps_the_mean_and_halves_by_fours() -> None:
    images = torch.rand(2, 3, 28, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for height, width in ((28, 64), (14, 32), (19, 20), (13, 47), (1, 1)):
        smaller = shrunk(images, height, width)
        assert smaller.shape == (2, 3, height, width)
        assert torch.allclose(smaller.mean((-1, -2)), images.mean((-1, -2)))
    assert torch.allclose(shrunk(images, 28, 64), images)
    fours = (images[..., ::2, ::2] + images[..., 1::2, ::2] + images[..., ::2, 1::2] + images[..., 1::2, 1::2]) / 4
    assert torch.allclose(shrunk(images, 14, 32), fours)
