"""Pictures decoded once: into a file of bytes that later starts map into memory."""

import errno
import hashlib
import json
import logging
import os
import shutil
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from gan_cli.console import tracked
from gan_cli.data import picture_cache, pictures
from gan_cli.data.download import cache_directory
from gan_cli.data.picture_cache import Outcome
from gan_cli.data.pictures import Picture, Unreadable
from gan_cli.data.source import Entry, Look, Skipped, Source, printable

log = logging.getLogger("gan_cli.data")

_MOST_THREADS = 8
_AHEAD = 4  # pictures a thread that may wait for the one before them
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Decoded:
    """What became of a source.

    Attributes:
        samples: uint8 (N, C, R, R).
        entries: the N files that they are of.
        skipped: all others that are named like pictures, in the order of their names.
        animated: of how many only the first frame was taken.
        mapped: whether the samples lie in a file that the system reads as they are asked for.
    """

    samples: Tensor
    entries: list[Entry]
    skipped: list[Skipped]
    animated: int
    mapped: bool = False


def decode(source: Source, look: Look) -> Decoded:
    """The pictures of a source.

    The cache lies in `cache_directory()`/pictures, one file for each source and look. It holds the pictures of one
    stamp: when a file's name, size or time has changed, all are decoded anew, and replace it. Where it cannot be
    written, the pictures are held in memory, and everything works.

    A file that the system could not read this once is skipped this once: the next start tries all again.

    Decoding takes as many threads as torch does (`device.threads`); the result does not depend on them.
    """
    if not source.entries:
        return Decoded(torch.empty(0, dtype=torch.uint8), [], sorted(source.skipped, key=lambda one: one.name), 0)
    place = [str(source.root), type(source).__name__, look.plain()]
    path = cache_directory() / "pictures" / f"{_hash(place)[:24]}.bytes"
    content = [(str(entry.name), entry.identity) for entry in source.entries]
    stamp = _hash([pictures.DECODER, look.plain(), source.identity, content])
    found = picture_cache.read(path, stamp, len(source.entries))
    if found is None:
        try:
            _check_room(path.parent, len(source.entries) * look.channels * look.resolution**2)
            with picture_cache.writing(path) as (write, end):
                outcome, passing = _decode_into(write, source, look)
                if passing:
                    stamp += ", this once"
                end(outcome, stamp)
        except OSError as error:
            where, why = printable(str(path.parent)), error.strerror or error
            log.warning("cannot keep decoded pictures in %s (%s): they are held in memory", where, why)
        else:
            found = picture_cache.read(path, stamp, len(source.entries))
    mapped = found is not None
    if found is None:
        held = bytearray()
        outcome, _ = _decode_into(held.extend, source, look)
        found = torch.frombuffer(held or bytearray(1), dtype=torch.uint8)[: len(held)].view(outcome.shape), outcome
    samples, outcome = found
    bad = dict(outcome.skipped)
    kept = [entry for position, entry in enumerate(source.entries) if position not in bad]
    skipped = [Skipped(entry.name, bad[position]) for position, entry in enumerate(source.entries) if position in bad]
    skipped = sorted([*source.skipped, *skipped], key=lambda one: one.name)
    return Decoded(samples, kept, skipped, outcome.animated, mapped)


@dataclass(frozen=True)
class Failure:
    """Why a file could not be used, and whether that may pass."""

    reason: str
    passing: bool = False


def each(source: Source, look: Look) -> Iterator[Picture | Failure]:
    """What becomes of each entry of a source, in their order; decoded by several threads, few held at a time."""
    return _in_order(partial(_attempt, source, look), source.entries)


def _decode_into(write: picture_cache.Write, source: Source, look: Look) -> tuple[Outcome, bool]:
    """Decode all pictures; what became of them, and whether some failed for a reason that may pass."""
    count, skipped, animated, passing = 0, [], 0, False
    with unremarked():
        results = each(source, look)
        for position, result in enumerate(tracked(results, f"decoding {source.root.name}", len(source.entries))):
            if isinstance(result, Failure):
                skipped.append((position, result.reason))
                passing |= result.passing
            else:
                write(result.pixels.numpy().tobytes())
                count += 1
                animated += result.animated
    return Outcome((count, look.channels, look.resolution, look.resolution), skipped, animated), passing


def _attempt(source: Source, look: Look, entry: Entry) -> Picture | Failure:
    try:
        return source.read(entry, look)
    except Unreadable as error:
        return Failure(str(error))
    except OSError as error:  # permissions are noticed by the stamp when they change; a network's hiccup is not
        return Failure(error.strerror or str(error), passing=not isinstance(error, PermissionError))
    except MemoryError:
        return Failure("not enough memory", passing=True)
    except Exception as error:  # a damaged archive surfaces as BadZipFile, zlib.error, EOFError, ...
        return Failure(f"damaged: {str(error) or type(error).__name__}")


@contextmanager
def unremarked() -> Iterator[None]:
    """Without what Pillow remarks about headers and palettes, which would not name the file; what it cannot decode it
    raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _in_order(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """The function of each item, from several threads, in the items' order; few are held at a time."""
    threads = min(torch.get_num_threads(), _MOST_THREADS)
    pool = ThreadPoolExecutor(threads, "decoding")
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > _AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _check_room(directory: Path, size: int) -> None:
    """Raise at once what writing would raise after minutes of decoding, when it had filled the disk."""
    directory.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(directory).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
