"""Searches: what is drawn, what is remembered, and when a trial is hopeless."""

from dataclasses import replace
from pathlib import Path

import pytest

from gan_cli.command_schema import SearchConf, SearchMethod
from gan_cli.errors import Refused
from gan_cli.sweep.study import Interval, Judge, Space, Study, Trial

SPACE: Space = {"x": Interval(-5.0, 5.0), "lr": Interval(1e-4, 1e-2, log=True), "n": Interval(1, 9), "loss": ["a", "b"]}
TPE = SearchConf(SearchMethod.tpe)


def study(directory: Path, conf: SearchConf = TPE, space: Space = SPACE, higher: bool = False) -> Study:
    return Study(directory, conf, space, ("data=ring8",), higher)


def parabola(trial: Trial) -> float:
    """Has its minimum, 0, at x = 2."""
    return (float(trial.values["x"]) - 2) ** 2


def searched(directory: Path, trials: int, conf: SearchConf = TPE, reopened: bool = False) -> list[Trial]:
    found, asked = study(directory, conf), []
    for _ in range(trials):
        if reopened:
            found = study(directory, conf)
        asked.append(found.ask())
        found.tell(asked[-1].number, parabola(asked[-1]), pruned=False)
    return asked


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("method", [SearchMethod.tpe, SearchMethod.random, SearchMethod.cmaes])
def test_values_lie_in_the_space_and_are_typed_as_they_would_be(tmp_path: Path, method: SearchMethod) -> None:
    for trial in searched(tmp_path, 15, SearchConf(method)):
        assert list(trial.values) == list(SPACE)
        assert -5 <= float(trial.values["x"]) <= 5
        assert 1e-4 <= float(trial.values["lr"]) <= 1e-2
        assert trial.values["n"] in map(str, range(1, 10))
        assert trial.values["loss"] in ("a", "b")


@pytest.mark.slow
def test_a_search_that_is_interrupted_after_every_trial_asks_for_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert searched(tmp_path / "a", 14) == searched(tmp_path / "b", 14, reopened=True)


def test_no_trial_is_asked_for_twice_after_an_interruption(tmp_path: Path) -> None:
    asked = searched(tmp_path, 12, SearchConf(SearchMethod.random), reopened=True)
    assert len({trial.values["x"] for trial in asked}) == 12


@pytest.mark.slow
def test_the_parzen_estimator_finds_a_minimum_that_random_trials_do_not(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    late = [parabola(trial) for trial in searched(tmp_path / "a", 40)[20:]]
    blind = [parabola(trial) for trial in searched(tmp_path / "b", 40, SearchConf(SearchMethod.random))[20:]]
    assert sorted(late)[10] < 0.3 * sorted(blind)[10]  # the medians


def test_a_trial_that_nothing_was_told_of_is_unfinished_with_its_values(tmp_path: Path) -> None:
    asked = study(tmp_path).ask()
    again = study(tmp_path)
    assert again.unfinished == [asked]
    again.tell(asked.number, None, pruned=False)
    assert again.unfinished == []
    assert again.count == 1


def test_a_trial_that_was_cut_off_while_it_was_drawn_gets_the_values_that_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = study(tmp_path / "a").ask()
    found = study(tmp_path / "b")
    found._study.sampler = __import__("optuna").samplers.RandomSampler(seed=1)
    started = found._study.ask()
    kept = started.suggest_float("x", -5.0, 5.0)
    (mended,) = study(tmp_path / "b").unfinished
    assert mended.values["x"] == str(kept)
    assert list(mended.values) == list(whole.values)


def test_the_best_is_the_lowest_or_the_highest(tmp_path: Path) -> None:
    for higher, best in ((False, 1), (True, 2)):
        directory = tmp_path / str(higher)
        directory.mkdir()
        found = study(directory, higher=higher)
        assert found.best() is None
        for value in (2.0, 1.0, 3.0, None):
            found.tell(found.ask().number, value, pruned=False)
        told = found.best()
        assert told is not None
        assert told[0].number == best


def test_a_search_over_another_space_or_for_another_metric_is_refused(tmp_path: Path) -> None:
    study(tmp_path)
    study(tmp_path, replace(TPE, num_trials=50, prune=False))  # more of the same
    with pytest.raises(Refused, match=r"holds a search for auto over .*sweep.name=NAME"):
        study(tmp_path, space={**SPACE, "loss": ["a", "c"]})
    with pytest.raises(Refused, match="another needs a directory of its own"):
        study(tmp_path, replace(TPE, metric="fid"))


def test_an_empty_interval_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"lr cannot be searched from 0.0 to 1.0"):
        study(tmp_path, space={"lr": Interval(0.0, 1.0, log=True)})


def test_a_file_that_is_no_search_is_named(tmp_path: Path) -> None:
    (tmp_path / "optuna.db").write_bytes(b"not a data base, and long enough to be looked at" * 100)
    with pytest.raises(Refused, match=r"optuna.db cannot be opened"):
        study(tmp_path)


def test_a_trial_is_hopeless_when_it_is_worse_than_the_median_of_five_at_the_same_step(tmp_path: Path) -> None:
    found = study(tmp_path)
    for level in (1.0, 2.0, 3.0, 4.0, 5.0):
        number = found.ask().number
        judge = Judge(tmp_path, number, 200)
        assert not judge(100, level)
        assert not judge(200, level / 2)
        found.tell(number, level / 2, pruned=False)
    for level, hopeless in ((2.9, False), (3.1, True)):
        judge = Judge(tmp_path, found.ask().number, 200)
        assert judge(100, level) is hopeless
    pruned = found.unfinished[-1].number
    found.tell(pruned, 3.1, pruned=True)
    assert found.best() is not None


def test_the_first_third_of_a_run_is_not_judged(tmp_path: Path) -> None:
    found = study(tmp_path)
    for _ in range(5):
        number = found.ask().number
        judge = Judge(tmp_path, number, 300)
        assert not judge(99, 1.0)
        assert not judge(100, 1.0)
        found.tell(number, 1.0, pruned=False)
    judge = Judge(tmp_path, found.ask().number, 300)
    assert not judge(99, 9.0)
    assert judge(100, 9.0)


def test_a_run_that_goes_on_may_tell_a_step_again(tmp_path: Path) -> None:
    number = study(tmp_path).ask().number
    Judge(tmp_path, number, 200)(100, 1.0)
    assert not Judge(tmp_path, number, 200)(100, 1.0)


def test_the_judge_of_a_trial_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    study(tmp_path)
    with pytest.raises(Refused, match=r"search.trial=7: .* has no such trial"):
        Judge(tmp_path, 7, 200)
