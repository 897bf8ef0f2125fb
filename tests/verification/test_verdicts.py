"""A figure is met exactly where the median over the seeds is within its tolerance."""

from math import inf, log, nan

import pytest

from gan_cli.verification.expectations import Figure
from gan_cli.verification.verdicts import COLUMNS, Row, markdown


def row(values: list[float], expected: float | None = 1.0, tolerance: float | None = 0.5) -> Row:
    return Row(Figure("loss/D", "a reason", [1, 2], "1.0", expected, tolerance), values)


@pytest.mark.parametrize(
    ("values", "within", "verdict"),
    [
        ([1.0], 1, "met"),
        ([1.5], 1, "met"),  # the end belongs to it
        ([0.5], 1, "met"),
        ([1.51], 0, "missed"),
        ([0.49], 0, "missed"),
        ([1.2, 0.9, 9.0], 2, "met"),  # one seed of three fails
        ([1.2, 9.0, 9.0], 1, "missed"),
        ([0.9, 9.0], 1, "missed"),  # of two the median is the mean
        ([1.0, 1.0, nan], 2, "missed"),  # one that was not seen is no seed that failed
        ([inf], 0, "missed"),
        ([1.0, 1.0, inf], 2, "met"),
    ],
)
def test_verdict_is_of_the_median_and_seeds_are_counted(values: list[float], within: int, verdict: str) -> None:
    assert (row(values).within, row(values).verdict) == (within, verdict)


def test_without_expectation_a_figure_is_information_whatever_it_is() -> None:
    for values in ([1.0], [nan], [-inf, 5.0]):
        assert row(values, None, None).verdict == "information"


def test_tolerance_of_nothing_is_met_by_the_number_itself_and_by_its_last_bits_alone() -> None:
    assert row([6.0], 6, 0).verdict == "met"
    assert row([1_952_528], 1_952_528, 0).verdict == "met"
    assert row([1_952_529], 1_952_528, 0).verdict == "missed"
    assert row([2 * log(2)], 1.3862943611198906, 0).verdict == "met"


def test_cells_say_what_was_expected_measured_and_how_many_seeds_agree() -> None:
    assert len(COLUMNS) == len(row([1.0]).cells())
    assert row([1.2, 0.9, 9.0]).cells() == ["loss/D", "1–2", "1.0", "1 ± 0.5", "1.2", "0.9 to 9", "2 of 3", "met"]
    assert row([1_952_528.0] * 2, 1_952_528, 0).cells()[3:] == ["1,952,528", "1,952,528", "", "2 of 2", "met"]
    assert row([nan], None, None).cells()[3:] == ["", "none", "", "", "information"]


def test_json_holds_no_number_that_json_does_not_know() -> None:
    plain = row([nan, inf, 1.0]).plain()
    assert plain["values"] == [None, None, 1.0]
    assert plain["measured"] is None
    assert plain["verdict"] == "missed"


def test_markdown_is_a_table_with_a_line_for_each_reason() -> None:
    other = Row(Figure("loss/G", "a reason", None, None, None, None), [2.0])
    lines = markdown("A title.", [row([1.0]), other]).splitlines()
    assert lines[0] == "A title."
    cells = [line for line in lines if line.startswith("|")]
    assert len(cells) == 4
    assert {line.count("|") for line in cells} == {len(COLUMNS) + 1}
    assert lines[-1] == "- loss/D, loss/G: a reason"
