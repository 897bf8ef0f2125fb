"""What the log of races says: when ours was as good as the course, and how much of its time that took."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("record")


def told(step: int, seconds: float, fid: float, weights: str = "ema") -> dict[str, Any]:
    about = {"step": step, "seconds": seconds, "weights": weights}
    return about | {"fid": fid, "fid_floor": 0.5, "kid": fid / 10, "kid_floor": 0.05}


def race(seconds: float, raw: float, average: float, *ours: tuple[int, float, float]) -> dict[str, Any]:
    ends = [told(1950, seconds, average), told(1950, seconds, raw, "raw")]
    course = {"steps": 1950, "seconds": seconds, "told": ends}
    return {"course": course, "ours": {"told": [told(*line) for line in ours]}}


def test_ours_is_as_good_at_the_first_measurement_whose_excess_is_no_larger(record: ModuleType) -> None:
    lines = [told(100, 1.0, 3.0), told(200, 2.0, 1.5), told(300, 3.0, 1.6), told(400, 4.0, 1.0)]
    assert record.as_good(lines, "fid", 1.0)["step"] == 200  # 1.5 - 0.5, though it was worse again later
    assert record.as_good(lines, "fid", 0.99)["step"] == 400
    assert record.as_good(lines, "fid", 0.4) is None


def test_the_target_is_the_mean_over_seeds_and_the_ratio_that_of_one_seeds_times(record: ModuleType) -> None:
    # Raw excesses 1 and 3, so the target is 2: reached after 10 of 100 s, and after 50 of 200 s.
    races = [
        race(100.0, 1.5, 1.0, (100, 5.0, 4.0), (200, 10.0, 2.5), (300, 20.0, 0.6)),
        race(200.0, 3.5, 1.0, (100, 25.0, 2.6), (200, 50.0, 2.4)),
    ]
    assert record.excesses(races, "fid", "raw") == [1.0, 3.0]
    cells = record.row(races, "fid", "raw")[1:-1].split("|")
    name, excess, reached, steps, taken, ratio = (cell.strip() for cell in cells)
    assert (name, reached, steps) == ("FID, the course's generator", "2 of 2", "200")
    assert excess.startswith("2.000 ± ")
    assert (taken, ratio) == ("30 s (10 to 50)", "1/7.0 (1/4.0 to 1/10.0)")
    # The average's excess is 0.5, which only the first seed of ours came to.
    assert "| 1 of 2 | 300 | 20 s (20 to 20) | 1/5.0 " in record.row(races, "fid", "ema")


def test_a_target_that_nobody_reached_has_no_time(record: ModuleType) -> None:
    races = [race(100.0, 1.0, 0.9, (100, 5.0, 4.0)), race(100.0, 1.0, 0.9, (100, 5.0, 4.0))]
    assert record.row(races, "fid", "raw").endswith("| 0 of 2 | | | |")


def test_what_is_left_at_the_end_is_a_share_of_the_courses_excess(record: ModuleType) -> None:
    races = [race(100.0, 2.5, 0.9, (100, 40.0, 0.7)), race(100.0, 2.5, 0.9, (100, 60.0, 0.7))]
    assert "after 50% of the course's time: 0.200 ± 0.000 above real data, 10% of the course's" in record.at_the_end(
        races, "fid"
    )
