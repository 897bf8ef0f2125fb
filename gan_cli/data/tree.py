"""Pictures in a directory, at every depth."""

import os
import stat
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from gan_cli.data.source import Entry, Skipped, Source, foreign, is_picture, visible

_SPECIAL = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)


class Tree(Source):
    """The files below a directory.

    Links are followed, to files and to directories; each directory is listed once, so a loop ends, and where it lies
    rather than through a link that leads to it. Only regular files are opened: to open a pipe would wait forever.

    Args:
        wanted: which names are entries.
    """

    def __init__(self, root: Path, wanted: Callable[[PurePosixPath], bool] = is_picture) -> None:
        self.root = root.resolve()
        self._wanted = wanted
        self._entries: list[Entry] = []
        self._skipped: list[Skipped] = []
        self._folders: list[PurePosixPath] = []  # those that are named like pictures
        self._seen: set[tuple[int, int]] = set()
        links = [""]
        while links:
            links = sorted(found for link in links for found in self._walk(link))
        if self._folders:
            holding = {parent for entry in self._entries for parent in entry.name.parents}
            self._skipped += [Skipped(name, "a directory") for name in self._folders if name not in holding]
        self.entries = sorted(self._entries, key=lambda entry: entry.name)
        self.skipped = self._skipped

    def open(self, entry: Entry) -> IO[bytes]:
        return open(self.root / entry.name, "rb")

    def _walk(self, top: str) -> list[str]:
        """List a directory, named from the root, and those that lie in it; the links to directories are returned."""
        links: list[str] = []
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            path = os.path.join(self.root, folder)
            try:
                status = os.stat(path)
                if (status.st_dev, status.st_ino) in self._seen:
                    continue
                self._seen.add((status.st_dev, status.st_ino))
                with os.scandir(path) as listed:
                    found = [entry for entry in listed if visible(entry.name)]
            except OSError as error:
                reason = f"a directory that cannot be listed: {error.strerror}"
                self._skipped.append(Skipped(PurePosixPath(folder), reason))
                continue
            for entry in found:
                name = PurePosixPath(f"{folder}/{entry.name}" if folder else entry.name)
                if _is_directory(entry):
                    (links if entry.is_symlink() else waiting).append(str(name))
                    if self._wanted(name):
                        self._folders.append(name)
                elif self._wanted(name):
                    self._add(name, entry)
                elif (convert := foreign(name)) is not None:
                    self._skipped.append(Skipped(name, convert))
                else:
                    self.others += 1
        return links

    def _add(self, name: PurePosixPath, entry: os.DirEntry[str]) -> None:
        try:
            status = entry.stat()
        except OSError as error:
            dangling = isinstance(error, FileNotFoundError)
            self._skipped.append(Skipped(name, "a link that leads nowhere" if dangling else str(error.strerror)))
            return
        special = next((kind for is_kind, kind in _SPECIAL if is_kind(status.st_mode)), None)
        if special is not None:
            self._skipped.append(Skipped(name, special))
        elif status.st_size == 0:
            self._skipped.append(Skipped(name, "an empty file"))
        else:
            self._entries.append(Entry(name, identity_of(status)))


def identity_of(status: os.stat_result) -> tuple[int, int, int]:
    """Size and times of a file. The time of its last change of any kind is among them: a file that is replaced by one
    of the same size and date, as copying programs do, is another."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
