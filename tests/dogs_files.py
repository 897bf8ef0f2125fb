"""A small Stanford Dogs in the official layout: dogs are plain rectangles on plain grounds, and the boxes are true."""

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from picture_files import encoded
from PIL import Image

Box = tuple[int, int, int, int]
Files = dict[str, bytes]

GROUND = (10, 20, 30)
BREEDS = ("n02085620-Chihuahua", "n02085782-Japanese_spaniel", "n02095314-wire-haired_fox_terrier")


def photograph(boxes: Mapping[Box, tuple[int, int, int]], size: tuple[int, int] = (64, 48)) -> bytes:
    """A picture with a rectangle of one color in each box, in PNG: JPEG would blur their edges."""
    picture = Image.new("RGB", size, GROUND)
    for box, color in boxes.items():
        picture.paste(color, box)
    return encoded(picture)


def annotation(boxes: Iterable[Box], name: str = "dog") -> bytes:
    """As the official files are written."""
    dogs = "".join(
        f"\t<object>\n\t\t<name>{name}</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
        f"\t\t<difficult>0</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>{left}</xmin>\n\t\t\t<ymin>{top}</ymin>\n"
        f"\t\t\t<xmax>{right}</xmax>\n\t\t\t<ymax>{bottom}</ymax>\n\t\t</bndbox>\n\t</object>\n"
        for left, top, right, bottom in boxes
    )
    size = "\t<size>\n\t\t<width>64</width>\n\t\t<height>48</height>\n\t\t<depth>3</depth>\n\t</size>\n"
    source = "\t<source>\n\t\t<database>ImageNet database</database>\n\t</source>\n"
    return f"<annotation>\n\t<folder>0</folder>\n{source}{size}\t<segment>0</segment>\n{dogs}</annotation>\n".encode()


def few_dogs(each: int = 4) -> Files:
    """Photographs and annotations of three breeds, by their names below the root; each photograph has a color."""
    files: Files = {}
    for i, breed in enumerate(BREEDS):
        for number in range(each):
            name = f"{breed}/{breed.split('-')[0]}_{number}"
            box = (4 + number % 20, 6 + i, 40 + number % 20, 42 - i)
            files[f"Images/{name}.jpg"] = photograph({box: color_of(i, number)})
            files[f"Annotation/{name}"] = annotation([box], breed)
    return files


def color_of(breed: int, number: int) -> tuple[int, int, int]:
    return 80 * breed + 5, 7 * number, 200


def as_trees(root: Path, files: Files) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def as_archives(root: Path, files: Files) -> Path:
    """The same as the two official archives."""
    root.mkdir(parents=True, exist_ok=True)
    for top, archive in (("Images", "images.tar"), ("Annotation", "annotation.tar")):
        with tarfile.open(root / archive, "w", format=tarfile.GNU_FORMAT) as tar:
            for name in reversed([name for name in files if name.startswith(f"{top}/")]):  # an order of its own
                info = tarfile.TarInfo(name)
                info.size = len(files[name])
                tar.addfile(info, io.BytesIO(files[name]))
    return root
