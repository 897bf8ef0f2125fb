"""Plots show the points where they are, on axes that the data fix."""

import math

import torch

from gan_cli import plots


def test_scatter_shows_points_of_each_group_where_they_are() -> None:
    corners = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    plain = plots.scatter({"real": corners})
    centre = plain[:, 242:252, 275:285]
    both = plots.scatter({"real": corners, "generated": torch.full((1, 2), 0.5)})
    changed = (both != plain).any(0).nonzero().float()
    below_the_legend = changed[changed[:, 0] > 100]
    assert plain.shape == both.shape == (3, 500, 500)
    assert (centre == 255).all()
    middle = below_the_legend.mean(0)
    assert (middle[0] - 247).abs() < 3
    assert (middle[1] - 280).abs() < 3


def points(*rows: tuple[float, float]) -> torch.Tensor:
    return torch.tensor(rows)


def test_axes_are_fixed_by_the_first_group_or_by_the_framing(monkeypatch) -> None:
    limits = []
    monkeypatch.setattr(
        plots, "drawn", lambda figure: limits.append((figure.axes[0].get_xlim(), figure.axes[0].get_ylim()))
    )
    real, far = points((0, 10), (4, 30)), points((1000, -1000))
    plots.scatter({"real": real})
    plots.scatter({"real": real, "far": far})
    plots.scatter({"far": far, "real": real}, framing=real)
    plots.scatter({"real": torch.cat([real, points((math.nan, 0), (math.inf, 1e9))])})
    plots.scatter({"deep": torch.cat([real, torch.full((2, 3), 1e6)], 1)})
    assert limits == [((-1, 5), (5, 35))] * 5  # a quarter of the range on each side


def test_points_without_extent_have_axes_with_some() -> None:
    for group in (points((3, 3)), torch.zeros(5, 2), torch.zeros(0, 2), torch.full((3, 2), math.nan)):
        assert plots.scatter({"real": group}).shape == (3, 500, 500)


def test_four_groups_have_colors_of_their_own_and_their_names() -> None:
    corners = [points((x, y)) for x in (0.4, 0.6) for y in (0.4, 0.6)]
    picture = plots.scatter(dict(zip("abcd", corners, strict=True)), framing=points((0, 0), (1, 1)))
    saturated = set(map(tuple, picture.flatten(1).T.tolist()))
    for color in plots._COLORS:
        assert tuple(bytes.fromhex(color[1:])) in saturated


def test_empty_group_is_no_error_and_a_title_changes_the_picture() -> None:
    groups = {"real": points((0, 0), (1, 1)), "missed": torch.zeros(0, 2)}
    plain, titled = plots.scatter(groups), plots.scatter(groups, "precision 0.50")
    assert plain.shape == titled.shape
    assert not torch.equal(plain, titled)
    assert torch.equal(plots.scatter(groups), plain)


def test_drawn_is_the_figure_pixel_by_pixel() -> None:
    figure = plots.figure(2, 1)
    figure.set_facecolor((1.0, 0.0, 0.2))
    picture = plots.drawn(figure)
    assert picture.shape == (3, 100, 200)
    assert picture.dtype == torch.uint8
    assert picture.flatten(1).unique(dim=1).T.tolist() == [[255, 0, 51]]
