"""Pictures of the user's own: a folder or a .zip of images, at every depth; the folder above a picture is its class."""

import logging
import os
import zipfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path, PurePosixPath

import torch

from gan_cli.data import pictures
from gan_cli.data.archives import Zip
from gan_cli.data.dataset import Dataset
from gan_cli.data.decoded import decode
from gan_cli.data.origin import Origin
from gan_cli.data.source import Look, Skipped, Source, printable
from gan_cli.data.tree import Tree
from gan_cli.errors import Refused

log = logging.getLogger("gan_cli.data")

ORIGIN = Origin("a folder of pictures", "", "not known to gan-cli: yours to name")

_NAMED = 5  # of the files for which strict data are refused; without `strict` every one is named


def load(
    root: str,
    channels: int = 3,
    resolution: int = 64,
    fit: str = "crop",
    background: Sequence[int] = (255, 255, 255),
    strict: bool = False,
) -> Dataset:
    """All pictures below a folder or in a zip archive, in the order of their names.

    They are decoded once (see `decoded.decode`). An archive is read in place: nothing is extracted, so no member can
    escape. Files that are named like pictures and cannot be used are skipped, and each is named with its reason.

    Args:
        root: a directory or a .zip file.
        channels: 3 for RGB, 1 for grey.
        resolution: height and width in pixels.
        fit: "stretch", "crop" or "pad" (see `pictures.read`).
        background: RGB behind transparent pixels and padding.
        strict: refuse to skip anything.

    Raises:
        Refused: there is no such path, it is neither a folder nor a zip archive, or no picture in it can be used.
    """
    return pictures_of(root, looking(channels, resolution, fit, background), strict)


def pictures_of(root: str, look: Look, strict: bool, side: str | None = None) -> Dataset:
    """As `load`, for one of several places.

    Args:
        side: the key that names it, with which every message begins; None: data.root, which stands before those about
            the path alone.
    """
    path = expanded(root)
    with closing(_opened(path, side or "data.root")) as source:
        return dataset(source, look, strict, path, f"{side}: " if side else "")


def expanded(root: str) -> Path:
    """A path as it was typed, `~` being the home directory; the tilde of an unknown user is left."""
    return Path(os.path.expanduser(root))


def looking(channels: int, resolution: int, fit: str, background: Sequence[int]) -> Look:
    """What is made of each picture.

    Raises:
        Refused: there is no picture of so many channels.
    """
    if channels not in (1, 3):
        raise Refused(f"data.channels must be 1 (grey) or 3 (RGB), got {channels}")
    return Look(channels, resolution, fit, tuple(background))


def dataset(source: Source, look: Look, strict: bool, path: Path, prefix: str = "") -> Dataset:
    """The pictures of a source, with the folders above them as classes where there are several.

    Args:
        path: what the source is called in messages.
        prefix: what these begin with.

    Raises:
        Refused: no picture in it can be used, or `strict` and not all can.
    """
    decoded = decode(source, look)
    shown, skipped, count = printable(str(path)), decoded.skipped, len(decoded.entries)
    if skipped and strict:
        raise Refused(
            f"{prefix}data.strict=true, and {len(skipped)} of the pictures in {shown} cannot be used: {_few(skipped)}\n"
            "Mend or remove them, or skip them: data.strict=false"
        )
    for one in skipped:
        log.warning("%sskipped %s", prefix, one)
    if skipped:
        log.warning("%s%s: %d pictures read, %d skipped", prefix, shown, count, len(skipped))
    if decoded.animated:
        log.info("%s%s: of %d pictures with several frames the first is taken", prefix, shown, decoded.animated)
    if not count:
        named = len(source.entries) + sum(one.name.suffix.lower() in pictures.SUFFIXES for one in source.skipped)
        files = len(source.entries) + len(source.skipped) + source.others
        raise Refused(
            f"{prefix}no picture could be read from {shown}: {named} of its {files} files are named like one "
            f"({', '.join(pictures.SUFFIXES)}){', none was readable' if named else ''}"
        )
    parents = [str(entry.name.parent) for entry in decoded.entries]
    classes = sorted(set(parents))
    if len(classes) == 1:
        return Dataset(decoded.samples, mapped=decoded.mapped)
    position = {name: i for i, name in enumerate(classes)}
    labels = torch.tensor([position[parent] for parent in parents])
    return Dataset(decoded.samples, labels, _names(classes), mapped=decoded.mapped)


def _few(skipped: Sequence[Skipped]) -> str:
    named = ", ".join(map(str, skipped[:_NAMED]))
    return named + (f" and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else "")


def _names(folders: Sequence[str]) -> tuple[str, ...]:
    """What classes are called: the names of their folders, or the whole paths where two have the same name."""
    names = tuple(printable(PurePosixPath(folder).name or folder) for folder in folders)
    return names if len(set(names)) == len(names) else tuple(map(printable, folders))


def _opened(path: Path, key: str) -> Source:
    try:
        if path.is_dir():
            return Tree(path)
        if not path.exists():
            raise Refused(f"{key}: there is no {printable(str(path))}")
        archive = path.is_file() and zipfile.is_zipfile(path)
    except OSError as error:
        raise Refused(f"{key}: {printable(str(path))} cannot be read: {error.strerror}") from error
    except zipfile.BadZipFile as error:
        raise Refused(f"{key}: {printable(str(path))} is a damaged zip archive: {error}") from error
    if not archive:
        raise Refused(f"{key}: {printable(str(path))} is neither a folder nor a zip archive")
    return Zip(path, key)
