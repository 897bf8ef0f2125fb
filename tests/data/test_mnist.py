import gzip
import hashlib

import pytest
import torch

from gan_cli.data import mnist
from gan_cli.data.dataset import Dataset


@pytest.fixture(scope="module")
def splits() -> dict[str, Dataset]:
    return {split: mnist.load(split) for split in ("train", "test")}


@pytest.mark.parametrize(
    ("name", "md5"),
    [
        ("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
        ("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
        ("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
        ("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
    ],
)
def test_packaged_files_are_byte_for_byte_the_published_ones(name, md5):
    content = gzip.decompress((mnist.FILES / f"{name}.gz").read_bytes())
    assert hashlib.md5(content, usedforsecurity=False).hexdigest() == md5


@pytest.mark.parametrize(
    ("split", "counts"),
    [
        ("train", [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
        ("test", [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
    ],
)
def test_digits_are_as_frequent_as_published(splits, split, counts):
    data = splits[split]
    assert data.labels.dtype == torch.int64
    assert data.labels.bincount().tolist() == counts
    assert tuple(data.samples.shape) == (sum(counts), 1, 28, 28)
    assert data.classes == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")


def test_pixels_have_the_published_mean_and_deviation(splits):
    counts = splits["train"].samples.flatten().bincount(minlength=256).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = float((counts * values).sum() / counts.sum())
    variance = float((counts * (values - mean) ** 2).sum() / counts.sum())
    assert (round(mean, 4), round(variance**0.5, 4)) == (0.1307, 0.3081)


@pytest.mark.parametrize(
    ("split", "digits"), [("train", [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]), ("test", [7, 2, 1, 0, 4, 1, 4, 9, 5, 9])]
)
def test_images_stand_upright_beside_their_own_labels(splits, split, digits):
    data = splits[split]
    assert data.labels[:10].tolist() == digits
    zero = data.samples[data.labels == 0, 0].float().mean(0)
    assert zero[13:15, 13:15].mean() < 20 < 100 < zero[14, 7:21].max()  # a ring: dark inside, bright around
    seven = data.samples[data.labels == 7, 0].float().mean(0)
    assert seven[7:10].sum() > 1.5 * seven[19:22].sum()  # a bar above, a stem below
