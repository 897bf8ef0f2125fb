"""Stanford Dogs (Khosla, Jayadevaprakash, Yao, Li 2011): photographs of 120 breeds, each cut to the box of its dog."""

import os
import re
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import IO

from gan_cli.data import folder, pictures
from gan_cli.data.archives import Tar
from gan_cli.data.dataset import Dataset
from gan_cli.data.download import fetch
from gan_cli.data.origin import Origin
from gan_cli.data.pictures import Box, Picture, Unreadable
from gan_cli.data.source import Entry, Look, Source, is_picture, printable
from gan_cli.data.tree import Tree
from gan_cli.errors import Refused

URL = "https://vision.stanford.edu/aditya86/ImageNetDogs/"
IMAGES, ANNOTATION = "images.tar", "annotation.tar"
ORIGIN = Origin(
    "Stanford Dogs",
    "Aditya Khosla, Nityananda Jayadevaprakash, Bangpeng Yao and Li Fei-Fei",
    "ImageNet's terms, non-commercial research and teaching; the photographs are others'",
    URL,
)
# As TensorFlow Datasets has recorded them (url_checksums/stanford_dogs.txt); 793,579,520 and 21,852,160 bytes.
SHA256 = {
    IMAGES: "a443fc2f9a851aa1a7b8e4fa4af94b8459fce2c9f5a2f4dd4669cf9673a4ec58",
    ANNOTATION: "662ed36f707be6b195c2fda392d8e153e83af28cedc8e2134a649f198def30fd",
}
INSTEAD = (
    f"Get {IMAGES} (794 MB) and {ANNOTATION} (22 MB) from {URL} on another machine,\n"
    "and name the folder with the two, or with Images/ and Annotation/ unpacked: data.root=PATH"
)

_MAX_ANNOTATION = 2**16  # bytes; theirs have some 500
# An annotation is XML, of which only its boxes matter. They are found as they are written, by a pattern: Python's XML
# parser expands entities, so that a file of a kilobyte can fill the memory.
_SIDES = (b"xmin", b"ymin", b"xmax", b"ymax")
_BOX = re.compile(rb"<bndbox>\s*" + rb"\s*".join(rb"<%b>\s*(-?\d{1,6})\s*</%b>" % (side, side) for side in _SIDES))


def load(
    root: str | None = None,
    channels: int = 3,
    resolution: int = 64,
    fit: str = "stretch",
    background: Sequence[int] = (255, 255, 255),
    strict: bool = False,
) -> Dataset:
    """20,580 photographs as images of one dog each, one class a breed.

    One sample a photograph: of several dogs in it the one with the largest box, for that is what the photograph shows;
    to take them all would show some pixels twice. A photograph without a usable box is skipped and named.

    Args:
        root: a folder that holds the two archives, or `Images` and `Annotation` as they unpack (or in `images` and
            `annotations`, as Kaggle passes them on); None fetches the archives.
        channels, resolution, fit, background, strict: as `folder.load`, of what lies in the box.

    Raises:
        Refused: as `folder.load` and `download.fetch`, or the folder holds neither.
    """
    look = folder.looking(channels, resolution, fit, background)
    if root is None:
        for name in (ANNOTATION, IMAGES):
            path = fetch(URL + name, f"sha256:{SHA256[name]}", INSTEAD, "stanford_dogs").parent
    else:
        path = folder.expanded(root)
    with closing(Dogs(path)) as source:
        data = folder.dataset(source, look, strict, path)
    breeds = tuple(name.partition("-")[2] or name for name in data.classes)
    return replace(data, classes=breeds) if len(set(breeds)) == len(breeds) else data


class Dogs(Source):
    """The photographs with their annotations, from two trees or two archives."""

    def __init__(self, path: Path) -> None:
        self._images = _part(path, ("Images", "images/Images"), IMAGES, is_picture)
        self._annotations = _part(path, ("Annotation", "annotations/Annotation"), ANNOTATION, _is_annotation)
        self.root = path.resolve()
        self.identity = (*self._images.identity, *self._annotations.identity)
        self._annotation = {entry.name: entry for entry in self._annotations.entries}
        self._image = {entry.name: entry for entry in self._images.entries}
        self.entries = [self._with_annotation(entry) for entry in self._images.entries]
        self.skipped, self.others = self._images.skipped, self._images.others

    def open(self, entry: Entry) -> IO[bytes]:
        return self._images.open(self._image[entry.name])

    def read(self, entry: Entry, look: Look) -> Picture:
        annotation = self._annotation.get(entry.name.with_suffix(""))
        if annotation is None:
            raise Unreadable("it has no annotation")
        with self._annotations.open(annotation) as file:
            box = largest_box(file.read(_MAX_ANNOTATION + 1))
        with self.open(entry) as file:
            return pictures.read(file, **asdict(look), box=box)

    def _with_annotation(self, entry: Entry) -> Entry:
        annotation = self._annotation.get(entry.name.with_suffix(""))
        return replace(entry, identity=(*entry.identity, *(annotation.identity if annotation else ())))


def largest_box(annotation: bytes) -> Box:
    """The box with the largest area, of those in an annotation in the format of PASCAL VOC.

    Its coordinates are taken as those between pixels, as TensorFlow Datasets takes them.

    Raises:
        Unreadable: there is no box that is not empty, or the file is too long to be an annotation.
    """
    if len(annotation) > _MAX_ANNOTATION:
        raise Unreadable(f"its annotation is longer than {_MAX_ANNOTATION:,} bytes")
    boxes: list[Box] = []
    for found in _BOX.findall(annotation):
        left, top, right, bottom = map(int, found)
        if left < right and top < bottom:
            boxes.append((left, top, right, bottom))
    if not boxes:
        raise Unreadable("its annotation has no box with an area")
    return max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))


def _part(path: Path, trees: Sequence[str], archive: str, wanted: Callable[[PurePosixPath], bool]) -> Source:
    for tree in trees:
        if os.path.isdir(path / tree):
            return Tree(path / tree, wanted)
    if os.path.isfile(path / archive):
        return Tar(path / archive, trees[0], wanted)
    raise Refused(f"data.root: {printable(str(path))} holds neither {trees[0]}/ nor {archive}.\n{INSTEAD}")


def _is_annotation(name: PurePosixPath) -> bool:
    return not name.suffix
