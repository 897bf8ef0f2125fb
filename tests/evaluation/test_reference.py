"""Real images on both sides: who is compared with whom, what the floor is, and when statistics are made anew."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from evaluation_fakes import digits, judge, telling
from torch import Tensor

from gan_cli.data.dataset import Dataset
from gan_cli.evaluation import reference
from gan_cli.evaluation.reference import Reference, Split, pictures, standardized
from gan_cli.evaluation.scores import scores
from gan_cli.evaluation.seen import look
from gan_cli.extractors import Extractor
from gan_cli.extractors.extractor import Features
from gan_cli.metrics.frechet import Moments


def test_images_are_brought_to_the_extractor_batch_by_batch() -> None:
    class Elsewhere:
        device, num_classes = torch.device("meta"), 0

        def __call__(self, images: Tensor) -> Features:
            assert images.device.type == "meta"
            return Features(torch.ones(len(images), 2), None)

    data = Dataset(torch.zeros(5, 1, 2, 2, dtype=torch.uint8))
    assert len(look(pictures(data, torch.arange(5)), Elsewhere())) == 5


@pytest.mark.parametrize(
    ("size", "count", "most", "held_out", "compared"),
    [
        (1000, 100, 400, 100, 400),
        (1000, 100, 10**6, 100, 900),
        (1000, 500, 10**6, 500, 500),
        (1000, 501, 10**6, 500, 500),
        (1001, 10**6, 10**6, 500, 501),
        (100, 10, 1, 10, 1),
    ],
)
def test_split_has_the_sizes_asked_for_and_shares_no_image(size, count, most, held_out, compared) -> None:
    split = Split.of(size, count, most)
    assert (len(split.held_out), len(split.compared)) == (held_out, compared)
    both = torch.cat([split.held_out, split.compared])
    assert len(both.unique()) == held_out + compared
    assert 0 <= int(both.min()) <= int(both.max()) < size
    again = Split.of(size, count, most)
    assert torch.equal(again.held_out, split.held_out)
    assert torch.equal(again.compared, split.compared)


def test_split_is_shuffled_and_of_no_global_generator() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    split = Split.of(10_000, 2_000, 10**6)
    assert torch.equal(torch.get_rng_state(), before)
    # The mean place of 2,000 of 10,000 has the standard deviation 10,000 / √12 · √(1/2,000 - 1/10,000) = 58.
    assert abs(float(split.held_out.double().mean()) - 4999.5) < 4 * 58
    # Of a sorted or blockwise split neighbors stay neighbors; of a shuffled one they are 3,333 apart in the mean.
    assert float(split.held_out.diff().abs().double().mean()) == pytest.approx(3333, rel=0.1)


def test_held_out_and_compared_have_the_classes_of_the_data() -> None:
    labels = torch.arange(10).repeat_interleave(200)  # in the order of the classes, as folders are
    split = Split.of(2000, 500, 10**6)
    counts = labels[split.held_out].bincount(minlength=10)
    assert float(((counts - 50) ** 2 / 50).sum()) < 27.9  # p = 0.001 for 9 degrees of freedom


def made_by(cache: Path, data: Dataset, count: int, name: str = "mnist_v1", extractor: Extractor | None = None):
    split = Split.of(len(data), count, 10**6)
    return Reference.of(data, data.digest(), extractor or judge(name), split, cache)


def test_reference_is_what_the_extractor_says_of_the_images(tmp_path: Path) -> None:
    data = digits().first(400)
    found = made_by(tmp_path, data, 150)
    split = Split.of(400, 150, 10**6)
    real = judge()(data.samples[split.compared])
    assert torch.allclose(found.compared.embedding, real.embedding, atol=1e-5)
    assert torch.allclose(found.held_out, judge()(data.samples[split.held_out]).embedding, atol=1e-5)
    moments = Moments.of(real.embedding)
    assert torch.allclose(found.compared.moments.mean, moments.mean, atol=1e-6)
    assert torch.allclose(found.compared.moments.covariance, moments.covariance, atol=1e-5)
    assert found.compared.moments.count == 250
    assert torch.equal(found.compared.shares, real.logits.argmax(1).bincount(minlength=10).double() / 250)
    assert found.standardizer is None


@pytest.mark.parametrize(("name", "count"), [("mnist_v1", 640), ("mnist_v1", 120), ("random_v1", 120)])
def test_floors_are_the_scores_of_the_held_out_images(tmp_path: Path, name: str, count: int) -> None:
    data = digits().first(1400 if count > 500 else 300)
    found = made_by(tmp_path, data, count, name)
    labels = data.labels[found.split.held_out] if name == "mnist_v1" else None
    seen = standardized(look(pictures(data, found.split.held_out), judge(name), labels), found.standardizer)
    expected = scores(seen, found.compared)
    assert found.floors == expected
    assert ("fid" in found.floors) == (count == 640)
    assert ("accuracy" in found.floors) == (name == "mnist_v1")


def test_random_features_are_standardized_on_the_images_compared_with(tmp_path: Path) -> None:
    found = made_by(tmp_path, digits().first(300), 100, "random_v1")
    features = found.compared.embedding.double()
    assert torch.allclose(features.mean(0), torch.zeros(features.shape[1], dtype=torch.float64), atol=1e-5)
    assert torch.allclose(features.std(0), torch.ones(features.shape[1], dtype=torch.float64), atol=1e-5)
    assert found.held_out.shape[1] == features.shape[1]


def test_accuracy_of_real_images_is_the_networks_own_and_only_of_its_classes(tmp_path: Path) -> None:
    data = digits().first(400)
    assert made_by(tmp_path, data, 200).floors["accuracy"].value > 0.97
    for other in (replace(data, classes=data.classes[:9]), replace(data, labels=None, classes=())):
        assert "accuracy" not in made_by(tmp_path / "other", other, 150).floors


def stored_parts(found: Reference) -> list[Tensor]:
    compared = found.compared
    return [compared.embedding, compared.moments.mean, compared.moments.covariance, compared.shares, found.held_out]


class Looks:
    """Counts what an extractor is shown."""

    def __init__(self) -> None:
        self.images = 0
        self.extractor = telling(judge(), self._count)

    def _count(self, batch: Tensor) -> None:
        self.images += len(batch)


def test_stored_reference_is_the_computed_one_and_looks_at_no_image(tmp_path: Path) -> None:
    looks, data = Looks(), digits().first(300)
    first = made_by(tmp_path, data, 100, extractor=looks.extractor)
    assert looks.images == 300
    same_bytes = replace(data, samples=data.samples.clone())
    second = made_by(tmp_path, same_bytes, 100, extractor=looks.extractor)
    assert looks.images == 300
    assert second.floors == first.floors
    assert second.key == first.key
    for one, other in zip(stored_parts(first), stored_parts(second), strict=True):
        assert torch.equal(one, other)
    (tmp_path / "moved").mkdir()
    (file,) = tmp_path.glob("*.safetensors")
    file.rename(tmp_path / "moved" / file.name)
    made_by(tmp_path / "moved", data, 100, extractor=looks.extractor)
    assert looks.images == 300


def one_pixel_changed(data: Dataset) -> Dataset:
    samples = data.samples.clone()
    samples[7, 0, 14, 14] ^= 1
    return replace(data, samples=samples)


def one_label_changed(data: Dataset) -> Dataset:
    labels = data.labels.clone()
    labels[7] = (labels[7] + 1) % 10
    return replace(data, labels=labels)


@pytest.mark.parametrize("change", [one_pixel_changed, one_label_changed, lambda data: data.first(299)])
def test_other_data_are_looked_at_anew(tmp_path: Path, change) -> None:
    looks, data = Looks(), digits().first(300)
    made_by(tmp_path, data, 100, extractor=looks.extractor)
    made_by(tmp_path, change(data), 100, extractor=looks.extractor)
    assert looks.images == 300 + len(change(data))


@pytest.mark.parametrize("what", ["count", "most", "digest", "name", "version"])
def test_other_split_extractor_or_code_looks_anew(tmp_path: Path, monkeypatch, what: str) -> None:
    looks, data = Looks(), digits().first(300)
    made_by(tmp_path, data, 100, extractor=looks.extractor)
    count, most, extractor = 100, 10**6, looks.extractor
    if what == "count":
        count = 101
    elif what == "most":
        most = 199
    elif what == "version":
        monkeypatch.setattr(reference, "VERSION", reference.VERSION + 1)
    else:
        extractor = replace(extractor, **{what: "0123456789abcdef"})
    before = looks.images
    Reference.of(data, data.digest(), extractor, Split.of(300, count, most), tmp_path)
    assert looks.images > before


def test_damaged_reference_is_made_anew_and_equal(tmp_path: Path, caplog) -> None:
    data = digits().first(300)
    first = made_by(tmp_path, data, 100)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    with caplog.at_level(logging.WARNING):
        second = made_by(tmp_path, data, 100)
    assert "damaged" in caplog.text
    assert second.floors == first.floors
    for one, other in zip(stored_parts(first), stored_parts(second), strict=True):
        assert torch.equal(one, other)


def test_mirrored_pictures_are_the_same_in_the_same_order() -> None:
    data, places = digits().first(600), torch.arange(599, -1, -1)
    plain, mirrored = (torch.cat(list(pictures(data, places, flipped))) for flipped in (False, True))
    assert torch.equal(plain, data.samples.flip(0))
    assert torch.equal(mirrored, plain.flip(-1))
