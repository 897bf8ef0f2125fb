import io
import logging
import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from PIL import Image

from gan_cli.data import archives, folder, pictures
from gan_cli.errors import Refused

Files = Mapping[str, bytes]


def png(level: int, size: tuple[int, int] = (6, 4)) -> bytes:
    """A plain picture that its brightness tells from others."""
    file = io.BytesIO()
    Image.new("RGB", size, (level, level, level)).save(file, "PNG")
    return file.getvalue()


def as_folder(parent: Path, files: Files) -> Path:
    root = parent / "pictures"
    root.mkdir()
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def as_archive(parent: Path, files: Files) -> Path:
    path = parent / "pictures.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in reversed(files):  # an order of its own
            archive.writestr(name, files[name])
    return path


stored_as = pytest.mark.parametrize("stored", [as_folder, as_archive], ids=["folder", "zip"])
Stored = Callable[[Path, Files], Path]


def levels(root: Path, **options) -> list[int]:
    """The brightness of each picture of a data set, in its order."""
    return folder.load(str(root), resolution=4, **options).samples[:, 0, 0, 0].tolist()


# Which pictures, in which order, of which class


def test_a_folder_and_a_zip_of_it_are_the_same_data(tmp_path, caplog):
    files = {
        "cats/2.png": png(2),
        "cats/10.PNG": png(10),
        "cats/old/1.png": png(1),
        "dogs/größe 猫.png": png(3),
        "dogs/.hidden.png": png(99),
        "dogs/notes.txt": b"no picture",
        "Zebras/z.png": png(4),
        "named.png/inside.png": png(5),
        "broken.png": b"broken",
    }
    one, other = (folder.load(str(stored(tmp_path, files)), resolution=4) for stored in (as_folder, as_archive))
    assert torch.equal(one.samples, other.samples)
    assert torch.equal(one.labels, other.labels)
    assert one.classes == other.classes == ("Zebras", "cats", "old", "dogs", "named.png")
    assert one.samples[:, 0, 0, 0].tolist() == [4, 10, 2, 1, 3, 5]
    assert one.labels.tolist() == [0, 1, 1, 2, 3, 4]
    skipped = [record.getMessage() for record in caplog.records if record.getMessage().startswith("skipped")]
    assert skipped == ["skipped broken.png (not a picture that can be read)"] * 2


def test_an_archive_with_entries_for_its_folders_holds_the_same_pictures(tmp_path, caplog):
    path = as_archive(tmp_path, {"a/x.png": png(1), "b/y.png": png(2)})
    with zipfile.ZipFile(path, "a") as archive:
        for name in ("a/", "b/", "empty.png/"):
            archive.mkdir(name)
    assert levels(path) == [1, 2]
    assert caplog.records == []


@stored_as
def test_the_folder_above_a_picture_is_its_class(tmp_path, stored: Stored):
    data = folder.load(str(stored(tmp_path, {"x/dog/1.png": png(1), "x/cat/2.png": png(2), "x/cat/1.png": png(3)})))
    assert data.classes == ("cat", "dog")
    assert data.labels.tolist() == [0, 0, 1]
    assert data.samples[:, 0, 0, 0].tolist() == [3, 2, 1]


@stored_as
def test_class_names_may_be_of_any_script(tmp_path, stored: Stored):
    data = folder.load(str(stored(tmp_path, {"größe/1.png": png(1), "猫/ü.png": png(2)})))
    assert data.classes == ("größe", "猫")


@stored_as
@pytest.mark.parametrize("above", ["", "deep/er/"])
def test_pictures_of_one_folder_have_no_labels(tmp_path, stored: Stored, above):
    data = folder.load(str(stored(tmp_path, {above + "a.png": png(1), above + "b.png": png(2)})))
    assert data.labels is None
    assert data.classes == ()


@stored_as
def test_one_picture_is_a_data_set(tmp_path, stored: Stored):
    data = folder.load(str(stored(tmp_path, {"only.png": png(7)})), resolution=2)
    assert torch.equal(data.samples, torch.full((1, 3, 2, 2), 7, dtype=torch.uint8))


@stored_as
@pytest.mark.parametrize(
    "hidden",
    [".a.png", "._a.png", "x/.a.png", "__MACOSX/._a.png", "__MACOSX/x/a.png", ".git/a.png", "x/.thumbnails/a.png"],
)
def test_hidden_files_and_those_of_a_macintosh_are_left_out_without_a_word(tmp_path, stored: Stored, hidden, caplog):
    assert levels(stored(tmp_path, {"a.png": png(1), hidden: png(2)})) == [1]
    assert caplog.records == []


@stored_as
@pytest.mark.parametrize(
    "name",
    ["a.png", "a.PNG", "a.jpg", "a.jpeg", "a.JPG", "a.gif", "a.bmp", "a.webp", "a.tif", "a.tiff", "a.ppm", "a.pgm"],
)
def test_what_a_picture_is_called_says_that_it_is_one_and_its_content_of_which_format(tmp_path, stored: Stored, name):
    assert levels(stored(tmp_path, {name: png(5), "a.txt": png(6), "png": png(6)})) == [5]


@stored_as
@pytest.mark.parametrize(
    "options",
    [
        {"channels": 3, "resolution": 6, "fit": "crop", "background": (255, 0, 0)},
        {"channels": 1, "resolution": 9, "fit": "pad", "background": (0, 0, 255)},
        {"channels": 3, "resolution": 3, "fit": "stretch", "background": (0, 99, 0)},
    ],
    ids=["crop", "pad", "stretch"],
)
def test_every_picture_is_read_as_the_options_say(tmp_path, stored: Stored, options):
    file = io.BytesIO()
    picture = Image.linear_gradient("L").resize((30, 20)).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").rotate(90).resize((30, 20)))
    picture.save(file, "PNG")
    data = folder.load(str(stored(tmp_path, {"a.png": file.getvalue(), "b.png": png(1)})), **options)
    for sample, content in zip(data.samples, (file.getvalue(), png(1)), strict=True):
        assert torch.equal(sample, pictures.read(io.BytesIO(content), **options).pixels)


def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    as_folder(tmp_path, {"a.png": png(3)})
    assert levels(Path("~/pictures")) == [3]


# What is skipped


@stored_as
def test_unreadable_pictures_are_skipped_named_and_counted(tmp_path, stored: Stored, caplog):
    root = stored(tmp_path, {"a.png": png(1), "b.png": b"text", "c.png": b"", "d.png": png(4), "e.txt": b"text"})
    assert levels(root) == [1, 4]
    assert [record.getMessage() for record in caplog.records] == [
        "skipped b.png (not a picture that can be read)",
        "skipped c.png (an empty file)",
        f"{root}: 2 pictures read, 2 skipped",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


@stored_as
def test_skipped_pictures_leave_the_labels_of_the_others_right(tmp_path, stored: Stored):
    files = {"a/1.png": b"bad", "b/1.png": png(1), "b/2.png": b"bad", "c/1.png": png(2), "c/2.png": png(3)}
    data = folder.load(str(stored(tmp_path, files)))
    assert [data.classes[label] for label in data.labels] == ["b", "c", "c"]
    assert data.classes == ("b", "c")


@stored_as
def test_of_many_skipped_pictures_every_one_is_named(tmp_path, stored: Stored, caplog):
    root = stored(tmp_path, {f"{i}.png": b"bad" for i in range(8)} | {"good.png": png(1)})
    assert levels(root) == [1]
    messages = [record.getMessage() for record in caplog.records]
    assert [message.split()[1] for message in messages[:-1]] == [f"{i}.png" for i in range(8)]
    assert messages[-1].endswith(": 1 pictures read, 8 skipped")


def test_a_skipped_file_whose_name_is_no_unicode_is_named_in_printable_letters(tmp_path, caplog):
    root = as_folder(tmp_path, {"a.png": png(1)})
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.png")).write_bytes(b"bad")
    assert levels(root) == [1]
    assert b"skipped \\udcff.png (not a picture that can be read)" in caplog.text.encode()


def patched(path: Path, member: str, change: str) -> None:
    """Damage one member of an archive."""
    with zipfile.ZipFile(path) as archive:
        local = archive.getinfo(member).header_offset
    content = bytearray(path.read_bytes())
    central = content.rindex(b"PK\1\2", 0, content.rindex(member.encode()))
    data = local + 30 + len(member)
    if change == "flipped-bytes":
        content[data + 20] ^= 0xFF
    elif change == "header":
        content[local : local + 4] = b"none"
    elif change == "encrypted":
        content[local + 6] |= 1
        content[central + 8] |= 1
    elif change == "unknown-compression":
        content[local + 8 : local + 10] = content[central + 10 : central + 12] = struct.pack("<H", 99)
    elif change == "huge":
        content[central + 24 : central + 28] = struct.pack("<I", 2**32 - 2)
    path.write_bytes(content)


@pytest.mark.parametrize("change", ["flipped-bytes", "header", "encrypted", "unknown-compression", "huge"])
def test_a_damaged_member_of_an_archive_is_skipped_and_the_rest_are_read(tmp_path, change, caplog):
    path = as_archive(tmp_path, {"a.png": png(1), "b.png": png(2), "c.png": png(3)})
    patched(path, "b.png", change)
    assert levels(path) == [1, 3]
    assert caplog.records[0].getMessage().startswith("skipped b.png (")
    assert caplog.records[1].getMessage().endswith(": 2 pictures read, 1 skipped")


def test_a_member_that_unpacks_to_too_much_is_skipped_unread(tmp_path, monkeypatch, caplog):
    path = as_archive(tmp_path, {"a.png": png(1), "b.png": png(2) + bytes(5000)})
    monkeypatch.setattr(archives, "MAX_MEMBER", len(png(1)))
    assert levels(path) == [1]
    assert f"skipped b.png ({len(png(2)) + 5000:,} bytes, more than {len(png(1)):,})" in caplog.text


# Archives of foreign making


@pytest.mark.parametrize(
    "name", ["../evil.png", "../../evil.png", "a/../../evil.png", "/evil.png", "C:\\evil.png", "x\\..\\..\\evil.png"]
)
def test_an_archive_is_read_in_place_and_nothing_of_it_is_written(tmp_path, monkeypatch, name):
    path = as_archive(tmp_path, {name: png(1), "b.png": png(2)})
    (tmp_path / "x" / "y").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "x" / "y")
    for method in ("extract", "extractall", "_extract_member"):
        monkeypatch.setattr(zipfile.ZipFile, method, lambda *_, **__: pytest.fail("it was extracted"))
    before = sorted(tmp_path.rglob("*"))
    assert sorted(levels(path)) == [1, 2]
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/evil.png").exists()


@pytest.mark.parametrize("name", ["./a.png", ".//x/a.png", "x//a.png", "x/./a.png"])
def test_a_member_is_found_however_its_path_is_written(tmp_path, name):
    assert levels(as_archive(tmp_path, {name: png(1), "z/b.png": png(2)})) == [1, 2]


# What is refused


@stored_as
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"no picture could be read from .*: 0 of its 0 files are named like one \(\.png, .*\)$"),
        ({"a.txt": b"x", "b": b"y"}, r"0 of its 2 files are named like one \(\.png, .*\)$"),
        ({"a.png": b"x", "b.txt": b"y"}, r"1 of its 2 files are named like one \(.*\), none was readable$"),
    ],
    ids=["empty", "no-pictures", "none-readable"],
)
def test_data_without_a_picture_are_refused(tmp_path, stored: Stored, files, message):
    with pytest.raises(Refused, match=message):
        folder.load(str(stored(tmp_path, files)))


def test_a_path_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(Refused, match=r"^data\.root: there is no .*/missing$"):
        folder.load(str(tmp_path / "missing"))


@pytest.mark.parametrize("content", [b"", b"text", png(1), b"PK\3\4 cut"], ids=["empty", "text", "picture", "cut-zip"])
def test_a_file_that_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "pictures.zip"
    path.write_bytes(content)
    with pytest.raises(Refused, match=r"^data\.root: .*/pictures\.zip is neither a folder nor a zip archive$"):
        folder.load(str(path))


def test_an_archive_whose_directory_is_damaged_is_refused(tmp_path):
    path = as_archive(tmp_path, {"a.png": png(1)})
    path.write_bytes(path.read_bytes().replace(b"PK\1\2", b"PK\7\7"))
    with pytest.raises(Refused, match=r"data\.root: .*/pictures\.zip"):
        folder.load(str(path))


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_channels_other_than_grey_and_rgb_are_refused(tmp_path, channels):
    with pytest.raises(Refused, match=rf"data\.channels must be 1 \(grey\) or 3 \(RGB\), got {channels}"):
        folder.load(str(as_folder(tmp_path, {"a.png": png(1)})), channels=channels)


def test_classes_of_folders_with_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    for number, place in enumerate(("a/cats", "b/cats", "b/dogs", ".")):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / place / "picture.png")
    data = folder.load(str(tmp_path), resolution=8)
    assert data.classes == (".", "a/cats", "b/cats", "b/dogs")
    (tmp_path / "a/cats/picture.png").unlink()
    assert folder.load(str(tmp_path), resolution=8).classes == (".", "cats", "dogs")
