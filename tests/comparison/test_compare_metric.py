"""Which metric runs are judged by, and a run's value."""

from pathlib import Path

import pytest
from made_runs import make, metric_lines

from gan_cli.comparison.metric import Metric, choose, higher_is_better, logged
from gan_cli.comparison.ways import Way

RAW = Way("", "2500", "raw")


def test_of_a_curve_the_best_point_counts_with_its_step(tmp_path: Path) -> None:
    lines = metric_lines({"metrics/modes": [3, 8, 8, 5]})
    record = make(tmp_path / "0", (0.5, 0.1, 0.3), lines=lines)
    best = Metric("kl").value(record)
    assert best is not None
    assert (best.value, best.step, best.way) == (0.1, 100, RAW)
    best = Metric("modes").value(record)
    assert best is not None
    assert (best.value, best.step) == (8, 100)  # more is better; of equals the first


@pytest.mark.parametrize("name", ["final/kl", "loss/G"])
def test_of_what_is_told_at_the_end_and_of_losses_the_last_counts(name: str, tmp_path: Path) -> None:
    lines = [*metric_lines({"final/kl": [0.2, 0.7]}), {"step": 50, "loss/G": 0.1}, {"step": 100, "loss/G": 0.7}]
    value = Metric(name).value(make(tmp_path / "0", (0.0,), lines=lines))
    assert value is not None
    assert (value.value, value.step) == (0.7, 100)


def test_a_run_that_was_measured_in_several_ways_is_judged_by_the_longest_curve(tmp_path: Path) -> None:
    lines = metric_lines({"metrics/kl": [0.01]}, every=200, count=100)  # it goes further, and has fewer points
    value = Metric("kl").value(make(tmp_path / "0", (0.5, 0.4), lines=lines))
    assert value is not None
    assert (value.value, value.way) == (0.4, RAW)  # not 0.01, which is of other samples


def test_averaged_weights_come_before_raw_ones_at_the_end(tmp_path: Path) -> None:
    lines = [*metric_lines({"final/kl": [0.9]}), *metric_lines({"final/kl": [0.3]}, weights="ema")]
    for order in (lines, lines[::-1]):
        value = Metric("final/kl").value(make(tmp_path / str(order is lines), lines=order))
        assert value is not None
        assert (value.value, value.way.weights) == (0.3, "ema")


@pytest.mark.parametrize("wanted", ["kid", "final/kid", "loss/D", "metrics/kid"])
def test_a_metric_that_no_run_has_is_none(wanted: str, tmp_path: Path) -> None:
    assert choose([make(tmp_path / "0", (0.5,))], wanted) is None
    assert choose([], "auto") is None


def test_auto_is_what_most_runs_logged_and_of_as_many_the_first_of_the_doctors_list(tmp_path: Path) -> None:
    of_images = metric_lines({"metrics/kid": [5.0]}, extractor="mnist_v1")
    records = [make(tmp_path / "0", (0.5,)), make(tmp_path / "1", lines=of_images)]
    assert choose(records, "auto") == Metric("kid")
    records.append(make(tmp_path / "2", (0.4,)))
    assert choose(records, "auto") == Metric("kl")
    assert choose(records, "metrics/kid") == choose(records, "kid") == Metric("kid")
    assert Metric("kid").value(records[0]) is None


def test_only_what_was_logged_in_training_is_chosen(tmp_path: Path) -> None:
    assert choose([make(tmp_path / "0", lines=metric_lines({"final/kid": [5.0]}))], "auto") is None


def test_a_number_beyond_measure_is_no_value(tmp_path: Path) -> None:
    assert Metric("kl").value(make(tmp_path / "0", (1e300,))) is None


def test_higher_is_better_of_shares_and_counts_whatever_stands_before_them() -> None:
    assert all(map(higher_is_better, ("modes", "final/high_quality", "metrics/coverage", "score", "recall")))
    assert not any(map(higher_is_better, ("auto", "kid", "final/fid", "metrics/kl", "loss/G", "mode_kl", "copied")))


def test_all_names_that_can_be_asked_for_are_listed(tmp_path: Path) -> None:
    lines = [{"step": 50, "loss/D": 1.0, "speed/images_per_s": 3.0}, *metric_lines({"final/kl": [0.1]})]
    records = [make(tmp_path / "0", (0.5,), lines=lines)]
    assert logged(records) == ["final/kl", "kl", "loss/D"]
    assert all(choose(records, name) is not None for name in logged(records))
