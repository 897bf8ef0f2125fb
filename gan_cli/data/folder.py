"""Pictures of the user's own: a folder or a .zip of images, at every depth; the folder above a picture is its class."""

import logging
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import torch

from gan_cli.console import tracked
from gan_cli.data import pictures
from gan_cli.data.dataset import Dataset
from gan_cli.errors import Refused

log = logging.getLogger("gan_cli.data")

_NAMED = 5  # skipped files that are named one by one; the rest are counted
_MAX_FILE = 256 * 2**20  # bytes of one picture in an archive, as its directory states them


def load(
    root: str,
    channels: int = 3,
    resolution: int = 64,
    fit: str = "crop",
    background: Sequence[int] = (255, 255, 255),
) -> Dataset:
    """All pictures below a folder or in a zip archive, in the order of their names.

    An archive is read in place: nothing is extracted, so no member can escape. Files that cannot be used are skipped,
    named and counted.

    Args:
        root: a directory or a .zip file.
        channels: 3 for RGB, 1 for grey.
        resolution: height and width in pixels.
        fit: "stretch", "crop" or "pad" (see `pictures.read`).
        background: RGB behind transparent pixels and padding.

    Raises:
        Refused: there is no such path, it is neither a folder nor a zip archive, or no picture in it can be used.
    """
    if channels not in (1, 3):
        raise Refused(f"data.channels must be 1 (grey) or 3 (RGB), got {channels}")
    path = Path(root).expanduser()
    with _opened(path) as source:
        names = source.names()
        found = [name for name in names if name.suffix.lower() in pictures.SUFFIXES]
        samples, parents, skipped = [], [], []
        for name in tracked(found, f"reading {path.name}", len(found)):
            try:
                with source.open(name) as file:
                    samples.append(pictures.read(file, channels, resolution, fit, background))
                parents.append(str(name.parent))
            except (pictures.Unreadable, OSError, zipfile.BadZipFile, RuntimeError) as error:
                skipped.append(f"{name} ({error})")
    for line in skipped[:_NAMED]:
        log.warning("skipped %s", line.encode(errors="backslashreplace").decode())
    if skipped:
        log.warning("%s: %d pictures read, %d skipped", path, len(samples), len(skipped))
    if not samples:
        raise Refused(
            f"no picture could be read from {path}: {len(found)} of its {len(names)} files are named like one "
            f"({', '.join(pictures.SUFFIXES)}){', none was readable' if found else ''}"
        )
    classes = sorted(set(parents))
    labels = None
    if len(classes) > 1:
        position = {name: i for i, name in enumerate(classes)}
        labels = torch.tensor([position[parent] for parent in parents])
    return Dataset(torch.stack(samples), labels, _names(classes) if labels is not None else ())


def _names(folders: Sequence[str]) -> tuple[str, ...]:
    """What classes are called: the names of their folders, or the whole paths where two have the same name."""
    names = tuple(PurePosixPath(folder).name or folder for folder in folders)
    return names if len(set(names)) == len(names) else tuple(folders)


def _visible(name: PurePosixPath) -> bool:
    """Whether a path is the user's own: not hidden, nor what a Macintosh packs beside the files."""
    return not any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in name.parts)


class _Folder:
    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[PurePosixPath]:
        files = (path for path in self.root.rglob("*") if path.is_file())
        return sorted(filter(_visible, (PurePosixPath(path.relative_to(self.root).as_posix()) for path in files)))

    def open(self, name: PurePosixPath) -> IO[bytes]:
        return open(self.root / name, "rb")


class _Archive:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.members = {PurePosixPath(info.filename): info for info in archive.infolist() if not info.is_dir()}

    def names(self) -> list[PurePosixPath]:
        return sorted(filter(_visible, self.members))

    def open(self, name: PurePosixPath) -> IO[bytes]:
        info = self.members[name]
        if info.file_size > _MAX_FILE:
            raise pictures.Unreadable(f"{info.file_size:,} bytes, more than {_MAX_FILE:,}")
        return self.archive.open(info)


@contextmanager
def _opened(path: Path) -> Iterator[_Folder | _Archive]:
    if path.is_dir():
        yield _Folder(path)
    elif not path.exists():
        raise Refused(f"data.root: there is no {path}")
    elif not zipfile.is_zipfile(path):
        raise Refused(f"data.root: {path} is neither a folder nor a zip archive")
    else:
        try:
            archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise Refused(f"data.root: {path} is a damaged zip archive: {error}") from error
        with archive:
            yield _Archive(archive)
