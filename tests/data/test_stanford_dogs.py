import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from dogs_files import BREEDS, GROUND, annotation, as_archives, as_trees, color_of, few_dogs, photograph
from picture_files import encoded
from PIL import Image
from torch import Tensor

from gan_cli.data import pictures, stanford_dogs
from gan_cli.data.pictures import Unreadable
from gan_cli.data.stanford_dogs import largest_box
from gan_cli.errors import Refused

RED, GREEN = (255, 0, 0), (0, 255, 0)
stored_as = pytest.mark.parametrize("stored", [as_trees, as_archives], ids=["trees", "archives"])
Stored = Callable[[Path, dict[str, bytes]], Path]
Log = pytest.LogCaptureFixture


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_CLI_CACHE", str(tmp_path / "cache"))


def load(root: Path, **options):
    return stanford_dogs.load(str(root), **{"resolution": 8} | options)


def plain(color: tuple[int, ...], side: int = 8) -> Tensor:
    return torch.tensor(color, dtype=torch.uint8)[:, None, None].expand(-1, side, side)


def lines(caplog: Log) -> list[str]:
    return [record.getMessage() for record in caplog.records]


# The whole


@stored_as
def test_each_photograph_is_cut_to_its_box_and_belongs_to_its_breed(tmp_path, stored: Stored, caplog):
    data = load(stored(tmp_path / "dogs", few_dogs()))
    assert data.classes == ("Chihuahua", "Japanese_spaniel", "wire-haired_fox_terrier")
    assert data.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    for position, sample in enumerate(data.samples):
        assert torch.equal(sample, plain(color_of(*divmod(position, 4))))
    assert lines(caplog) == []


def test_trees_and_archives_are_the_same_data_and_so_is_what_kaggle_passes_on(tmp_path):
    files = few_dogs()
    inner = {name.replace("Images/", "images/Images/", 1): content for name, content in files.items()}
    inner = {name.replace("Annotation/", "annotations/Annotation/", 1): content for name, content in inner.items()}
    one, *others = (
        load(stored(tmp_path / f"{number}", content))
        for number, (stored, content) in enumerate([(as_trees, files), (as_archives, files), (as_trees, inner)])
    )
    for other in others:
        assert torch.equal(one.samples, other.samples)
        assert torch.equal(one.labels, other.labels)
        assert one.classes == other.classes


def test_an_archive_of_one_and_a_tree_of_the_other_go_together(tmp_path):
    root = as_archives(tmp_path / "dogs", few_dogs())
    (root / "images.tar").unlink()
    as_trees(root, {name: content for name, content in few_dogs().items() if name.startswith("Images")})
    assert len(load(root)) == 12


@stored_as
def test_a_second_start_opens_neither_photograph_nor_annotation(tmp_path, stored: Stored, monkeypatch):
    root = stored(tmp_path / "dogs", few_dogs())
    first = load(root)
    for module, name in ((pictures, "read"), (stanford_dogs, "largest_box")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("it was read"))
    again = load(root)
    assert torch.equal(again.samples, first.samples)
    assert again.classes == first.classes


@stored_as
def test_another_annotation_is_another_picture(tmp_path, stored: Stored):
    files = few_dogs()
    before = load(stored(tmp_path / "dogs", files))
    name = next(name for name in files if name.startswith("Annotation"))
    files[name] = files[name].replace(b"<xmin>4<", b"<xmin>0<")  # of the same length
    time.sleep(0.01)  # the clock of a file system
    after = load(stored(tmp_path / "dogs", files))
    changed = (before.samples != after.samples).flatten(1).any(1)
    assert changed.tolist() == [True] + [False] * 11


def test_without_a_root_both_archives_are_fetched_and_read(tmp_path, monkeypatch):
    root, asked = as_archives(tmp_path / "dogs", few_dogs()), []

    def fetched(*given: str) -> Path:
        asked.append(given)
        return root / given[0].rsplit("/", 1)[-1]

    monkeypatch.setattr(stanford_dogs, "fetch", fetched)
    assert torch.equal(stanford_dogs.load(resolution=8).samples, load(root).samples)
    assert [url for url, *_ in asked] == [
        f"https://vision.stanford.edu/aditya86/ImageNetDogs/{name}.tar" for name in ("annotation", "images")
    ]
    assert all(known.startswith("sha256:") and len(known) == 71 for _, known, *_ in asked)
    assert all("data.root=" in instead and folder == "stanford_dogs" for *_, instead, folder in asked)


# One box


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_a_square_box_gives_the_rectangle_that_it_holds_whatever_the_fit(tmp_path, fit):
    files = few_dogs()
    box = (10, 5, 50, 45)
    halves = photograph({(10, 5, 30, 45): RED, (30, 5, 50, 45): GREEN})
    files[f"Images/{BREEDS[0]}/n02085620_0.jpg"] = halves
    files[f"Annotation/{BREEDS[0]}/n02085620_0"] = annotation([box])
    sample = load(as_trees(tmp_path / "dogs", files), fit=fit, resolution=40).samples[0]
    assert torch.equal(sample, torch.cat([plain(RED, 40)[:, :, :20], plain(GREEN, 40)[:, :, 20:]], 2))


def only(tmp_path: Path, picture: bytes, boxes: list, **options) -> Tensor:
    """The sample of a photograph, beside eleven others."""
    files = few_dogs()
    files[f"Images/{BREEDS[0]}/n02085620_0.jpg"] = picture
    files[f"Annotation/{BREEDS[0]}/n02085620_0"] = annotation(boxes)
    data = load(as_trees(tmp_path / "dogs", files), **options)
    assert len(data) == 12
    return data.samples[0]


def test_of_several_dogs_the_largest_is_taken(tmp_path):
    small, large = (0, 0, 20, 20), (24, 4, 60, 44)
    picture = photograph({small: RED, large: GREEN})
    assert torch.equal(only(tmp_path, picture, [small, large]), plain(GREEN))


@pytest.mark.parametrize("box", [(-5, -9, 30, 24), (30, 20, 640, 480)])
def test_what_of_a_box_lies_outside_is_left_out(tmp_path, box):
    inside = tuple(min(max(side, 0), most) for side, most in zip(box, (64, 48, 64, 48), strict=True))
    assert torch.equal(only(tmp_path, photograph({inside: RED}), [box]), plain(RED))


def test_a_box_is_of_the_pixels_as_they_are_stored(tmp_path):
    box, exif = (0, 0, 16, 48), Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    picture = Image.new("RGB", (64, 48), GROUND)
    picture.paste(RED, (0, 0, 16, 24))
    picture.paste(GREEN, (0, 24, 16, 48))
    sample = only(tmp_path, encoded(picture, exif=exif), [box], resolution=48)
    # 16 wide and 48 high, the red half above; turned, the red half stands at the right.
    assert torch.equal(sample[:, :, 30:], plain(RED, 48)[:, :, 30:])
    assert torch.equal(sample[:, :, :18], plain(GREEN, 48)[:, :, :18])


BAD_ANNOTATIONS = {
    "none": (None, "it has no annotation"),
    "empty": (b"", "it has no annotation"),
    "no box": (annotation([]), "its annotation has no box with an area"),
    "no area": (annotation([(9, 9, 9, 20)]), "its annotation has no box with an area"),
    "turned around": (annotation([(20, 20, 9, 9)]), "its annotation has no box with an area"),
    "text": (b"no annotation", "its annotation has no box with an area"),
    "words": (annotation([("a", "b", "c", "d")]), "its annotation has no box with an area"),
    "endless numbers": (annotation([("9" * 5000, 0, "9" * 5001, 8)]), "its annotation has no box with an area"),
    "outside": (
        annotation([(100, 100, 120, 120)]),
        "nothing in its box (100, 100, 120, 120): the picture has 64×48 pixels",
    ),
    "too long": (annotation([(0, 0, 8, 8)]) + bytes(2**16), "its annotation is longer than 65,536 bytes"),
    "entities": (
        b'<!DOCTYPE a [<!ENTITY a "1"><!ENTITY b "&a;&a;&a;&a;">]>' + annotation([("&b;", 0, "&b;", 8)]),
        "its annotation has no box with an area",
    ),
}


@stored_as
@pytest.mark.parametrize("kind", BAD_ANNOTATIONS)
def test_a_photograph_without_a_box_is_skipped_and_named(tmp_path, stored: Stored, kind, caplog):
    content, reason = BAD_ANNOTATIONS[kind]
    files, name = few_dogs(), f"{BREEDS[1]}/n02085782_2"
    del files[f"Annotation/{name}"]
    if content is not None:
        files[f"Annotation/{name}"] = content
    root = stored(tmp_path / "dogs", files)
    if kind == "empty" and stored is as_archives:
        reason = "its annotation has no box with an area"
    data = load(root)
    assert data.labels.tolist() == [0] * 4 + [1] * 3 + [2] * 4
    assert lines(caplog) == [f"skipped {name}.jpg ({reason})", f"{root}: 11 pictures read, 1 skipped"]
    with pytest.raises(Refused, match=r"data\.strict=true, and 1 of the pictures"):
        load(root, strict=True)


def test_a_box_is_found_as_it_is_written_officially():
    official = annotation([(71, 1, 192, 180), (-3, 2, 5, 4)])
    assert b"\t\t\t<xmin>71</xmin>\n\t\t\t<ymin>1</ymin>\n" in official
    assert largest_box(official) == (71, 1, 192, 180)
    assert largest_box(b"<bndbox><xmin> 1</xmin><ymin>2 </ymin> <xmax>3</xmax><ymax>4</ymax>") == (1, 2, 3, 4)


def test_no_annotation_takes_long_to_search():
    started = time.perf_counter()
    for hostile in (b"<bndbox>" * 8000, b"<bndbox>" + b" " * 65000, (b"<bndbox>" + b" " * 100) * 600):
        with pytest.raises(Unreadable):
            largest_box(hostile[: 2**16])
    assert time.perf_counter() - started < 1


# What is refused


def test_a_folder_without_the_parts_is_refused_with_what_is_wanted(tmp_path):
    with pytest.raises(
        Refused, match=r"holds neither Images/ nor images\.tar\.\nGet images\.tar .*\n.*data\.root=PATH$"
    ):
        load(tmp_path)
    (tmp_path / "Images").mkdir()
    with pytest.raises(Refused, match=r"holds neither Annotation/ nor annotation\.tar\."):
        load(tmp_path)
    with pytest.raises(Refused, match="holds neither Images/"):
        load(tmp_path / "missing")


def test_a_damaged_archive_is_refused(tmp_path):
    root = as_archives(tmp_path / "dogs", few_dogs())
    content = (root / "images.tar").read_bytes()
    (root / "images.tar").write_bytes(content[: len(content) // 2 - 300])
    with pytest.raises(Refused, match=r"images\.tar is a damaged tar archive, or none"):
        load(root)


def test_photographs_of_which_none_can_be_used_are_refused(tmp_path):
    files = {name: content for name, content in few_dogs().items() if name.startswith("Images")}
    root = as_trees(tmp_path / "dogs", files)
    (root / "Annotation").mkdir()
    with pytest.raises(Refused, match="no picture could be read from"):
        load(root)


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_channels_other_than_grey_and_rgb_are_refused_before_anything_is_fetched(monkeypatch, channels):
    monkeypatch.setattr(stanford_dogs, "fetch", lambda *_: pytest.fail("it was fetched"))
    with pytest.raises(Refused, match=r"data\.channels must be 1"):
        stanford_dogs.load(channels=channels)
