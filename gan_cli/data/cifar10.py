"""CIFAR-10: small color photographs of ten kinds of things (Krizhevsky 2009), in their binary version."""

import tarfile
from collections.abc import Sequence
from io import BufferedIOBase, BufferedReader, RawIOBase
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from gan_cli.data.dataset import Dataset
from gan_cli.data.download import fetch
from gan_cli.data.folder import expanded
from gan_cli.data.origin import Origin
from gan_cli.data.packed import opened
from gan_cli.errors import Refused

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
"""Of the archive, as TensorFlow Datasets lists it."""
ORIGIN = Origin(
    "CIFAR-10",
    "Alex Krizhevsky, Vinod Nair and Geoffrey Hinton",
    "none is stated by its authors, who ask that their report of 2009 be cited; the photographs are others'",
    "https://www.cs.toronto.edu/~kriz/cifar.html",
)
_NAME_IT = "name it, a folder that holds it, or the unpacked folder: data.root=PATH"
INSTEAD = f"Get {URL} on another machine,\nand {_NAME_IT}"
REMEDY = f"Leave data.root out to have it fetched, or get {URL} and\n{_NAME_IT}"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ARCHIVE, FOLDER = "cifar-10-binary.tar.gz", "cifar-10-batches-bin"
FILES = {"train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)), "test": ("test_batch.bin",)}
RECORD = 1 + 3 * 32 * 32  # bytes: a label, then the red, the green and the blue plane
IMAGES_PER_FILE = 10_000
_ROOM = 2**20  # bytes of an archive beside its images


def load(root: str | None = None, split: str = "train") -> Dataset:
    """The 50,000 training or 10,000 test images, uint8 RGB (N, 3, 32, 32), with their labels.

    The archive is read in place: nothing is unpacked onto the disk, so no member can lead anywhere.

    Args:
        root: the archive of the binary version, a folder that holds it, or the unpacked folder; None fetches it.
        split: "train" or "test".

    Raises:
        Refused: there are no such files, they are damaged or not of this form, or as `download.fetch`.
    """
    names = FILES[split]
    path = fetch(URL, f"sha256:{SHA256}", INSTEAD) if root is None else expanded(root)
    try:
        parts = _of_folder(path, names) if path.is_dir() else _of_archive(path, names)
        records = [_records(part, f"{name} of {path}") for name, part in zip(names, parts, strict=True)]
    except OSError as error:
        raise Refused(f"cannot read {error.filename or path}: {error.strerror or error}.\n{REMEDY}") from error
    except ValueError as error:  # it names the path
        raise Refused(f"{error}.\n{REMEDY}") from error
    images = torch.cat([part[:, 1:] for part in records])
    return Dataset(images.reshape(-1, 3, 32, 32), torch.cat([part[:, 0] for part in records]).long(), CLASSES)


def _records(content: bytearray, called: str) -> Tensor:
    """What a file holds, as (N, RECORD)."""
    if len(content) != _file_size():
        raise ValueError(f"{called} must have {_file_size():,} bytes")
    records = torch.frombuffer(content, dtype=torch.uint8).reshape(-1, RECORD)
    largest = int(records[:, 0].max())
    if largest >= len(CLASSES):
        raise ValueError(f"{called} must hold labels from 0 to 9, and one is {largest}")
    return records


def _file_size() -> int:
    return IMAGES_PER_FILE * RECORD


def _of_folder(path: Path, names: Sequence[str]) -> list[bytearray]:
    for folder in (path, path / FOLDER):
        if all((folder / name).is_file() for name in names):
            return [_start(folder / name) for name in names]
    for archive in (path / ARCHIVE, path / ARCHIVE.removesuffix(".gz")):
        if archive.is_file():
            return _of_archive(archive, names)
    raise ValueError(f"data.root: {path} holds neither {ARCHIVE} nor {', '.join(names)}")


def _start(path: Path) -> bytearray:
    """A file as far as it matters: one byte more than it should have tells that it has too many."""
    with open(path, "rb") as file:
        return bytearray(file.read(_file_size() + 1))


def _of_archive(path: Path, names: Sequence[str]) -> list[bytearray]:
    if not path.is_file():
        raise ValueError(f"data.root: there is no {path}")
    with opened(path) as file:
        try:
            found = _members(BufferedReader(_Bounded(file, 6 * _file_size() + _ROOM)), names)
        except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
            raise ValueError(f"{path} is not the whole archive of CIFAR-10's binary version: {error}") from error
    return [found[name] for name in names]


def _members(content: BufferedReader, names: Sequence[str]) -> dict[str, bytearray]:
    """The files of a tar archive by their base names, wherever they are said to lie."""
    found: dict[str, bytearray] = {}
    with tarfile.open(fileobj=content, mode="r|") as archive:
        for member in archive:
            name = PurePosixPath(member.name).name
            if name not in names:
                continue
            if name in found:
                raise ValueError(f"it holds more than one {name}")
            if not member.isreg() or member.issparse() or member.size != _file_size():
                raise ValueError(f"its {name} must be a file of {_file_size():,} bytes")
            data = archive.extractfile(member)
            assert data is not None  # it is a regular file
            found[name] = bytearray(data.read())
    while content.read(_ROOM):  # to the end, where gzip compares its checksum
        pass
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"it holds no {missing[0]}")
    return found


class _Bounded(RawIOBase):
    """A file that refuses to be longer than an archive of CIFAR-10: a few bytes may decompress to any number."""

    def __init__(self, file: BufferedIOBase, most: int) -> None:
        self._file, self._left = file, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        piece = self._file.read(len(view))
        self._left -= len(piece)
        if self._left < 0:
            raise ValueError("it holds too much")
        view[: len(piece)] = piece
        return len(piece)
