"""Scores of digits order samples as a person would, and tell nothing of too few."""

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from evaluation_fakes import digits, evaluator, judge, measured, noisy, shuffled
from torch import Tensor

from gan_cli.evaluation import scores as module
from gan_cli.evaluation.image_evaluator import ImageEvaluator
from gan_cli.evaluation.scores import Compared, scores
from gan_cli.evaluation.seen import Seen, look
from gan_cli.metrics.frechet import Moments, frechet_distance, frechet_floor
from gan_cli.metrics.kid import polynomial_mmd2
from gan_cli.metrics.prdc import prdc

PRDC = {"precision", "recall", "density", "coverage"}


def normal(count: int, features: int, seed: int) -> Tensor:
    return torch.randn(count, features, generator=torch.Generator().manual_seed(seed))


def compared(embedding: Tensor, shares: Tensor | None = None, uniform: bool = False) -> Compared:
    return Compared(embedding, Moments.of(embedding), shares, uniform)


@pytest.mark.parametrize(
    ("samples", "real", "told"),
    [
        (49, 1000, set()),
        (1000, 49, set()),
        (50, 50, PRDC),
        (99, 1000, PRDC),
        (1000, 99, PRDC),
        (100, 100, PRDC | {"kid"}),
        (199, 1000, PRDC | {"kid"}),
        (1000, 199, PRDC | {"kid"}),
        (200, 200, PRDC | {"kid", "fid"}),
    ],
)
def test_nothing_is_told_of_too_few_on_either_side(samples: int, real: int, told: set[str]) -> None:
    found = scores(Seen(normal(samples, 20, 1)), compared(normal(real, 20, 2)))
    assert found.keys() == told
    assert all(score.count in (samples, min(samples, real)) for score in found.values())


def test_pairs_are_of_few_and_moments_of_all(monkeypatch) -> None:
    monkeypatch.setattr(module, "PAIRWISE_MOST", 300)
    samples, real = normal(310, 2, 1), normal(320, 2, 2)
    found = scores(Seen(samples), compared(real))
    assert {name: score.count for name, score in found.items()} == dict.fromkeys(PRDC | {"kid"}, 300) | {"fid": 310}
    assert found["fid"].value == frechet_distance(Moments.of(samples), Moments.of(real))
    assert found["kid"].value == polynomial_mmd2(samples[:300], real[:300])
    assert found["coverage"].value == prdc(real[:300], samples[:300], 5).coverage


def test_classes_by_hand() -> None:
    classes = torch.tensor([0, 0, 1, 1])
    logits = torch.eye(3)[classes] * 1000
    shares = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    seen = Seen(normal(4, 2, 1), classes, logits, torch.tensor([0, 1, 1, 1]))
    told = {name: score.value for name, score in scores(seen, compared(normal(4, 2, 2), shares)).items()}
    assert told == pytest.approx({"class_kl": 0.5 * 0.6931471805599453, "score": 2.0, "accuracy": 0.75})
    uniform = {name: score.value for name, score in scores(seen, compared(normal(4, 2, 2), shares, True)).items()}
    assert uniform.keys() == told.keys() | {"modes"}
    assert uniform["modes"] == 2
    assert uniform["class_kl"] == pytest.approx(torch.tensor(1.5).log().item())


@pytest.fixture(scope="module")
def of_digits(tmp_path_factory) -> ImageEvaluator:
    """2,000 samples against 3,000 digits."""
    return evaluator(tmp_path_factory.mktemp("cache"), shuffled().first(5000), 2000)


@pytest.fixture(scope="module")
def fresh() -> Tensor:
    """As many other digits."""
    return shuffled().samples[5000:7000]


@pytest.fixture(scope="module")
def of_fresh(of_digits: ImageEvaluator, fresh: Tensor) -> dict[str, float]:
    return measured(of_digits, fresh)


def floors(of: ImageEvaluator) -> dict[str, float]:
    return {name: score.value for name, score in of._reference.floors.items()}


def test_other_real_images_score_about_the_floor(of_digits: ImageEvaluator, of_fresh: dict[str, float]) -> None:
    floor = floors(of_digits)
    predicted = frechet_floor(of_digits._reference.compared.moments, 2000)
    assert floor["fid"] / 2 < of_fresh["fid"] < 2 * floor["fid"]
    assert predicted / 2 < floor["fid"] < 2 * predicted
    assert predicted / 2 < of_fresh["fid"] < 2 * predicted
    # The standard deviation of ten others is 0.001, and without the zeros the distance is 0.04.
    assert abs(of_fresh["kid"] - floor["kid"]) < 0.004
    for name in PRDC:
        assert of_fresh[name] == pytest.approx(floor[name], abs=0.06)


def test_the_noisier_the_worse(of_digits: ImageEvaluator, fresh: Tensor, of_fresh: dict[str, float]) -> None:
    found = [of_fresh] + [measured(of_digits, noisy(fresh, sd)) for sd in (4, 8, 16, 32)]
    for metric in ("fid", "kid"):
        values = [told[metric] for told in found]
        assert all(one < other for one, other in pairwise(values))
        assert values[-1] > 10 * abs(values[0])


def test_the_more_digits_are_missing_the_worse(of_digits: ImageEvaluator, of_fresh: dict[str, float]) -> None:
    images, labels = shuffled().samples[5000:10_000], shuffled().labels[5000:10_000]
    found = [of_fresh] + [measured(of_digits, images[labels >= dropped][:2000]) for dropped in (1, 2, 5)]
    for metric in ("fid", "kid", "class_kl"):
        values = [told[metric] for told in found]
        assert all(one < other for one, other in pairwise(values))
        assert values[1] > 2 * abs(values[0])
    half = found[-1]
    assert half["class_kl"] == pytest.approx(math.log(2), abs=0.08)
    assert half["precision"] > 0.85  # digits they are
    assert half["coverage"] < 0.6 * of_fresh["coverage"]
    assert half["recall"] < 0.7 * of_fresh["recall"]


def test_a_hundred_digits_repeated_are_exposed(of_digits: ImageEvaluator) -> None:
    images = digits().samples[of_digits._reference.split.compared[:100]].repeat(20, 1, 1, 1)
    told = measured(of_digits, images)
    assert told["precision"] > 0.9
    assert told["recall"] < 0.05
    # Of a hundred among 2,000 none is among the 5 nearest of a digit with probability (1 - 5/2,000)^100 = 0.78.
    assert told["coverage"] < 0.35


def test_features_hardly_depend_on_how_many_images_come_at_a_time(fresh: Tensor) -> None:
    whole = look(fresh[:500].split(256), judge()).embedding
    for batch in (250, 64, 7):
        other = look(fresh[:500].split(batch), judge()).embedding
        assert torch.allclose(other, whole, rtol=1e-5, atol=1e-5 * float(whole.abs().max()))


@pytest.mark.slow
def test_a_hundred_digits_repeated_are_exposed_at_full_size(tmp_path: Path) -> None:
    of = evaluator(tmp_path, digits(), 10_000)
    told = measured(of, digits().samples[of._split.compared[:100]].repeat(100, 1, 1, 1))
    assert told["precision"] > 0.9
    assert told["recall"] < 0.05
    assert told["coverage"] < 0.2


@pytest.mark.slow
def test_the_floor_falls_as_one_over_the_number_of_images(tmp_path: Path) -> None:
    found = {}
    for count in (1_000, 10_000):
        of = evaluator(tmp_path, shuffled().first(2 * count), count)  # n against n
        found[count] = count * floors(of)["fid"]
        assert floors(of)["fid"] / 2 < frechet_floor(of._reference.compared.moments, count) < 2 * floors(of)["fid"]
    assert found[10_000] == pytest.approx(found[1_000], rel=0.4)


@pytest.mark.slow
def test_noise_and_missing_digits_order_at_full_size(tmp_path: Path) -> None:
    of = evaluator(tmp_path, digits(), 10_000)
    real, labels = digits().samples[of._split.held_out], digits().labels[of._split.held_out]
    by_noise = [measured(of, real)] + [measured(of, noisy(real, sd)) for sd in (4, 8, 16, 32)]
    by_class = [by_noise[0]] + [measured(of, real[labels >= dropped]) for dropped in (1, 2, 5)]
    for found in (by_noise, by_class):
        for metric in ("fid", "kid"):
            assert all(one[metric] < other[metric] for one, other in pairwise(found))
