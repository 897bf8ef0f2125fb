"""Pictures in an archive, read in place: nothing is extracted, so no member can be written anywhere."""

import io
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from gan_cli.data.pictures import Unreadable
from gan_cli.data.source import MAX_MEMBER, Entry, Skipped, Source, foreign, is_picture, visible
from gan_cli.data.tree import identity_of
from gan_cli.errors import Refused

_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}
_UNIX = 3  # who made a member, where its attributes hold a mode


class Zip(Source):
    """The members of a zip archive.

    Of members with one name the last is taken, as `zip` itself would.

    Args:
        key: under which it was named, for the message.

    Raises:
        Refused: it is damaged.
    """

    def __init__(self, path: Path, key: str = "data.root") -> None:
        self.root = path.resolve()
        self._lock = threading.Lock()  # one file, read from many threads
        try:
            self.identity = identity_of(path.stat())
            self._archive = zipfile.ZipFile(path)
            listed = [info for info in self._archive.infolist() if not info.is_dir()]
        except Exception as error:  # a damaged directory surfaces as almost anything: BadZipFile, OSError, ValueError
            raise Refused(f"{key}: {path} is a damaged zip archive: {error}") from error
        self._members: dict[PurePosixPath, zipfile.ZipInfo] = {}
        skipped: list[Skipped] = []
        for info in listed:
            name = PurePosixPath(info.filename)
            if not visible(*name.parts):
                continue
            if not is_picture(name):
                reason = foreign(name)
                if reason is not None:
                    skipped.append(Skipped(name, reason))
                self.others += reason is None
                continue
            if name in self._members:
                skipped.append(Skipped(name, "a later member has the same name"))
            self._members[name] = info
        entries = []
        for name, info in self._members.items():
            reason = _unusable(info)
            if reason is not None:
                skipped.append(Skipped(name, reason))
            else:
                entries.append(Entry(name, (info.file_size, info.CRC)))
        self.entries = sorted(entries, key=lambda entry: entry.name)
        self.skipped = skipped

    def open(self, entry: Entry) -> IO[bytes]:
        with self._lock:
            return io.BytesIO(self._archive.read(self._members[entry.name]))

    def close(self) -> None:
        self._archive.close()


def _unusable(info: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == _UNIX else 0
    if kind in _KINDS:
        return _KINDS[kind]
    if info.flag_bits & 1:
        return "encrypted"
    if info.file_size == 0:
        return "an empty file"
    if info.file_size > MAX_MEMBER:
        return f"{info.file_size:,} bytes, more than {MAX_MEMBER:,}"
    return None


class Tar(Source):
    """The regular files below one directory of an uncompressed tar archive, by their names within it.

    Of members with one name the last is taken, as `tar` itself would.

    Args:
        wanted: which names are entries.

    Raises:
        Refused: it is damaged or cut off, or no tar archive.
    """

    def __init__(self, path: Path, inside: str, wanted: Callable[[PurePosixPath], bool] = is_picture) -> None:
        self.root = path.resolve()
        entries: dict[PurePosixPath, Entry] = {}
        skipped: list[Skipped] = []
        try:
            self.identity = identity_of(path.stat())
            with tarfile.open(path, "r:") as archive:
                end = -1
                for member in archive:
                    if member.size < 0 or member.offset <= end:  # a header that leads back would be read for ever
                        raise tarfile.ReadError("its members lie out of order")
                    end = member.offset
                    name = _below(PurePosixPath(member.name), inside)
                    if name is None or not visible(*name.parts) or member.isdir():
                        continue
                    if not wanted(name):
                        self.others += 1
                    elif not member.isreg() or member.issparse():
                        skipped.append(Skipped(name, "not a plain file"))
                    elif member.size > MAX_MEMBER:
                        skipped.append(Skipped(name, f"{member.size:,} bytes, more than {MAX_MEMBER:,}"))
                    else:
                        if name in entries:
                            skipped.append(Skipped(name, "a later member has the same name"))
                        entries[name] = Entry(name, (member.size, member.offset_data))
        except Exception as error:  # as above: a damaged header surfaces as almost anything
            raise Refused(f"data.root: {path} is a damaged tar archive, or none: {error}") from error
        self.entries = sorted(entries.values(), key=lambda entry: entry.name)
        self.skipped = skipped

    def open(self, entry: Entry) -> IO[bytes]:
        size, offset = entry.identity
        with open(self.root, "rb") as file:
            file.seek(offset)
            content = file.read(size)
        if len(content) < size:
            raise Unreadable("the archive ends before it")
        return io.BytesIO(content)


def _below(name: PurePosixPath, inside: str) -> PurePosixPath | None:
    """A member's name within a directory; None for what does not lie there, by whatever way around."""
    if ".." in name.parts or name.is_absolute() or not name.is_relative_to(inside):
        return None
    return name.relative_to(inside)
