"""Where pictures lie: which there are, what identifies each one's content, and how one is opened."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from gan_cli.data import pictures
from gan_cli.data.pictures import Picture

MAX_MEMBER = 256 * 2**20  # bytes of one file in an archive, as its directory states them: it is read whole
# What other programs call pictures: named with the remedy, for to leave them out silently would surprise.
FOREIGN = (
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".psd", ".xcf", ".ai", ".eps", ".ico", ".tga", ".exr", ".hdr"),
    *(".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
)


@dataclass(frozen=True)
class Look:
    """What is made of each picture (see `pictures.read`)."""

    channels: int
    resolution: int
    fit: str
    background: tuple[int, ...]

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self) | {"background": list(self.background)}


@dataclass(frozen=True)
class Entry:
    """A file that is named like a picture.

    Attributes:
        name: its path within the source.
        identity: numbers of which one changes when its content does: its size and times, or its size and checksum.
    """

    name: PurePosixPath
    identity: tuple[int, ...]


@dataclass(frozen=True)
class Skipped:
    """A file that cannot be used, and why."""

    name: PurePosixPath
    reason: str

    def __str__(self) -> str:
        return f"{printable(str(self.name))} ({printable(self.reason)})"


class Source(ABC):
    """A place with pictures.

    Attributes:
        root: of it, resolved.
        identity: numbers of which one changes when the whole does: an archive's size and times.
        entries: what can be tried, in the order of the names.
        skipped: what is named like a picture and is none, which is known without opening it.
        others: how many files are named otherwise.
    """

    root: Path
    identity: tuple[int, ...] = ()
    entries: Sequence[Entry] = ()
    skipped: Sequence[Skipped] = ()
    others: int = 0

    @abstractmethod
    def open(self, entry: Entry) -> IO[bytes]:
        """The content of an entry; from any thread.

        Raises:
            Exception: whatever is wrong with the file.
        """

    def close(self) -> None:  # noqa: B027 (most hold nothing)
        """Let go of what `open` needs."""

    def read(self, entry: Entry, look: Look) -> Picture:
        """The picture of an entry; from any thread.

        Raises:
            Unreadable: as `pictures.read`.
            Exception: as `open`.
        """
        with self.open(entry) as file:
            return pictures.read(file, **asdict(look))


def is_picture(name: PurePosixPath) -> bool:
    """Whether a file is named like a picture of a format that is read."""
    return name.suffix.lower() in pictures.SUFFIXES


def visible(*parts: str) -> bool:
    """Whether a path is the user's own: not hidden, nor what a Macintosh packs beside the files."""
    return not any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in parts)


def foreign(name: PurePosixPath) -> str | None:
    """Why a picture of a format that is not read is skipped; None for other files."""
    if name.suffix.lower() not in FOREIGN:
        return None
    return f"{name.suffix[1:].upper()} is not read: convert it to PNG or JPEG"


def printable(text: str) -> str:
    """A text of any origin in letters that a terminal and a log show: others are escaped as Python writes them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
