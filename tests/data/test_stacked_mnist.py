"""Stacked MNIST: what an image is made of, what its label says, and how often each mode comes."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gan_cli.build import load_data
from gan_cli.data import mnist, stacked_mnist
from gan_cli.data.dataset import Dataset
from gan_cli.errors import Refused
from gan_cli.schema import Config

Compose = Callable[..., Config]

SIGMAS = 4.5  # of the sampling error, within which an estimate lies but for one time in 150,000
SIZE = 128_000


@pytest.fixture(scope="module")
def digits() -> dict[str, Dataset]:
    return {split: mnist.load(split) for split in ("train", "test")}


@pytest.fixture(scope="module")
def stacked() -> Dataset:
    return stacked_mnist.load()


def labels_of(data: Dataset) -> Tensor:
    assert data.labels is not None
    return data.labels


def digits_of(data: Dataset) -> Tensor:
    """The digits that the labels are made of: (N, 3), red first."""
    return torch.stack([labels_of(data) // value % 10 for value in (100, 10, 1)], 1)


def sources(data: Dataset, digits: Dataset) -> Tensor:
    """Which digits the channels are, by every pixel: (N, 3)."""
    number_of = {image.tobytes(): number for number, image in enumerate(digits.samples.numpy())}
    assert len(number_of) == len(digits)  # no two are the same
    return torch.tensor([[number_of[channel.tobytes()] for channel in image] for image in data.samples.numpy()])


def assert_drawn_from(counts: Tensor, probabilities: Tensor) -> None:
    """Pearson's χ² of counts, by Wilson and Hilferty's normal approximation; too close is wrong as well."""
    expected, freedom = probabilities * counts.sum(), len(counts) - 1
    chi_square = float(((counts - expected).square() / expected).sum())
    spread = 2 / (9 * freedom)
    assert abs((chi_square / freedom) ** (1 / 3) - (1 - spread)) < SIGMAS * math.sqrt(spread)


@pytest.mark.parametrize(("split", "num_samples"), [("train", 20_000), ("test", 2000)])
def test_every_channel_is_an_image_of_the_split_with_the_digit_that_the_label_says(digits, split, num_samples):
    data = stacked_mnist.load(num_samples=num_samples, split=split)
    assert torch.equal(labels_of(digits[split])[sources(data, digits[split])], digits_of(data))


def test_a_hundred_and_twenty_eight_thousand_color_images_have_a_thousand_named_classes(stacked):
    assert stacked.samples.shape == (SIZE, 3, 28, 28)
    assert (stacked.samples.dtype, labels_of(stacked).dtype) == (torch.uint8, torch.int64)
    assert labels_of(stacked).unique().tolist() == list(range(1000))
    assert len(stacked.classes) == 1000
    for label, digits in zip(labels_of(stacked)[:50].tolist(), digits_of(stacked)[:50].tolist(), strict=True):
        assert stacked.classes[label] == "".join(map(str, digits))


@pytest.mark.parametrize("data_seed", [0, 1])
def test_modes_are_as_likely_as_independent_digits_make_them(stacked, digits, data_seed):
    labels = labels_of(stacked if data_seed == 0 else stacked_mnist.load(data_seed=data_seed))
    digit = labels_of(digits["train"]).bincount().double() / 60_000
    likely = torch.einsum("a,b,c->abc", digit, digit, digit).flatten()
    assert_drawn_from(labels.bincount(minlength=1000), likely)
    assert_drawn_from(labels[:20_000].bincount(minlength=1000), likely)  # `data.limit` takes the first


def test_modes_are_nearly_equally_likely(stacked):
    counts = labels_of(stacked).bincount(minlength=1000)
    assert 1000 * float(counts.min()) / SIZE > 0.5
    assert 1000 * float(counts.max()) / SIZE < 1.9
    share = counts.double() / SIZE
    assert float((share * (1000 * share).log()).sum()) < 0.01  # KL from uniform, of at most ln 1000 = 6.9


def test_every_image_of_the_split_is_as_likely_in_every_channel(digits):
    drawn = sources(stacked_mnist.load(num_samples=60_000, split="test"), digits["test"])
    uniform = torch.full((10_000,), 1e-4, dtype=torch.float64)
    assert_drawn_from(drawn.flatten().bincount(minlength=10_000), uniform)
    for channel in drawn.unbind(1):
        assert_drawn_from(channel.bincount(minlength=10_000), uniform)


def test_images_depend_on_the_data_seed_alone():
    first = stacked_mnist.load(num_samples=500, data_seed=4)
    torch.manual_seed(77)
    before = torch.get_rng_state()
    again = stacked_mnist.load(num_samples=500, data_seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(again.samples, first.samples)
    assert torch.equal(labels_of(again), labels_of(first))
    other = stacked_mnist.load(num_samples=500, data_seed=5)
    assert not (other.samples == first.samples).flatten(1).all(1).any()
    assert (labels_of(other) == labels_of(first)).sum() < 10


@pytest.mark.parametrize("num_samples", [1, 7, 16, 1000])
def test_fewer_images_are_the_first_of_more(stacked, num_samples):
    few = stacked_mnist.load(num_samples=num_samples)
    assert torch.equal(few.samples, stacked.samples[:num_samples])
    assert torch.equal(labels_of(few), labels_of(stacked)[:num_samples])


def test_runs_of_different_seeds_share_their_data(compose: Compose) -> None:
    small = ("data=stacked_mnist", "data.num_samples=100")
    one, other = (load_data(compose(*small, f"seed={seed}")) for seed in (0, 1))
    assert one.digest() == other.digest() == stacked_mnist.load(num_samples=100).digest()
    assert load_data(compose(*small, "data.data_seed=1")).digest() != one.digest()
    assert load_data(compose(*small, "data.split=test")).digest() != one.digest()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.num_samples=0", r"data\.num_samples must be at least 1, got 0"),
        ("data.num_samples=1000001", r"data\.num_samples must be at most 1000000"),
        ("data.data_seed=-1", r"data\.data_seed must be at least 0, got -1"),
        ("data.split=validation", r"data\.split: .*expected one of \[train, test\]"),
    ],
)
def test_what_cannot_be_stacked_is_refused_by_its_key(override: str, words: str, compose: Compose) -> None:
    with pytest.raises(Refused, match=words):
        compose("data=stacked_mnist", override)
