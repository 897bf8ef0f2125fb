"""Two domains: what fits together, and how both are read from folders of any size."""

import logging
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from gan_cli.data import folder, unpaired_folders
from gan_cli.data.dataset import Dataset
from gan_cli.data.unpaired import Unpaired
from gan_cli.errors import Refused


def images(count: int, channels: int = 3, side: int = 8, level: int = 0) -> Dataset:
    values = torch.arange(count, dtype=torch.uint8)[:, None, None, None] + level
    return Dataset(values.expand(-1, channels, side, side).clone())


# What fits together.


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 5), (7, 3)])
def test_domains_of_any_size_go_together(a, b):
    pair = Unpaired(images(a), images(b))
    assert (len(pair.a), len(pair.b)) == (a, b)
    assert pair.sample_shape == (3, 8, 8)


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (images(0), images(2), "^domain a has no image"),
        (images(2), images(0), "^domain b has no image"),
        (images(2), images(2, channels=1), r"those of a have \(3, 8, 8\), of b \(1, 8, 8\)"),
        (images(2, side=4), images(2), r"those of a have \(3, 4, 4\), of b \(3, 8, 8\)"),
        (Dataset(torch.zeros(4, 2)), images(2), "samples of domain a are vectors"),
        (images(2), Dataset(torch.zeros(4, 2)), "samples of domain b are vectors"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_domain(a, b, words):
    with pytest.raises(Refused, match=words):
        Unpaired(a, b)


def test_the_digest_tells_every_change_of_either_domain_and_their_order():
    one, other = images(3), images(2, level=9)
    pairs = [(one, other), (other, one), (one.first(2), other), (one, other.first(1)), (one, images(2, level=8))]
    digests = [Unpaired(*pair).digest() for pair in pairs]
    assert len(set(digests)) == len(digests)
    assert digests[0] == Unpaired(images(3), images(2, level=9)).digest()
    assert all(len(digest) == 16 and int(digest, 16) >= 0 for digest in digests)


# Folders.


def filled(place: Path, levels: list[int], size: tuple[int, int] = (12, 10)) -> Path:
    for level in levels:
        (place / f"{level % 2}").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (level, level, level)).save(place / f"{level % 2}/{level:03}.png")
    return place


def zipped(place: Path) -> Path:
    path = place.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(place.rglob("*.png")):
            archive.write(file, file.relative_to(place))
    return path


def levels(samples: Tensor) -> list[int]:
    assert (samples == samples[:, :1, :1, :1]).all()
    numbers: list[int] = samples[:, 0, 0, 0].tolist()
    return numbers


@pytest.mark.parametrize(("a", "b"), [([1, 2, 3], [9]), ([5], [7, 8]), ([4], [4])])
def test_folders_of_unequal_size_and_of_one_picture_are_read(tmp_path, a, b):
    pair = unpaired_folders.load(str(filled(tmp_path / "a", a)), str(filled(tmp_path / "b", b)), resolution=8)
    assert sorted(levels(pair.a.samples)) == a
    assert sorted(levels(pair.b.samples)) == b


def test_each_side_is_what_a_folder_by_itself_is_and_a_zip_is_the_same(tmp_path):
    a, b = filled(tmp_path / "a", [1, 2, 3]), filled(tmp_path / "b", [50, 51], size=(30, 60))
    options = {"channels": 1, "resolution": 8, "fit": "pad", "background": (3, 4, 5)}
    pair = unpaired_folders.load(str(a), str(zipped(b)), **options)
    alone = [folder.load(str(place), **options) for place in (a, b)]
    assert [side.digest() for side in (pair.a, pair.b)] == [one.digest() for one in alone]
    assert pair.a.classes == ("0", "1")
    assert pair.sample_shape == (1, 8, 8)


def damaged(place: Path) -> Path:
    place.write_bytes(b"PK\x05\x06" + b"\xff" * 18)
    return place


@pytest.mark.parametrize("side", ["a", "b"])
def test_messages_name_the_side(tmp_path, caplog, side):
    good, empty = filled(tmp_path / "good", [1, 2]), tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "text").write_text("no archive")
    mixed = filled(tmp_path / "mixed", [3])
    (mixed / "broken.png").write_bytes(b"broken")

    def load(place: Path, **options) -> Unpaired:
        places = {"a": str(good), "b": str(good)} | {side: str(place)}
        return unpaired_folders.load(**places, resolution=8, **options)

    for place, words in (
        (tmp_path / "nowhere", rf"^data\.{side}: there is no .*nowhere$"),
        (tmp_path / "text", rf"^data\.{side}: .*text is neither a folder nor a zip archive$"),
        (damaged(tmp_path / "bad.zip"), rf"^data\.{side}: .*bad\.zip is a damaged zip archive"),
        (empty, rf"^data\.{side}: no picture could be read from .*empty: 0 of its 0 files"),
    ):
        with pytest.raises(Refused, match=words):
            load(place)
    with pytest.raises(Refused, match=rf"^data\.{side}: data\.strict=true, and 1 of the pictures in .*mixed"):
        load(mixed, strict=True)
    with caplog.at_level(logging.WARNING):
        caplog.clear()
        load(mixed)
    told = [record.getMessage() for record in caplog.records if "skipped" in record.getMessage()]
    assert told == [
        f"data.{side}: skipped broken.png (not a picture that can be read)",
        f"data.{side}: {mixed}: 1 pictures read, 1 skipped",
    ]


def test_channels_that_no_picture_has_are_refused(tmp_path):
    with pytest.raises(Refused, match=r"^data\.channels must be 1 \(grey\) or 3 \(RGB\), got 4"):
        unpaired_folders.load(str(tmp_path), str(tmp_path), channels=4)
