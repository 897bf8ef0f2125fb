"""MNIST, from the files that are part of this package."""

from pathlib import Path

from gan_cli.data.dataset import Dataset, Judges
from gan_cli.data.idx import read_idx
from gan_cli.data.origin import Origin

FILES = Path(__file__).resolve().parent / "mnist_idx"
JUDGES = Judges("mnist_v1", "mnist_report_v1")
ORIGIN = Origin(
    "MNIST",
    "Yann LeCun, Corinna Cortes and Christopher J. C. Burges",
    "CC BY-SA 3.0, https://creativecommons.org/licenses/by-sa/3.0/",
    "http://yann.lecun.com/exdb/mnist/",
)
_PREFIX = {"train": "train", "test": "t10k"}


def load(split: str = "train") -> Dataset:
    """The 60,000 training or 10,000 test images, uint8 (N, 1, 28, 28), white digits on black, with their labels."""
    images = read_idx(FILES / f"{_PREFIX[split]}-images-idx3-ubyte.gz")
    labels = read_idx(FILES / f"{_PREFIX[split]}-labels-idx1-ubyte.gz")
    return Dataset(images[:, None], labels.long(), tuple("0123456789"), judges=JUDGES)
