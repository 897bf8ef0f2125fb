"""MNIST, from the files that are part of this package."""

import gzip
import math
import zlib
from pathlib import Path

import torch
from torch import Tensor

from gan_cli.data.dataset import Dataset, Judges

FILES = Path(__file__).resolve().parent / "mnist_idx"
JUDGES = Judges("mnist_v1", "mnist_report_v1")
_PREFIX = {"train": "train", "test": "t10k"}


def load(split: str = "train") -> Dataset:
    """The 60,000 training or 10,000 test images, uint8 (N, 1, 28, 28), white digits on black, with their labels."""
    images = read_idx(FILES / f"{_PREFIX[split]}-images-idx3-ubyte.gz")
    labels = read_idx(FILES / f"{_PREFIX[split]}-labels-idx1-ubyte.gz")
    return Dataset(images[:, None], labels.long(), tuple("0123456789"), judges=JUDGES)


def read_idx(path: Path) -> Tensor:
    """A gzip-compressed IDX file of unsigned bytes.

    The format: two zero bytes, the type (8: unsigned byte), the number of dimensions, each size as a big-endian
    32-bit number, then the data.

    Raises:
        ValueError: not such a file, or of another length than its header says.
    """
    try:
        content = bytearray(gzip.decompress(path.read_bytes()))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is not a gzip file: {error}") from error
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path} is not an IDX file of unsigned bytes")
    start = 4 + 4 * content[3]
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    if len(content) - start != math.prod(shape):
        raise ValueError(f"{path} holds {len(content) - start:,} bytes of data, and its header speaks of {shape}")
    return torch.frombuffer(content, dtype=torch.uint8, offset=start).reshape(shape)
