"""Reading a file that may be compressed: data sets are passed on with gzip, and kept unpacked by some programs."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

_MAGIC = b"\x1f\x8b"


@contextmanager
def opened(path: Path) -> Iterator[BufferedIOBase]:
    """A file's content, decompressed while it is read if its first bytes are gzip's, whatever its name.

    Gzip's checksum is compared when the end is reached.

    Raises:
        ValueError: the compressed content is damaged or cut off.
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        compressed = file.read(len(_MAGIC)) == _MAGIC
        file.seek(0)
        if not compressed:
            yield file
            return
        try:
            with gzip.open(file) as content:
                yield content
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path} is a damaged gzip file: {error}") from error
