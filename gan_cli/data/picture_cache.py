"""The file that holds decoded pictures: their bytes, what became of each file, and a digest over all of it.

One file, so that pixels and their description cannot be of different days: it is renamed into place when it is whole.
The pixels come first, then JSON, then the length of the JSON (8 bytes, big-endian) and a BLAKE2b digest of all before.
"""

import errno
import hashlib
import json
import logging
import math
import mmap
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from gan_cli.files import replacing

log = logging.getLogger("gan_cli.data")

_DIGEST = 32  # bytes
_LENGTH = 8
_NORESERVE = 0x4000 if sys.platform == "linux" else 0  # MAP_NORESERVE, which Python's mmap names from 3.13 on
_STALE = 3600  # seconds after which a file that nobody writes to any more is what a killed process left


@dataclass(frozen=True)
class Outcome:
    """What became of a source's entries, by their positions.

    Attributes:
        shape: (N, C, R, R) of the pictures, in the order of those entries that are not skipped.
        skipped: position and reason.
        animated: of how many only the first frame was taken.
    """

    shape: tuple[int, int, int, int]
    skipped: list[tuple[int, str]]
    animated: int


def read(path: Path, stamp: str, count: int) -> tuple[Tensor, Outcome] | None:
    """The pictures that were written under the same stamp, mapped into memory; None where there are none.

    They are uint8 (N, C, R, R), private to the process: what is written to them never reaches the file, and a file that
    is replaced meanwhile stays as it was.

    Args:
        count: how many entries the outcome must speak of.

    Raises:
        MemoryError: the process may not map so much.
    """
    if not os.path.isfile(path):  # False, and no error, in a directory that must not be searched
        return None
    try:
        with open(path, "rb") as file:
            mapped = private(file.fileno())
        found = _parsed(mapped, stamp, count)
    except PermissionError:
        return None
    except MemoryError:
        raise
    except Exception:  # whatever a damaged file makes of the parser
        log.warning("%s is damaged: decoding the pictures anew", path)
        return None
    if found is None:
        return None
    if not found.shape[0]:  # of nothing there is no buffer
        return torch.empty(found.shape, dtype=torch.uint8), found
    return torch.frombuffer(mapped, dtype=torch.uint8, count=math.prod(found.shape)).view(found.shape), found


def private(descriptor: int) -> mmap.mmap:
    """An open file mapped whole, for this process to read and write without a trace in the file.

    Nobody writes much of it, so that no memory is set aside for copies of its pages: Linux would refuse to map a file
    larger than its memory otherwise.

    Raises:
        OSError, ValueError: it cannot be mapped, or is empty.
        MemoryError: the process may not map so much.
    """
    try:
        return mmap.mmap(descriptor, 0, flags=mmap.MAP_PRIVATE | _NORESERVE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError(f"{os.fstat(descriptor).st_size:,} bytes cannot be mapped") from error
        raise


def _parsed(mapped: mmap.mmap, stamp: str, entries: int) -> Outcome | None:
    """The outcome that a file describes; None where it is another's.

    Raises:
        Exception: it is not what was written.
    """
    body = len(mapped) - _DIGEST
    start = body - _LENGTH - int.from_bytes(mapped[max(body - _LENGTH, 0) : max(body, 0)], "big")
    if start < 0:
        raise ValueError("too short")
    with memoryview(mapped) as content, content[:body] as before:
        if hashlib.blake2b(before, digest_size=_DIGEST).digest() != content[body:]:
            raise ValueError("another digest")
    described = json.loads(mapped[start : body - _LENGTH])
    if described.pop("stamp") != stamp:
        return None
    count, channels, height, width = map(int, described["shape"])
    skipped = {int(position): str(reason) for position, reason in described["skipped"]}
    if count < 0 or count * channels * height * width != start or count + len(skipped) != entries:
        raise ValueError("another number of pictures")
    if not all(0 <= position < entries for position in skipped):
        raise ValueError("a picture that there is not")
    return Outcome((count, channels, height, width), list(skipped.items()), int(described["animated"]))


Write = Callable[[bytes], object]


@contextmanager
def writing(path: Path) -> Iterator[tuple[Write, Callable[[Outcome, str], None]]]:
    """What appends pixels to a new file, and what ends it under a stamp; it replaces `path` when the block ends well.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(".*.tmp"):
        _remove_stale(left)
    with replacing(path, durable=False) as file:
        appending = _Hashing(file)

        def end(outcome: Outcome, stamp: str) -> None:
            described = json.dumps({"stamp": stamp} | asdict(outcome)).encode()
            appending(described + len(described).to_bytes(_LENGTH, "big"))
            file.write(appending.hash.digest())

        yield appending, end


class _Hashing:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.blake2b(digest_size=_DIGEST)

    def __call__(self, content: bytes) -> None:
        self.hash.update(content)
        self._file.write(content)


def _remove_stale(path: Path) -> None:
    try:
        if time.time() - path.stat().st_mtime > _STALE:
            path.unlink()
    except OSError:  # gone meanwhile, or not ours
        return
