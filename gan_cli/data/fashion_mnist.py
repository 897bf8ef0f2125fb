"""Fashion-MNIST: articles of clothing in the size and format of MNIST (Xiao et al. 2017, arXiv:1708.07747)."""

from pathlib import Path

import torch
from torch import Tensor

from gan_cli.data import mnist
from gan_cli.data.dataset import Dataset
from gan_cli.data.download import fetch
from gan_cli.data.folder import expanded
from gan_cli.data.idx import read_idx
from gan_cli.data.origin import Origin
from gan_cli.errors import Refused

URL = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
SHA256 = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
"""Of the published files, as TensorFlow Datasets lists them."""
ORIGIN = Origin(
    "Fashion-MNIST",
    "Zalando SE (Han Xiao, Kashif Rasul and Roland Vollgraf)",
    "MIT, https://github.com/zalandoresearch/fashion-mnist/blob/master/LICENSE",
    "https://arxiv.org/abs/1708.07747",
)
INSTEAD = (
    "Get the four files of data/fashion in https://github.com/zalandoresearch/fashion-mnist on another machine,\n"
    "and name the folder that holds them: data.root=PATH"
)
REMEDY = "Leave data.root out to have the published files fetched, or name the folder that holds them: data.root=PATH"
CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_PREFIX = {"train": "train", "test": "t10k"}
# Where the files lie below a folder that users know: torchvision's root, what is in it, a clone of the repository.
_FOLDERS = ("", "FashionMNIST/raw", "raw", "fashion", "data/fashion")


def load(root: str | None = None, split: str = "train") -> Dataset:
    """The 60,000 training or 10,000 test images, uint8 (N, 1, 28, 28), bright on black, with their labels.

    Args:
        root: a folder that holds the published files, compressed or not, directly or where torchvision and the
            repository keep them; None fetches them.
        split: "train" or "test".

    Raises:
        Refused: a file is missing, damaged or not of this form, or as `download.fetch`.
    """
    names = tuple(f"{_PREFIX[split]}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1"))
    paths = [_fetched(name) for name in names] if root is None else _found(expanded(root), names)
    images, labels = (_read(path) for path in paths)
    if images.shape[1:] != (28, 28) or not len(images):
        raise Refused(f"{paths[0]} must hold images of 28×28 pixels, and its shape is {tuple(images.shape)}.\n{REMEDY}")
    if labels.shape != images.shape[:1]:
        raise Refused(
            f"{paths[1]} must hold a label for each of the {len(images):,} images, and its shape is "
            f"{tuple(labels.shape)}.\n{REMEDY}"
        )
    if labels.max() >= len(CLASSES):
        raise Refused(f"{paths[1]} must hold labels from 0 to 9, and one is {labels.max()}.\n{REMEDY}")
    if torch.equal(labels, read_idx(mnist.FILES / names[1])):  # which have the same names
        raise Refused(f"{paths[1]} holds the labels of MNIST's digits, not Fashion-MNIST's.\n{REMEDY}")
    return Dataset(images[:, None], labels.long(), CLASSES)


def _fetched(name: str) -> Path:
    return fetch(URL + name, f"sha256:{SHA256[name]}", INSTEAD, "fashion_mnist")


def _found(root: Path, names: tuple[str, ...]) -> list[Path]:
    """The files of one folder at or below `root`."""
    if not root.is_dir():
        raise Refused(f"data.root: there is no folder {root}.\n{REMEDY}")
    for folder in (root / below for below in _FOLDERS):
        either = ((folder / name, folder / name.removesuffix(".gz")) for name in names)
        paths = [next((path for path in pair if path.is_file()), None) for pair in either]
        there = [path for path in paths if path is not None]
        if len(there) == len(names):
            return there
    raise Refused(f"data.root: {root} does not hold {' and '.join(names)}.\n{REMEDY}")


def _read(path: Path) -> Tensor:
    try:
        return read_idx(path)
    except ValueError as error:  # it names the path
        raise Refused(f"{error}.\n{REMEDY}") from error
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror or error}.\n{REMEDY}") from error
