import torch
from PIL import ImageFont

from gan_cli.captions import captioned


def inked(region: torch.Tensor) -> int:
    return int((region > 100).sum())


def test_words_stand_outside_a_grid_that_stays_what_it_is() -> None:
    grid = torch.full((3, 116, 174), 40, dtype=torch.uint8)
    for columns, rows in (((), ()), (("1", "20", "300"), ()), ((), ("ant", "bee")), (("a", "b", "c"), ("ant", "bee"))):
        found = captioned(grid, columns, rows)
        above, beside = found.shape[1] - 116, found.shape[2] - 174
        assert (above > 0, beside > 0) == (bool(columns), bool(rows))
        assert torch.equal(found[:, above:, beside:], grid)
        for number in range(len(columns)):
            assert inked(found[:, :above, beside + 58 * number : beside + 58 * (number + 1)]) > 10
        for number in range(len(rows)):
            assert inked(found[:, above + 58 * number : above + 58 * (number + 1), :beside]) > 10
        assert inked(found[:, :above, :beside]) == 0


def test_each_word_stands_at_its_own_column_and_row() -> None:
    grid = torch.zeros(1, 116, 116, dtype=torch.uint8)
    found = captioned(grid, ("", "x"), ("x", ""))
    above, beside = found.shape[1] - 116, found.shape[2] - 116
    assert inked(found[:, :above, : beside + 58]) == 0 < inked(found[:, :above, beside + 58 :])
    assert inked(found[:, above + 58 :, :beside]) == 0 < inked(found[:, above : above + 58, :beside])


def test_a_word_too_long_is_written_smaller_or_cut_and_touches_no_other() -> None:
    grid = torch.zeros(1, 58, 116, dtype=torch.uint8)
    for word in ("1,000,000", "an endless word without an end"):
        found = captioned(grid, (word, ""))
        assert inked(found[:, :20, :58]) > 20
        assert inked(found[:, :20, 56:]) == 0
    wide = captioned(grid, rows=("an endless word without an end " * 3,))
    assert wide.shape[2] == 160 + 116


def test_the_font_comes_with_pillow() -> None:
    assert isinstance(ImageFont.load_default(14), ImageFont.FreeTypeFont)
