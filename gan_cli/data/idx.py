"""The IDX format, in which MNIST and the data sets made in its image are published."""

import math
from pathlib import Path

import torch
from torch import Tensor

from gan_cli.data.packed import opened

_BYTES = b"\0\0\x08"  # two zero bytes, and the type: unsigned bytes
_MOST = 2**28  # bytes of data, five times MNIST's: a small file may decompress to more than there is memory


def read_idx(path: Path) -> Tensor:
    """An IDX file of unsigned bytes, gzip-compressed or not.

    The format: two zero bytes, the type (8: unsigned byte), the number of dimensions, each size as a big-endian
    32-bit number, then the data.

    Raises:
        ValueError: not such a file, or of another length than its header says.
        OSError: it cannot be read.
    """
    with opened(path) as file:
        start = file.read(4)
        if len(start) < 4 or start[:3] != _BYTES:
            raise ValueError(f"{path} is not an IDX file of unsigned bytes")
        sizes = file.read(4 * start[3])
        if len(sizes) < 4 * start[3]:
            raise ValueError(f"{path} is cut off within its header")
        shape = [int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes), 4)]
        length = math.prod(shape)
        if length > _MOST:
            raise ValueError(f"{path}: its header speaks of more than {_MOST:,} bytes")
        content = bytearray(file.read(length + 1))  # beyond the data, to meet the end
    if len(content) != length:
        least = "more than " if len(content) > length else ""
        found = min(len(content), length)
        raise ValueError(f"{path} holds {least}{found:,} bytes of data, and its header speaks of {shape}")
    return torch.frombuffer(content, dtype=torch.uint8).reshape(shape) if content else torch.empty(shape).byte()
