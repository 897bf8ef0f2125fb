"""The sheet holds its pictures, whatever their shapes and titles."""

import torch

from gan_cli import plots


def colored(height: int, width: int, color: int) -> torch.Tensor:
    picture = torch.zeros(3, height, width, dtype=torch.uint8)
    picture[color] = 255
    return picture


def places(sheet: torch.Tensor, color: int) -> torch.Tensor:
    """Rows and columns of the pixels of one pure color."""
    pure = (sheet[color] == 255) & (sheet.sum(0) == 255)
    return pure.nonzero().float()


def test_wide_pictures_are_below_each_other() -> None:
    sheet = plots.sheet([("a", colored(20, 200, 0)), ("b", None), ("c", colored(20, 200, 1))])
    first, second = places(sheet, 0), places(sheet, 1)
    assert first[:, 0].max() < second[:, 0].min()
    assert (first[:, 1].mean() - second[:, 1].mean()).abs() < 2
    ratio = (first[:, 1].max() - first[:, 1].min()) / (first[:, 0].max() - first[:, 0].min())
    assert 9 < ratio < 11.5  # ten, and rounding


def test_square_pictures_are_beside_each_other() -> None:
    sheet = plots.sheet([(str(color), colored(50, 50, color)) for color in range(3)])
    columns = [places(sheet, color) for color in range(3)]
    assert columns[0][:, 1].max() < columns[1][:, 1].min()
    assert columns[1][:, 1].max() < columns[2][:, 1].min()
    assert (columns[0][:, 0].mean() - columns[2][:, 0].mean()).abs() < 2


def test_titles_are_no_formulas_and_need_no_font() -> None:
    grey = torch.zeros(1, 30, 30, dtype=torch.uint8)
    assert plots.sheet([("$\\frac{$", grey), ("日本 💥\n±…", grey)]).shape[0] == 3


def test_a_sheet_of_nothing_but_missing_pictures_is_a_sheet() -> None:
    assert plots.sheet([("a", None)]).shape[0] == 3
