"""Runs that agree in all but the seed are a group, called by what a user would type, and ranked by its mean."""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from made_runs import LSGAN, make, merged, metric_lines, sweep

from gan_cli.comparison import standing
from gan_cli.comparison.effects import effects
from gan_cli.comparison.groups import grouped
from gan_cli.comparison.metric import Metric
from gan_cli.comparison.records import Record

KL = Metric("kl")
NAN = math.nan
GRID = {
    ("bce", "0.001"): (0.4, 0.6, 0.5),
    ("bce", "0.1"): (0.9, NAN, 0.7),
    ("lsgan", "0.001"): (0.2, 0.1, 0.3),
    ("lsgan", "0.1"): (NAN, NAN, NAN),
}


def test_a_grid_is_ranked_by_the_means_of_its_cells(tmp_path: Path) -> None:
    groups = grouped(sweep(tmp_path, GRID), KL)
    assert [group.label for group in groups] == [
        "loss=lsgan optim.lr=0.001",
        "loss=bce optim.lr=0.001",
        "loss=bce optim.lr=0.1",
        "loss=lsgan optim.lr=0.1",
    ]
    assert [group.number for group in groups] == [1, 2, 3, 4]
    first, _, third, last = groups
    assert first.mean == pytest.approx(0.2)
    assert first.deviation == pytest.approx(0.1)  # of 0.1, 0.2, 0.3 with n - 1
    assert (third.mean, third.deviation) == (pytest.approx(0.8), pytest.approx(math.sqrt(0.02)))
    assert (third.num_seeds, third.num_failed, len(third.values)) == (3, 1, 2)
    assert (last.mean, last.deviation, last.num_failed) == (None, None, 3)
    assert [standing.seeds(group) for group in groups] == ["3", "3", "2 of 3", "0 of 3"]
    assert standing.figure(first) == "0.2 ± 0.1"
    assert standing.extent(first) == "0.1 to 0.3"


def test_more_is_better_where_the_metric_says_so(tmp_path: Path) -> None:
    records = [
        make(tmp_path / loss, lines=metric_lines({"metrics/modes": [modes]}), typed=(f"loss={loss}",), config=config)
        for loss, modes, config in (("bce", 3, {}), ("lsgan", 8, LSGAN))
    ]
    assert [group.label for group in grouped(records, Metric("modes"))] == ["loss=lsgan", "loss=bce"]


def test_a_single_seed_shows_no_spread(tmp_path: Path) -> None:
    (group,) = grouped([make(tmp_path / "0", (0.5,))], KL)
    assert (group.label, group.deviation, standing.figure(group), standing.extent(group)) == (
        "all runs",
        None,
        "0.5",
        "",
    )


def test_repetitions_of_a_seed_count_once(tmp_path: Path) -> None:
    records = [make(tmp_path / str(number), (0.5,), seed=seed) for number, seed in enumerate((1, 1, 2))]
    (group,) = grouped(records, KL)
    assert (len(group.entries), len(group.values), group.num_seeds) == (3, 2, 2)


UNESSENTIAL: list[dict[str, Any]] = [
    {"device": {"threads": 7, "type": "cuda"}},
    {"train": {"log_every": 1, "keep": 9, "sample_every": 3, "checkpoint_every": 5}},
    {"train": {"epochs": 77}},  # steps win over them
    {"evaluate": {"num_images": 5}},
    {"sampling": {"shown": 3, "columns": 1}},
    {"optim": {"schedule": {"steps": 7}}},  # of a rate that is constant
    {"critic": {"noise": None}},  # as good as absent
]
ESSENTIAL: list[dict[str, Any]] = [
    {"train": {"steps": 200}},
    {"train": {"evaluate_every": 5}},
    {"train": {"minutes": 3}},
    {"device": {"precision": "bf16"}},
    {"critic": {"noise": 0.1}},
    {"sampling": {"batch_norm": "batch"}},
    {"optim": {"generator": {"lr": 2e-3}}},
]


@pytest.mark.parametrize("changes", UNESSENTIAL, ids=str)
def test_what_leaves_the_results_as_they_are_makes_no_group(changes: Mapping[str, Any], tmp_path: Path) -> None:
    records = [make(tmp_path / "0", (0.5,)), make(tmp_path / "1", (0.4,), seed=1, config=changes)]
    assert len(grouped(records, KL)) == 1


@pytest.mark.parametrize("changes", ESSENTIAL, ids=str)
def test_what_changes_the_results_makes_a_group(changes: Mapping[str, Any], tmp_path: Path) -> None:
    records = [make(tmp_path / "0", (0.5,)), make(tmp_path / "1", (0.4,), seed=1, config=changes)]
    assert len(grouped(records, KL)) == 2


def test_other_initial_weights_make_a_group(tmp_path: Path) -> None:
    records = [make(tmp_path / "0", (0.5,)), make(tmp_path / "1", (0.4,), typed=("init_from=x.safetensors",))]
    assert len(grouped(records, KL)) == 2


def of_folder(tmp_path: Path, name: str, root: str, digest: str | None) -> Record:
    data = {"data": {"_target_": "gan_cli.data.folder.load", "kind": "image", "root": root}}
    record = make(tmp_path / name, (0.5,), config=data)
    return Record(**(vars(record) | {"data_digest": digest}))


def test_data_from_files_are_known_by_their_content(tmp_path: Path) -> None:
    moved = [of_folder(tmp_path, "0", "/a", "11"), of_folder(tmp_path, "1", "/b", "11")]
    refilled = [of_folder(tmp_path, "2", "/a", "11"), of_folder(tmp_path, "3", "/a", "22")]
    unknown = [of_folder(tmp_path, "4", "/a", "11"), of_folder(tmp_path, "5", "/a", None)]
    assert [len(grouped(records, KL)) for records in (moved, refilled, unknown)] == [1, 2, 1]
    assert {group.label for group in grouped(refilled, KL)} == {"data.root=/a (11)", "data.root=/a (22)"}


def test_without_what_was_typed_groups_are_called_by_what_is_configured(tmp_path: Path) -> None:
    fast = {"optim": {"lr": 0.01, "generator": {"lr": 0.01}, "discriminator": {"lr": 0.01}}}
    records = [
        make(tmp_path / "0", (0.1,)),
        make(tmp_path / "1", (0.2,), config=LSGAN),
        make(tmp_path / "2", (0.3,), config=merged(LSGAN, fast)),
    ]
    labels = [group.label for group in grouped(records, KL)]
    # The class says what real_target and d_scale are, and the rate those of both players.
    assert labels == ["loss=BCE optim.lr=0.001", "loss=LSGAN optim.lr=0.001", "loss=LSGAN optim.lr=0.01"]


def test_what_was_typed_must_explain_the_groups(tmp_path: Path) -> None:
    same = ("loss=bce",)
    records = [make(tmp_path / "0", (0.1,), typed=same), make(tmp_path / "1", (0.2,), typed=same, config=LSGAN)]
    assert [group.label for group in grouped(records, KL)] == ["loss=BCE", "loss=LSGAN"]


def test_what_runs_of_one_group_have_otherwise_is_not_its_name(tmp_path: Path) -> None:
    records = [
        make(tmp_path / name, (0.1,), seed=seed, typed=(f"experiment={name}",), config=config)
        for seed, (name, config) in enumerate({"one": {}, "same": {}, "other": LSGAN}.items())
    ]
    assert {group.label for group in grouped(records, KL)} == {"loss=BCE", "loss=LSGAN"}


def test_a_key_that_one_run_left_to_its_default_is_shown_as_configured(tmp_path: Path) -> None:
    records = [make(tmp_path / "0", (0.1,)), make(tmp_path / "1", (0.2,), typed=("loss=lsgan",), config=LSGAN)]
    assert [group.label for group in grouped(records, KL)] == ["loss=BCE", "loss=lsgan"]


def test_a_job_without_configuration_is_with_those_that_were_asked_for_the_same(tmp_path: Path) -> None:
    records = sweep(tmp_path, {("bce", "0.001"): (0.5, 0.4), ("lsgan", "0.001"): (0.3,)})
    refused = Record(tmp_path / "r", "refused", "no", overrides=("seed=9", "optim.lr=0.001", "loss=bce"))
    strange = Record(tmp_path / "s", "refused", "no", overrides=("loss=wgan", "optim.lr=0.001"))
    groups = grouped([*records, refused, strange], KL)
    assert [(group.label, len(group.entries)) for group in groups] == [
        ("loss=lsgan", 1),
        ("loss=bce", 3),
        ("loss=wgan", 1),
    ]
    assert groups[1].num_failed == 1


def test_runs_of_little_in_common_are_called_by_few_keys_and_all_are_kept(tmp_path: Path) -> None:
    records = [
        make(tmp_path / str(n), (n,), typed=[f"{key}={n}" for key in "abcdef"], config={"model": {"size": n}})
        for n in range(3)
    ]
    groups = grouped(records, KL)
    assert [group.label for group in groups] == ["a=0 …", "a=1 …", "a=2 …"]
    assert all(len(group.settings) == 6 for group in groups)


def test_numbers_of_different_measures_never_meet(tmp_path: Path) -> None:
    records = [
        make(tmp_path / str(count), lines=metric_lines({"metrics/kl": [value]}, count=count), seed=count)
        for count, value in ((2500, 0.5), (100, 0.1))
    ]
    records.append(make(tmp_path / "2", (0.7,), seed=2))
    usual, other = grouped(records, KL)
    assert usual.values == [0.5, 0.7]
    assert (other.values, other.comparable) == ([0.1], False)  # though it is lower
    assert standing.beside_best(other, [usual, other]) == "measured otherwise"


def test_numbers_of_different_data_never_meet(tmp_path: Path) -> None:
    wide = {"data": {"std": 0.5}}
    records = [make(tmp_path / str(n), (0.5,), seed=n) for n in range(2)] + [make(tmp_path / "2", (0.1,), config=wide)]
    usual, other = grouped(records, KL)
    assert (other.values, other.comparable) == ([0.1], False)
    assert standing.beside_best(other, [usual, other]) == "other data"


@pytest.mark.parametrize("state", ["running", "interrupted", "killed", "pruned"])
def test_runs_under_way_count_only_where_none_has_finished(state: str, tmp_path: Path) -> None:
    kept = make(tmp_path / "0", (0.5,))
    halfway = Record(**(vars(make(tmp_path / "1", (0.1,), seed=1)) | {"state": state}))
    (both,) = grouped([kept, halfway], KL)
    assert (both.values, standing.seeds(both)) == ([0.5], "1 of 2")
    (alone,) = grouped([halfway], KL)
    assert (alone.values, standing.seeds(alone)) == ([0.1], "1 so far")


@pytest.mark.parametrize("state", ["diverged", "failed", "refused", "unreadable", "absent"])
def test_a_failed_run_has_no_part_in_a_mean(state: str, tmp_path: Path) -> None:
    failed = Record(**(vars(make(tmp_path / "0", (0.1,))) | {"state": state}))
    (group,) = grouped([failed], KL)
    assert (group.values, group.num_failed) == ([], 1)


def test_without_a_metric_groups_are_listed_all_the_same(tmp_path: Path) -> None:
    groups = grouped(sweep(tmp_path, {("bce", "1"): (NAN,), ("lsgan", "1"): (NAN,)}), None)
    assert [group.mean for group in groups] == [None, None]
    assert "No run has logged a metric" in standing.verdict(groups, None)


def test_the_two_best_are_separated_only_by_more_than_their_spread(tmp_path: Path) -> None:
    def said(first: Sequence[float], second: Sequence[float], name: str) -> str:
        groups = grouped(sweep(tmp_path / name, {("bce", "1"): first, ("lsgan", "1"): second}), KL)
        return standing.verdict(groups, KL) + " " + standing.beside_best(groups[1], groups)

    assert "differ by more" in (far := said((0.1, 0.11, 0.12), (0.5, 0.51, 0.52), "far"))
    assert far.endswith("worse")
    assert "are not separated by these seeds" in (near := said((0.1, 0.5, 0.9), (0.2, 0.6, 1.0), "near"))
    assert near.endswith("not separated")
    assert "no spread" in said((0.1,), (0.5, 0.51), "single")


def test_the_effect_of_a_key_is_the_mean_over_all_that_have_it(tmp_path: Path) -> None:
    found = {(effect.key, effect.value): effect for effect in effects(grouped(sweep(tmp_path, GRID), KL))}
    assert list(found) == [("loss", "lsgan"), ("loss", "bce"), ("optim.lr", "0.001"), ("optim.lr", "0.1")]
    bce = found["loss", "bce"]
    values = [0.4, 0.6, 0.5, 0.9, 0.7]
    assert (bce.mean, bce.deviation) == (
        pytest.approx(statistics.mean(values)),
        pytest.approx(statistics.stdev(values)),
    )
    assert (bce.count, bce.failed, bce.balanced) == (5, 1, False)  # lsgan has no value at the rate of 0.1
    slow = found["optim.lr", "0.001"]
    assert slow.mean == pytest.approx((0.4 + 0.6 + 0.5 + 0.2 + 0.1 + 0.3) / 6)


def test_effects_of_a_full_grid_are_balanced(tmp_path: Path) -> None:
    full = {(loss, rate): (0.1, 0.2) for loss in ("bce", "lsgan") for rate in ("0.1", "0.2")}
    assert all(effect.balanced for effect in effects(grouped(sweep(tmp_path, full), KL)))


def test_no_effect_is_claimed_of_keys_that_changed_together(tmp_path: Path) -> None:
    assert effects(grouped(sweep(tmp_path, {("bce", "0.1"): (0.1,), ("lsgan", "0.2"): (0.2,)}), KL)) == []


def test_many_numbers_are_told_in_thirds(tmp_path: Path) -> None:
    rates = [f"{n}e-4" for n in range(1, 10)]
    records = sweep(tmp_path, {("bce", rate): (float(n),) for n, rate in enumerate(rates)})
    found = effects(grouped(records, KL))
    assert [(effect.value, effect.mean, effect.count) for effect in found] == [
        ("1e-4 to 3e-4", 1.0, 3),
        ("4e-4 to 6e-4", 4.0, 3),
        ("7e-4 to 9e-4", 7.0, 3),
    ]
