"""Copies of training images, planted among images that are none, are found: how many, which, and whether mirrored."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from evaluation_fakes import evaluator, judge, measured, shuffled, stored
from torch import Tensor

from gan_cli.evaluation.evaluator import Evaluation
from gan_cli.evaluation.image_evaluator import ImageEvaluator
from gan_cli.evaluation.memorization import Neighbors
from gan_cli.evaluation.seen import look

N, COUNT = 1500, 640


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_cli.evaluation.pictures.of", lambda *_: {})


@pytest.fixture(scope="module")
def of(tmp_path_factory) -> ImageEvaluator:
    return evaluator(tmp_path_factory.mktemp("cache"), shuffled().first(N), COUNT, thorough=True)


@pytest.fixture(scope="module")
def fresh() -> Tensor:
    return shuffled().samples[N : N + COUNT]


@pytest.fixture(scope="module")
def of_fresh(of: ImageEvaluator, fresh: Tensor) -> Evaluation:
    return of.evaluate(stored(fresh), "raw")


def planted(fresh: Tensor, copies: int, mirrored: bool = False) -> tuple[Tensor, Tensor]:
    """Samples of which the first are copies, and the places of their originals: from all over the data."""
    places = torch.arange(copies) * 2 + 1
    originals = shuffled().samples[places]
    return torch.cat([originals.flip(-1) if mirrored else originals, fresh[copies:]]), places


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_planted_share_of_copies_is_recovered(of: ImageEvaluator, fresh: Tensor, share: float, mirrored: bool) -> None:
    copies = round(share * COUNT)
    told = measured(of, planted(fresh, copies, mirrored)[0])
    # About 0.5 % of the others are nearer than the quantile, which itself is one of 640 distances: twice a chance of 3
    # in 640. More than 15 of 640 would be one case in 10,000.
    assert share <= told["copied"] <= share + (1 - share) * 15 / 640


def test_images_that_are_no_copies_score_the_floor(of_fresh: Evaluation) -> None:
    floors = {measure.name: measure.floor for measure in of_fresh.measures}
    assert floors["copied"] == pytest.approx(0.005, abs=1 / COUNT)
    assert of_fresh.values["nn_distance"] == pytest.approx(floors["nn_distance"], rel=0.1)
    assert of_fresh.values["mifid"] == of_fresh.values["fid"]
    assert floors["mifid"] == floors["fid"]


@pytest.mark.parametrize("mirrored", [False, True])
def test_copies_have_no_distance(of: ImageEvaluator, fresh: Tensor, of_fresh: Evaluation, mirrored: bool) -> None:
    told = measured(of, planted(fresh, COUNT, mirrored)[0])
    floor = next(measure.floor for measure in of_fresh.measures if measure.name == "nn_distance")
    assert told["nn_distance"] < floor / 10


def test_mifid_explodes_of_copies_and_of_nothing_else(of: ImageEvaluator, fresh: Tensor) -> None:
    few = measured(of, planted(fresh, COUNT // 10)[0])
    assert few["mifid"] == few["fid"]  # a tenth of copies does not bring the mean below half of the real images'
    all_copies = measured(of, planted(fresh, COUNT)[0])
    assert all_copies["mifid"] > 100 * all_copies["fid"]


def searched(of: ImageEvaluator, images: Tensor) -> Neighbors:
    return of._memory.search(look(images.split(256), judge()))


def test_neighbors_are_the_copied_images_and_tell_the_mirrored_ones(of: ImageEvaluator, fresh: Tensor) -> None:
    plain, places = planted(fresh, 200)
    found = searched(of, plain)
    assert torch.equal(found.places[:200], places)
    assert not found.mirrored[:200].any()
    assert float(found.distances[:200].max()) < 1e-3
    flipped, places = planted(fresh, 200, mirrored=True)
    found = searched(of, flipped)
    assert torch.equal(found.places[:200], places)
    assert found.mirrored[:200].all()
    assert float(found.distances[:200].max()) < 1e-3


def test_neighbors_are_those_of_a_search_by_hand(of: ImageEvaluator, fresh: Tensor) -> None:
    data = shuffled().samples[:N]
    features, mirrored = (look(images.split(256), judge()).embedding.double() for images in (data, data.flip(-1)))
    samples = look(fresh[:50].split(256), judge()).embedding.double()
    plain, flipped = torch.cdist(samples, features).min(1), torch.cdist(samples, mirrored).min(1)
    found = searched(of, fresh[:50])
    nearer = flipped.values < plain.values
    assert torch.equal(found.mirrored, nearer)
    assert torch.equal(found.places, torch.where(nearer, flipped.indices, plain.indices))
    assert torch.allclose(found.distances, torch.minimum(plain.values, flipped.values), atol=1e-4)
    assert nearer.any()
    assert not nearer.all()


def test_baseline_is_to_any_other_training_image_by_hand(of: ImageEvaluator) -> None:
    data, split = shuffled().samples[:N], of._split
    features, mirrored = (look(images.split(256), judge()).embedding.double() for images in (data, data.flip(-1)))
    real, own = split.held_out, (torch.arange(COUNT), split.held_out)
    plain, mirror_images = torch.cdist(features[real], features), torch.cdist(features[real], mirrored)
    assert (mirror_images[own] < torch.cdist(features[real], features).kthvalue(2, 1).values).any()  # symmetric digits
    plain[own] = mirror_images[own] = torch.inf
    assert torch.allclose(of._memory.baseline, torch.minimum(plain, mirror_images).amin(1), atol=1e-4)
    directions = torch.nn.functional.normalize(features)
    others = 1 - (directions[split.held_out] @ directions.T).abs()
    others[own] = torch.inf
    assert of._memory.cosine_baseline == pytest.approx(float(others.amin(1).mean()), rel=1e-4)


def test_memory_comes_from_the_cache_and_is_the_same(of: ImageEvaluator, tmp_path: Path) -> None:
    again = evaluator(of.cache, shuffled().first(N), COUNT, thorough=True)
    fresh = evaluator(tmp_path, shuffled().first(N), COUNT, thorough=True)
    for memory in (again._memory, fresh._memory):
        assert torch.equal(memory.baseline, of._memory.baseline)
        assert torch.equal(memory.mirrored, of._memory.mirrored)
        assert torch.equal(memory.places, of._memory.places)
        assert memory.cosine_baseline == of._memory.cosine_baseline


def test_duplicates_in_the_data_are_no_copies_of_the_generator(tmp_path: Path) -> None:
    data = shuffled().first(400)
    doubled = replace(data, samples=data.samples.repeat(2, 1, 1, 1), labels=data.labels.repeat(2))
    of = evaluator(tmp_path, doubled, 150, thorough=True)
    told = of.evaluate(stored(data.samples[:150]), "raw")
    floors = {measure.name: measure.floor for measure in told.measures}
    assert told.values["copied"] == pytest.approx(1.0)
    assert floors["copied"] == pytest.approx(1.0, abs=0.1)  # so it says nothing, and the floor shows it


def test_without_a_fid_there_is_no_mifid(tmp_path: Path) -> None:
    told = measured(evaluator(tmp_path, shuffled().first(200), 100, thorough=True), shuffled().samples[200:300])
    assert {"nn_distance", "copied"} < told.keys()
    assert not {"fid", "mifid"} & told.keys()


def test_only_so_many_samples_are_searched(of: ImageEvaluator, fresh: Tensor, monkeypatch) -> None:
    monkeypatch.setattr("gan_cli.evaluation.memorization.SEARCHED", 100)
    assert len(searched(of, fresh).places) == 100
    told = of.evaluate(stored(planted(fresh, 100)[0]), "raw")
    counts = {measure.name: measure.count for measure in told.measures}
    assert (counts["copied"], counts["nn_distance"], counts["mifid"]) == (100, 100, COUNT)
    assert told.values["copied"] == 1
