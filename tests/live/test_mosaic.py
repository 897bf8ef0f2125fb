import pytest
import torch

from gan_cli.live.cloud import cloud
from gan_cli.live.half_blocks import NOTHING
from gan_cli.live.mosaic import Layout, layout, mosaic

SIZES = [(28, 28), (64, 64), (32, 32), (48, 96), (200, 120), (4, 4)]


@pytest.mark.parametrize("size", SIZES)
def test_samples_fit_whatever_the_room_is(size: tuple[int, int]) -> None:
    for height in range(1, 60, 3):
        for width in range(1, 260, 7):
            found = layout(*size, (height, width), 16)
            if found is None:
                assert height < 9 or width < 17
                continue
            assert found.rows * (found.height + 1) - 1 <= height
            assert found.columns * (found.width + 1) - 1 <= width
            assert 1 <= found.rows * found.columns <= 16
            assert found.height <= size[0]


def test_digits_are_as_large_as_six_can_be() -> None:
    assert layout(28, 28, (40, 200), 16) == Layout(1, 6, 28, 28)  # not reduced where there is room
    assert layout(28, 28, (40, 99), 16) == Layout(2, 5, 19, 19)  # two rows of 19 and a gap are 39 pixels
    assert layout(64, 64, (40, 99), 16) == Layout(2, 5, 19, 19)


def test_samples_are_in_their_places_with_nothing_between() -> None:
    samples = torch.linspace(-1, 1, 6).view(6, 1, 1, 1).expand(6, 1, 4, 4)
    tiled = mosaic(samples, Layout(2, 3, 4, 4))
    assert tiled.shape == (1, 9, 14)
    assert tiled[0, 0].tolist() == [0] * 4 + [NOTHING] + [51] * 4 + [NOTHING] + [102] * 4
    assert tiled[0, 4].tolist() == [NOTHING] * 14
    assert tiled[0, 8].tolist() == [153] * 4 + [NOTHING] + [204] * 4 + [NOTHING] + [255] * 4


def test_points_lie_where_they_are_and_outside_none_is_drawn() -> None:
    real = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    generated = torch.tensor([[1.0, 0.0], [50.0, 0.0], [float("nan"), 0.0], [float("inf"), 0.0]])
    red, _, blue = cloud(real, generated, 3, 3)  # the frame is from -1/4 to 5/4, a pixel 1/2
    assert ((red > 0) | (blue > 0)).nonzero().tolist() == [[0, 2], [2, 0], [2, 2]]
    assert (red > blue).nonzero().tolist() == [[2, 2]]


def test_where_both_are_is_brighter_than_either() -> None:
    corners, point, far = torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), torch.zeros(1, 2), torch.full((1, 2), 9.0)
    real = cloud(torch.cat([corners, point]), far, 8, 8).int()
    generated = cloud(corners, point, 8, 8).int() - cloud(corners, far, 8, 8).int()
    both = cloud(torch.cat([corners, point]), point, 8, 8).int()
    assert generated.any()
    assert ((both - real - generated).abs() <= 1).all()  # rounded


def test_no_points_are_no_error() -> None:
    nothing = torch.full((3, 2), float("nan"))
    assert not cloud(nothing, nothing, 4, 4).any()
