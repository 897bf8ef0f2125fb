"""Writing files so that a reader sees the old content or the new, never a part, whatever happens meanwhile."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def replacing(path: Path, durable: bool = True) -> Iterator[IO[bytes]]:
    """A file open for writing that takes the place of `path` when the block ends well, and vanishes when it does not.

    Written beside `path` and renamed over it. A durable one is synced first, and the rename after it: then the old file
    or the new one is there after a power cut too. This costs some 10 ms.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with open(temporary, "wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
        if durable:
            sync_directory(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error  # not the temporary's name
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def link(existing: Path, path: Path) -> None:
    """Replace `path` by a second name for `existing`, which is never written to again; a copy where that cannot be."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)  # another name for a checkpoint, if a process was killed here
    try:
        os.link(existing, temporary)
    except OSError:  # a file system without links
        with replacing(path) as file:
            file.write(existing.read_bytes())
        return
    try:
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # still there after a failure, or when both were one file already
    sync_directory(path.parent)


def remove_temporaries(directory: Path) -> None:
    """Remove what processes that were killed while writing have left below a directory."""
    for path in directory.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make renames in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def shortest(path: Path) -> str:
    """A path as short as it can be typed here."""
    return min(str(path), os.path.relpath(path), key=len)


def write_json(path: Path, content: Any) -> None:
    """Replace `path` by `content` as indented JSON."""
    with replacing(path) as file:
        file.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
