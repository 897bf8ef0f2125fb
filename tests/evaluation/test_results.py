"""Rows of a table from measures: numbers done by hand, infinities, and what is said beside them."""

import json
import math

import pytest
from rich.console import Console

from gan_cli.evaluation.curves import curves
from gan_cli.evaluation.measure import Measure
from gan_cli.evaluation.results import Row, cautions, rows, table


def measure(value: float, name: str = "fid", count: int = 10_000, floor: float = 0.5, extractor="mnist_v1") -> Measure:
    return Measure(name, value, floor, count, "ema", extractor)


def row_of(*values: float, **about) -> Row:
    (row,) = rows("run/checkpoints/step_5", 5, [[measure(value, **about)] for value in values])
    return row


def test_mean_interval_and_excess_by_hand() -> None:
    row = row_of(1.0, 2.0, 4.5)
    assert row.value == 2.5
    # t(2) = 4.303, s² = (2.25 + 0.25 + 4) / 2 = 3.25
    assert row.half_interval == pytest.approx(4.303 * math.sqrt(3.25) / math.sqrt(3), rel=1e-12)
    assert row.excess == 2.0
    assert list(row.values) == [1.0, 2.0, 4.5]
    about = (row.checkpoint, row.step, row.weights, row.metric, row.extractor, row.count, row.floor)
    assert about == ("run/checkpoints/step_5", 5, "ema", "fid", "mnist_v1", 10_000, 0.5)


def test_one_seed_has_no_interval() -> None:
    row = row_of(1.25)
    assert (row.value, row.half_interval, row.excess) == (1.25, None, 0.75)


def test_metrics_stay_apart_and_in_order() -> None:
    seeds = [[measure(1.0), measure(0.1, "kid", 5000)], [measure(3.0), measure(0.3, "kid", 5000)]]
    found = rows("c", 0, seeds)
    assert [(row.metric, row.value, row.count) for row in found] == [("fid", 2.0, 10_000), ("kid", 0.2, 5000)]


def test_exact_values_have_no_interval() -> None:
    row = row_of(0.25, 0.25, 0.25, name="w2", count=0, floor=0.0, extractor=None)
    assert (row.value, row.half_interval, row.excess) == (0.25, None, 0.25)


@pytest.mark.parametrize("values", [(math.inf, 1.0), (1.0, math.inf), (math.inf, math.inf), (math.inf,)])
def test_mean_with_an_infinite_value_is_infinite_whichever_seed_has_it(values: tuple[float, ...]) -> None:
    row = row_of(*values, name="kl")
    assert row.value == math.inf
    assert row.excess == math.inf
    assert row.half_interval is None or math.isnan(row.half_interval)


def test_plain_is_json_with_null_for_what_is_not_finite() -> None:
    plain = row_of(1.0, math.inf, name="kl").plain()
    assert plain["values"] == [1.0, None]
    assert [plain[name] for name in ("value", "half_interval", "excess")] == [None] * 3
    assert (plain["floor"], plain["step"], plain["metric"]) == (0.5, 5, "kl")
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    finite = row_of(1.0, 3.0).plain()
    assert (finite["value"], finite["values"], finite["excess"]) == (2.0, [1.0, 3.0], 1.5)


def shown(*of: Row) -> str:
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table(of))
    console.file.close()
    return console.export_text()


def test_table_shows_every_row() -> None:
    text = shown(row_of(1.0, 2.0, 4.5), row_of(math.inf, name="kl", count=0, extractor=None, floor=0.0))
    head, first, second = text.splitlines()
    assert head.split() == ["weights", "metric", "value", "±", "95", "%", "floor", "excess", "samples", "extractor"]
    assert first.split() == ["ema", "fid", "2.5", "4.479", "0.5", "2", "10,000", "mnist_v1"]
    assert second.split() == ["ema", "kl", "inf", "0", "inf", "exact"]


def test_table_of_several_checkpoints_names_them() -> None:
    other = rows("run/checkpoints/step_9", 9, [[measure(3.0)]])
    head, first, second = shown(row_of(1.0), *other).splitlines()
    assert head.split()[:4] == ["run", "step", "weights", "metric"]
    assert first.split()[:4] == ["run", "5", "ema", "fid"]
    assert second.split()[:4] == ["run", "9", "ema", "fid"]
    assert "step" not in shown(row_of(1.0)).splitlines()[0]


def test_run_is_named_by_its_directory(monkeypatch, tmp_path) -> None:
    assert row_of(1.0).run == "run"
    assert rows("elsewhere/best.safetensors", 1, [[measure(1.0)]])[0].run == "elsewhere"
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert rows("checkpoints/step_1.safetensors", 1, [[measure(1.0)]])[0].run == "mine"


def test_cautions_tell_of_too_few_samples() -> None:
    assert cautions([row_of(1.0)], 10_000) == []
    (fewer,) = cautions([row_of(1.0, count=5000)], 10_000)
    assert "5,000 samples instead of 10,000" in fewer
    half, few, no_fid = cautions([row_of(1.0, name="kid", count=400)], 10_000)
    assert "400 samples instead of 10,000" in half
    assert "fewer than 2,048" in few
    assert "no fid" in no_fid
    assert len(cautions([row_of(1.0, count=2048)], 2048)) == 0
    assert len(cautions([row_of(1.0, count=2047)], 2047)) == 1


def test_cautions_do_not_take_the_most_of_the_pairs_for_the_number_of_samples() -> None:
    kid, copies = row_of(1.0, name="kid", count=5000), row_of(1.0, name="nn_distance", count=2000)
    assert cautions([row_of(1.0), kid, copies], 10_000) == []
    (no_fid,) = cautions([kid, copies], 10_000)  # of features so many that 10,000 samples have no fid
    assert "no fid" in no_fid


def test_points_need_no_caution() -> None:
    assert cautions([row_of(1.0, name="kl", count=0, extractor=None)], 10_000) == []
    assert cautions([row_of(1.0, name="mode_kl", count=2500, extractor=None)], 10_000) == []


def test_curves_are_a_picture_of_all_panels() -> None:
    found: list[Row] = []
    for step in (10, 5):
        seeds = [
            [measure(value / step, name) for name in ("fid", "kid", "precision", "recall")] for value in (1.0, 2.0)
        ]
        found += rows(f"run/checkpoints/step_{step}", step, seeds)
    picture = curves(found)
    assert picture.shape == (3, 300, 1200)
    assert picture.float().std() > 0
    assert curves(rows("a/step_1", 1, [[measure(math.inf, "kl")]])).shape == (3, 300, 400)
