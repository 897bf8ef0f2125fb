"""Archives of foreign making: what can be used is read in place, what cannot is named, and nothing is ever written."""

import io
import random
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest
import torch
from picture_files import encoded, good, noise

from gan_cli.data import archives, folder
from gan_cli.data.archives import Tar, Zip
from gan_cli.errors import Refused

GOOD = encoded(noise(0, (6, 6)))
Log = pytest.LogCaptureFixture


@pytest.fixture(autouse=True)
def nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Around an archive all stays as it is but the cache, which holds one file of a name of its own."""
    monkeypatch.setenv("GAN_CLI_CACHE", str(tmp_path / "cache"))
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    for method in ("extract", "extractall", "_extract_member"):
        monkeypatch.setattr(zipfile.ZipFile, method, lambda *_, **__: pytest.fail("a member was extracted"))
    for method in ("extract", "extractall"):
        monkeypatch.setattr(tarfile.TarFile, method, lambda *_, **__: pytest.fail("a member was extracted"))
    yield
    around = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if "cache" not in path.parts}
    assert around - {"deep", "deep/er"} <= {"some.zip", "images.tar"}
    cached = [path for path in tmp_path.rglob("cache/**/*") if path.is_file()]
    assert all(path.parent == tmp_path / "cache" / "pictures" and len(path.stem) == 24 for path in cached)
    assert not any(Path(f"/{name}").exists() for name in ("evil.png", "tmp/evil.png", "n/evil.jpg"))


def load(path: Path):
    return folder.load(str(path), resolution=6)


def skipped(caplog: Log) -> dict[str, str]:
    """What was named, and why."""
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("skipped ")]
    return {line.removeprefix("skipped ").split(" (")[0]: line.split(" (", 1)[1][:-1] for line in told}


# Zip archives


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def special(name: str, kind: int, system: int = 3) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = system
    info.external_attr = (kind | 0o777) << 16
    return info


OUTSIDE = ["../evil.png", "../../evil.png", "a/../../evil.png", "/evil.png", "/tmp/evil.png"]


@pytest.mark.parametrize("name", [*OUTSIDE, "C:\\evil.png", "//server/evil.png", "evil.png\0.txt", "a" * 300 + ".png"])
def test_names_lead_nowhere(tmp_path, name):
    data = load(zipped(tmp_path / "some.zip", (name, GOOD), ("b.png", GOOD)))
    assert len(data) == 2
    assert torch.equal(data.samples[0], data.samples[1])


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(stat.S_IFLNK, "a link"), (stat.S_IFIFO, "a pipe"), (stat.S_IFSOCK, "a socket"), (stat.S_IFBLK, "a device")],
)
def test_links_and_special_files_in_a_zip_are_named(tmp_path, caplog, kind, reason):
    path = zipped(tmp_path / "some.zip", (special("x.png", kind), b"/etc/passwd"), ("y.png", GOOD))
    assert len(load(path)) == 1
    assert skipped(caplog) == {"x.png": reason}


def test_regular_files_and_those_of_other_systems_are_read(tmp_path, caplog):
    path = zipped(
        tmp_path / "some.zip", (special("x.png", stat.S_IFREG), GOOD), (special("y.png", stat.S_IFLNK, 0), GOOD)
    )
    assert len(load(path)) == 2
    assert skipped(caplog) == {}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_members_with_one_name_the_last_is_read_and_the_others_are_named(tmp_path, caplog):
    other = encoded(noise(1, (6, 6)))
    path = zipped(tmp_path / "some.zip", ("x.png", GOOD), ("./x.png", GOOD), ("x.png", other), ("y.png", other))
    data = load(path)
    assert len(data) == 2
    assert torch.equal(data.samples[0], data.samples[1])
    assert [r.getMessage() for r in caplog.records][:-1] == ["skipped x.png (a later member has the same name)"] * 2


def test_empty_and_foreign_members_are_named(tmp_path, caplog):
    path = zipped(tmp_path / "some.zip", ("a.png", b""), ("b.heic", b"x"), ("c.txt", b"x"), ("d.png", GOOD))
    assert len(load(path)) == 1
    assert skipped(caplog) == {"a.png": "an empty file", "b.heic": "HEIC is not read: convert it to PNG or JPEG"}


def test_a_member_that_claims_less_than_it_holds_is_cut_there(tmp_path, caplog):
    path = zipped(tmp_path / "some.zip", ("a.png", bytes(10**6)), ("b.png", GOOD))
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\1\2")
    content[central + 24 : central + 28] = struct.pack("<I", 1000)  # of a million
    path.write_bytes(content)
    assert len(load(path)) == 1
    assert list(skipped(caplog)) == ["a.png"]


def test_a_bomb_is_not_unpacked(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBER", 10**6)
    path = zipped(tmp_path / "some.zip", ("a.png", bytes(10**6 + 1)), ("b.png", GOOD))
    assert len(load(path)) == 1
    assert skipped(caplog) == {"a.png": "1,000,001 bytes, more than 1,000,000"}


def test_an_archive_that_was_mended_is_read_again(tmp_path, caplog):
    """Its directory, with all sizes and checksums, is the same before and after."""
    path = zipped(tmp_path / "some.zip", ("a.png", GOOD), ("b.png", GOOD))
    whole = path.read_bytes()
    cut = whole.index(GOOD[:4]) if GOOD[:4] in whole else 45
    path.write_bytes(whole[:cut] + bytes(8) + whole[cut + 8 :])
    assert len(load(path)) == 1
    path.write_bytes(whole)
    assert len(load(path)) == 2


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9, 0.99])
def test_a_truncated_zip_is_refused(tmp_path, kept):
    path = zipped(tmp_path / "some.zip", *(good(number) for number in range(10)))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(Refused, match=r"some\.zip is neither a folder nor a zip archive|is a damaged zip archive"):
        load(path)


def changed_at_random(content: bytes, draws: random.Random) -> bytes:
    changed = bytearray(content)
    directory = content.rindex(b"PK\1\2") if b"PK\1\2" in content else 0
    for _ in range(draws.choice((1, 3, 10))):
        # Half of them where each byte has a meaning.
        start = draws.randrange(directory if draws.random() < 0.5 else 0, len(changed))
        changed[start] = draws.choice((0, 255, draws.randrange(256), changed[start] ^ 1 << draws.randrange(8)))
    return bytes(changed)


def outcomes(path: Path, content: bytes, read: Callable[[Path], object], count: int) -> set[str]:
    draws, found = random.Random(0), set()
    for _ in range(count):
        path.write_bytes(changed_at_random(content, draws))
        try:
            read(path)
        except Refused as refusal:
            found.add("refused" if str(path) in str(refusal) else str(refusal))
        else:
            found.add("read")
    return found


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("count", [150, pytest.param(1500, marks=pytest.mark.slow)])
def test_a_changed_zip_is_read_or_refused(tmp_path, caplog, count):
    path = zipped(tmp_path / "some.zip", *(good(number) for number in range(4)))
    assert outcomes(path, path.read_bytes(), load, count) == {"read", "refused"}
    assert any(line.startswith("skipped") for line in caplog.messages)


# Tar archives


def member(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, link
    return info, content


def tarred(path: Path, *members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.GNU_FORMAT) -> Path:
    with tarfile.open(path, "w", format=format) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path


def contents(path: Path) -> dict[str, bytes]:
    source = Tar(path, "Images")
    return {str(entry.name): source.open(entry).read() for entry in source.entries}


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_found_by_their_names_within_the_directory(tmp_path, format):
    long = "Images/" + "a" * 90 + "/" + "b" * 60 + ".jpg"
    path = tarred(
        tmp_path / "images.tar",
        *(member("Images", kind=tarfile.DIRTYPE), member("./Images/n/2.jpg", b"two"), member("Images/n/1.jpg", b"one")),
        *(member("Images/n/._1.jpg", b"x"), member("Images/notes.txt", b"x"), member("Other/3.jpg", b"x")),
        member(long, b"long"),
        format=format,
    )
    assert contents(path) == {long.removeprefix("Images/"): b"long", "n/1.jpg": b"one", "n/2.jpg": b"two"}
    assert Tar(path, "Images").others == 1


HOSTILE = {
    "parent": member("Images/../../../evil.jpg", GOOD),
    "absolute": member("/Images/n/evil.jpg", GOOD),
    "elsewhere": member("../n/evil.jpg", GOOD),
    "link": member("Images/n/evil.jpg", kind=tarfile.SYMTYPE, link="/etc/passwd"),
    "hard link": member("Images/n/evil.jpg", kind=tarfile.LNKTYPE, link="../../etc/passwd"),
    "pipe": member("Images/n/evil.jpg", kind=tarfile.FIFOTYPE),
    "device": member("Images/n/evil.jpg", kind=tarfile.CHRTYPE),
    "block device": member("Images/n/evil.jpg", kind=tarfile.BLKTYPE),
    "directory": member("Images/n/evil.jpg", kind=tarfile.DIRTYPE),
    "sparse": member("Images/n/evil.jpg", bytes(512), kind=tarfile.GNUTYPE_SPARSE),
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_only_plain_files_below_the_directory_are_read(tmp_path, hostile):
    path = tarred(tmp_path / "images.tar", HOSTILE[hostile], member("Images/n/1.jpg", b"one"))
    source = Tar(path, "Images")
    assert [entry.name for entry in source.entries] == [PurePosixPath("n/1.jpg")]
    assert contents(path) == {"n/1.jpg": b"one"}
    named = {str(one.name): one.reason for one in source.skipped}
    leads_out = hostile in ("parent", "absolute", "elsewhere", "directory")
    assert named == ({} if leads_out else {"n/evil.jpg": "not a plain file"})


def test_of_members_with_one_name_in_a_tar_the_last_is_read(tmp_path):
    path = tarred(tmp_path / "images.tar", member("Images/1.jpg", b"old"), member("Images/1.jpg", b"new"))
    assert contents(path) == {"1.jpg": b"new"}
    assert [str(one) for one in Tar(path, "Images").skipped] == ["1.jpg (a later member has the same name)"]


def test_a_member_that_is_too_long_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBER", 10)
    path = tarred(tmp_path / "images.tar", member("Images/1.jpg", bytes(11)), member("Images/2.jpg", bytes(10)))
    assert contents(path) == {"2.jpg": bytes(10)}
    assert [str(one) for one in Tar(path, "Images").skipped] == ["1.jpg (11 bytes, more than 10)"]


def header(size: bytes) -> bytes:
    """A header with a size that no program writes."""
    content = bytearray(tarfile.TarInfo("Images/1.jpg").tobuf(tarfile.GNU_FORMAT))
    content[124:136] = size
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content)
    return bytes(content)


@pytest.mark.parametrize("size", [b"\xff" * 11 + b"\0", b"\xff" * 12, b"\xff" * 10 + b"\xfc\0", b"\x80" + b"\x7f" * 11])
def test_sizes_that_lead_back_or_far_beyond_the_end_are_refused(tmp_path, size):
    path = tmp_path / "images.tar"
    path.write_bytes(header(size) + tarfile.TarInfo("Images/2.jpg").tobuf() + bytes(10240))
    with pytest.raises(Refused, match=r"images\.tar is a damaged tar archive, or none: "):
        Tar(path, "Images")


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>404 Not Found</html>" * 100, b"\x1f\x8b" + bytes(600), GOOD, bytes(100)],
    ids=["empty", "page", "gzip", "picture", "few-zeros"],
)
def test_what_is_no_tar_archive_is_refused(tmp_path, content):
    (tmp_path / "images.tar").write_bytes(content)
    with pytest.raises(Refused, match=r"data\.root: .*images\.tar is a damaged tar archive, or none"):
        Tar(tmp_path / "images.tar", "Images")


@pytest.mark.parametrize("kept", [0.3, 0.6])
def test_a_truncated_tar_is_refused(tmp_path, kept):
    path = tarred(tmp_path / "images.tar", *(member(f"Images/{number}.jpg", bytes(9000)) for number in range(9)))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(Refused, match=r"images\.tar is a damaged tar archive"):
        Tar(path, "Images")


@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=pytest.mark.slow)])
def test_a_changed_tar_is_read_or_refused(tmp_path, count):
    kinds = (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.GNUTYPE_SPARSE)
    long = member("Images/" + "a" * 150 + ".jpg", bytes(700))
    path = tarred(tmp_path / "images.tar", *(member(f"Images/{k!r}.jpg", bytes(600), k) for k in kinds), long)

    def read(path: Path) -> None:
        source = Tar(path, "Images")
        for entry in source.entries:
            source.open(entry)

    assert outcomes(path, path.read_bytes(), read, count) == {"read", "refused"}


def test_members_of_an_archive_are_read_from_many_threads(tmp_path):
    path = zipped(tmp_path / "some.zip", *(good(number) for number in range(40)))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        many = load(path)
    finally:
        torch.set_num_threads(before)
    source = Zip(path)
    for sample, entry in zip(many.samples, source.entries, strict=True):
        assert torch.equal(sample, source.read(entry, folder.looking(3, 6, "crop", (255, 255, 255))).pixels)
    source.close()
