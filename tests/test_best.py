import json
import math

import pytest

from gan_cli.best import Best, evaluations
from gan_cli.evaluation.evaluator import Guide

GUARDED = Guide("kid", guard="coverage")


def improvements(guide: Guide, *values: dict[str, float]) -> list[bool]:
    best = Best(guide)
    return [best.improved_by(one) for one in values]


def kids(*values: float) -> list[dict[str, float]]:
    return [{"kid": value} for value in values]


def test_lower_is_better_and_equal_is_not() -> None:
    assert improvements(Guide("kid"), *kids(3, 2, 2, 2.5, 1.999, -0.1, 0)) == [
        True,
        True,
        False,
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_value_that_is_no_number_is_never_the_best_and_spoils_nothing(value: float) -> None:
    assert improvements(Guide("kid"), *kids(value, 3, value, 2)) == [False, True, False, True]


def test_evaluation_without_the_metric_is_never_the_best() -> None:
    assert improvements(Guide("kid"), {}, {"fid": 1.0}, {"kid": 3.0}, {"fid": 0.0}) == [False, False, True, False]


def guarded(*pairs: tuple[float, float]) -> list[bool]:
    return improvements(GUARDED, *({"kid": kid, "coverage": coverage} for kid, coverage in pairs))


def test_guard_may_fall_to_four_fifths_of_its_best() -> None:
    assert guarded((3, 0.5), (2, 0.4)) == [True, True]
    assert guarded((3, 0.5), (2, 0.399)) == [True, False]


def test_guard_is_measured_by_its_best_though_that_was_not_the_best_evaluation() -> None:
    assert guarded((3, 0.5), (4, 1.0), (2, 0.79), (2, 0.8)) == [True, False, False, True]


def test_refused_evaluation_does_not_move_the_goal() -> None:
    # 1 with a coverage that fell is refused; 2 is still better than 3.
    assert guarded((3, 1.0), (1, 0.1), (2, 0.9)) == [True, False, True]


def test_guard_rises_without_a_value_of_the_metric() -> None:
    assert guarded((3, 0.5), (math.nan, 1.0), (2, 0.6)) == [True, False, False]


def test_guard_that_is_nan_refuses_and_is_forgotten() -> None:
    assert guarded((3, 0.5), (2, math.nan), (1, 0.5)) == [True, False, True]
    assert guarded((3, math.nan), (4, 0.5)) == [False, True]


def test_guard_of_zero_guards_nothing() -> None:
    assert guarded((3, 0.0), (2, 0.0)) == [True, True]


def test_guard_that_is_not_measured_guards_nothing() -> None:
    assert improvements(GUARDED, {"kid": 3.0}, {"kid": 2.0, "coverage": 0.5}, {"kid": 1.0}) == [True, True, True]


def test_evaluations_of_a_log() -> None:
    lines = [
        {"step": 20, "metrics/kid": 0.2, "extractor": "mnist_v1", "floor": 0.0},
        {"step": 20, "metrics/coverage": 0.9, "samples": 2000},
        {"step": 20, "loss/D": 1.0, "loss/G": 2.0},
        {"step": 10, "metrics/kid": None, "floor": 0.1},
        {"step": 10, "metrics/coverage": 0.4},
        {"step": 30, "final/kid": 0.01},
        {"step": 40, "metrics/kid": None},
    ]
    first, second, third = evaluations(map(json.dumps, lines))
    assert first.keys() == {"kid", "coverage"}
    assert math.isnan(first["kid"])  # null stands for what is no number
    assert first["coverage"] == 0.4
    assert second == {"kid": 0.2, "coverage": 0.9}
    assert third.keys() == {"kid"}
    assert evaluations([]) == []


def test_step_that_was_done_again_counts_once_with_its_last_value() -> None:
    lines = [{"step": 10, "metrics/kid": 0.5}, {"step": 20, "metrics/kid": 0.1}, {"step": 20, "metrics/kid": 0.3}]
    assert evaluations(map(json.dumps, lines)) == [{"kid": 0.5}, {"kid": 0.3}]


def test_best_of_a_log_is_the_best_of_the_run_that_wrote_it() -> None:
    pairs = [(3.0, 0.5), (1.0, 0.1), (2.5, math.nan), (math.nan, 0.55), (2.0, 0.6)]
    values = [{"kid": kid, "coverage": coverage} for kid, coverage in pairs]
    lines = [
        json.dumps({"step": step, f"metrics/{name}": value if math.isfinite(value) else None})
        for step, of in enumerate(values)
        for name, value in of.items()
    ]
    resumed, running = Best(GUARDED), Best(GUARDED)
    assert [resumed.improved_by(found) for found in evaluations(lines)] == [running.improved_by(of) for of in values]
    for after in ({"kid": 1.9, "coverage": 0.47}, {"kid": 1.9, "coverage": 0.48}):
        assert resumed.improved_by(after) == running.improved_by(after)
