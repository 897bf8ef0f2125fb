"""A sweep's jobs keep their numbers."""

import json
from pathlib import Path

import pytest

from gan_cli.errors import Refused
from gan_cli.sweep.ledger import Cell, Ledger

A, B, C = ("loss=bce", "seed=1"), ("loss=bce", "seed=2"), ("loss=lsgan", "seed=1")


def test_jobs_are_numbered_in_the_order_in_which_they_are_wanted(tmp_path: Path) -> None:
    assert Ledger.read(tmp_path).enter(["x"], [A, B]) == [Cell(0, A), Cell(1, B)]
    assert Ledger.read(tmp_path).cells == [Cell(0, A), Cell(1, B)]
    assert Ledger.read(tmp_path).command == ["x"]


def test_a_grid_that_has_grown_keeps_its_numbers(tmp_path: Path) -> None:
    Ledger.read(tmp_path).enter([], [B, C])
    assert Ledger.read(tmp_path).enter([], [A, B, C]) == [Cell(2, A), Cell(0, B), Cell(1, C)]


def test_a_job_is_the_same_in_whatever_order_it_is_typed(tmp_path: Path) -> None:
    ledger = Ledger.read(tmp_path)
    ledger.enter([], [A])
    assert ledger.number_of(A[::-1]) == 0
    assert ledger.number_of(B) is None
    assert ledger.enter([], [A[::-1]]) == [Cell(0, A[::-1])]


def test_numbers_may_be_those_of_a_search(tmp_path: Path) -> None:
    ledger = Ledger.read(tmp_path)
    assert ledger.enter([], [A, B], [3, 5]) == [Cell(3, A), Cell(5, B)]
    assert [cell.number for cell in Ledger.read(tmp_path).cells] == [3, 5]


def test_what_all_jobs_have_is_not_told(tmp_path: Path) -> None:
    ledger = Ledger.read(tmp_path)
    ledger.enter([], [(*A, "train.steps=5"), (*B, "train.steps=5")])
    assert ledger.differing == {0: ["seed=1"], 1: ["seed=2"]}


def test_runs_without_a_ledger_are_not_taken_for_jobs(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "status.json").write_text("{}")
    with pytest.raises(Refused, match=r"no sweep\.json"):
        Ledger.read(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"jobs": []}',
        '{"command": [], "jobs": [{"number": 0}]}',
        '{"command": [], "jobs": [{"number": -1, "overrides": ["a"]}]}',
        '{"command": [], "jobs": [{"number": "0", "overrides": ["a"]}]}',
        '{"command": [], "jobs": [{"number": 0, "overrides": [1]}]}',
        '{"command": [1], "jobs": []}',
        '{"command": [], "jobs": [{"number": 0, "overrides": ["a"]}, {"number": 0, "overrides": ["b"]}]}',
    ],
)
def test_a_damaged_ledger_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(Refused, match=r"sweep.json is damaged"):
        Ledger.read(tmp_path)


def test_the_ledger_is_written_before_it_is_used(tmp_path: Path) -> None:
    Ledger.read(tmp_path).enter(["loss=bce", "-m"], [A])
    assert json.loads((tmp_path / "sweep.json").read_text())["jobs"] == [{"number": 0, "overrides": sorted(A)}]
