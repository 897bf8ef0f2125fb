"""CIFAR-10: what a record means, where the files may lie, and what an archive from a stranger can do: nothing."""

import gzip
import io
import os
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Result

from gan_cli.build import build
from gan_cli.data import cifar10
from gan_cli.errors import Refused
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config

COUNT = 3  # images in a file of these tests
SIZE = COUNT * 3073
NAMES = (*cifar10.FILES["train"], *cifar10.FILES["test"])


@pytest.fixture(autouse=True)
def _small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "IMAGES_PER_FILE", COUNT)
    monkeypatch.setattr(cifar10, "_ROOM", 2**15)


def records(seed: int) -> bytes:
    """Images of noise with labels that tell their places: seed, seed + 1, seed + 2."""
    noise = torch.randint(0, 256, (COUNT, 3073), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    noise[:, 0] = torch.arange(seed, seed + COUNT)
    return bytes(noise.flatten().tolist())


FILES = {name: records(seed) for seed, name in enumerate(NAMES)}


class Archive:
    """A tar archive that is written by hand, member by member."""

    def __init__(self) -> None:
        self.buffer = io.BytesIO()
        self.tar = tarfile.TarFile(fileobj=self.buffer, mode="w")

    def add(self, name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> "Archive":
        info = tarfile.TarInfo(name)
        info.size, info.type, info.linkname = len(content), kind, link
        self.tar.addfile(info, io.BytesIO(content))
        return self

    def link(self, name: str, to: str) -> "Archive":
        """A link that says to be as long as a file of images."""
        info = tarfile.TarInfo(name)
        info.size, info.type, info.linkname = SIZE, tarfile.SYMTYPE, to
        self.tar.addfile(info)
        return self

    def all(self, *without: str, below: str = "cifar-10-batches-bin/") -> "Archive":
        for name in NAMES:
            if name not in without:
                self.add(below + name, FILES[name])
        return self

    def content(self) -> bytes:
        self.tar.close()
        return self.buffer.getvalue()


def honest() -> bytes:
    archive = Archive().add("cifar-10-batches-bin", kind=tarfile.DIRTYPE)
    archive.add("cifar-10-batches-bin/batches.meta.txt", b"airplane\n").all()
    return gzip.compress(archive.content())


def as_archive(parent: Path) -> Path:
    (parent / "mine.tgz").write_bytes(honest())
    return parent / "mine.tgz"


def as_unpacked_archive(parent: Path) -> Path:
    (parent / "mine.tar").write_bytes(gzip.decompress(honest()))
    return parent / "mine.tar"


def as_folder_with_archive(parent: Path) -> Path:
    (parent / "cifar-10-binary.tar.gz").write_bytes(honest())
    return parent


def as_folder_with_unpacked_archive(parent: Path) -> Path:
    (parent / "cifar-10-binary.tar").write_bytes(gzip.decompress(honest()))
    return parent


def as_files(parent: Path) -> Path:
    for name, content in FILES.items():
        (parent / name).write_bytes(content)
    return parent


def as_folder(parent: Path) -> Path:
    (parent / "cifar-10-batches-bin").mkdir()
    as_files(parent / "cifar-10-batches-bin")
    return parent


WAYS = (as_archive, as_unpacked_archive, as_folder_with_archive, as_folder_with_unpacked_archive, as_files, as_folder)


def tree(root: Path) -> dict[str, tuple[int, int]]:
    """Every path below a folder, with its size and time of change."""
    found = sorted(root.rglob("*"))
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in found}


def refused(root: Path, *words: str) -> None:
    with pytest.raises(Refused) as refusal:
        cifar10.load(str(root))
    assert len(str(refusal.value).splitlines()) <= 3
    for word in (*words, "data.root=PATH", "cifar-10-binary.tar.gz"):
        assert word in str(refusal.value)


# What is read.


@pytest.mark.parametrize("way", WAYS)
def test_all_ways_to_store_the_files_hold_the_same_images(tmp_path: Path, way: Callable[[Path], Path]) -> None:
    root = way(tmp_path)
    before = tree(tmp_path)
    train, test = cifar10.load(str(root)), cifar10.load(str(root), "test")
    assert tree(tmp_path) == before
    assert train.labels is not None
    assert test.labels is not None
    assert train.labels.tolist() == [0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5, 4, 5, 6]  # file by file
    assert test.labels.tolist() == [5, 6, 7]
    for number, image in enumerate(train.samples):
        start = number % COUNT * 3073 + 1
        content = FILES[NAMES[number // COUNT]][start : start + 3072]
        assert bytes(image.flatten().tolist()) == content


def test_planes_are_red_green_and_blue_from_the_top_left_corner(tmp_path: Path) -> None:
    record = bytearray(SIZE)
    record[0] = 6
    record[1 + 2] = 11  # red, row 0, column 2
    record[1 + 1024 + 32] = 22  # green, row 1, column 0
    record[1 + 2048 + 1023] = 33  # blue, the last pixel
    (tmp_path / "test_batch.bin").write_bytes(record)
    data = cifar10.load(str(tmp_path), "test")
    assert data.samples.shape == (COUNT, 3, 32, 32)
    assert data.samples.dtype == torch.uint8
    assert data.samples[0].nonzero().tolist() == [[0, 0, 2], [1, 1, 0], [2, 31, 31]]
    assert data.samples[0, [0, 1, 2], [0, 1, 31], [2, 0, 31]].tolist() == [11, 22, 33]
    assert data.labels is not None
    assert [data.classes[label] for label in data.labels] == ["frog", "airplane", "airplane"]
    assert data.judges.select == data.judges.report == "random_v1"


def test_a_file_of_the_published_archive_has_ten_thousand_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert cifar10._file_size() == 30_730_000
    assert cifar10.CLASSES[0::9] == ("airplane", "truck")
    assert len(cifar10.CLASSES) == 10


# What archives of strangers hold. Nothing is written, wherever their members are said to lie.


TRAIN = NAMES[:5]
HOSTILE = {
    "link": (Archive().all(TRAIN[2]).add(TRAIN[2], kind=tarfile.SYMTYPE, link="/etc/passwd"), TRAIN[2]),
    "hard-link": (Archive().all(TRAIN[2]).add(TRAIN[2], kind=tarfile.LNKTYPE, link=TRAIN[1]), TRAIN[2]),
    "sized-link": (Archive().all(TRAIN[2]).link(TRAIN[2], "/etc/passwd"), TRAIN[2]),
    "device": (Archive().all(TRAIN[0]).add(TRAIN[0], kind=tarfile.CHRTYPE), TRAIN[0]),
    "pipe": (Archive().all(TRAIN[0]).add(TRAIN[0], kind=tarfile.FIFOTYPE), TRAIN[0]),
    "folder": (Archive().all(TRAIN[0]).add(TRAIN[0], kind=tarfile.DIRTYPE), TRAIN[0]),
    "larger": (
        Archive().all(TRAIN[4]).add(TRAIN[4], bytes(SIZE + 1)),
        f"its {TRAIN[4]} must be a file of {SIZE:,} bytes",
    ),
    "smaller": (
        Archive().all(TRAIN[4]).add(TRAIN[4], bytes(SIZE - 1)),
        f"its {TRAIN[4]} must be a file of {SIZE:,} bytes",
    ),
    "twice": (Archive().all().add(f"elsewhere/{TRAIN[3]}", FILES[TRAIN[3]]), f"more than one {TRAIN[3]}"),
    "missing": (Archive().all(TRAIN[1]), f"no {TRAIN[1]}"),
    "nothing": (Archive(), "no data_batch_1.bin"),
    "python-version": (Archive().add("cifar-10-batches-py/data_batch_1", b"pickled"), "binary version"),
    "label-10": (Archive().all(TRAIN[0]).add(TRAIN[0], bytes([10]) * SIZE), "0 to 9"),
    "long-names": (Archive().all().add("x" * 2**17), "too much"),
    "too-much": (Archive().add("zeros", bytes(2**20)).all(), "too much"),
}
HOSTILE_CONTENT = {name: (archive.content(), words) for name, (archive, words) in HOSTILE.items()}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("compressed", [True, False])
def test_a_hostile_archive_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, compressed: bool
) -> None:
    content, words = HOSTILE_CONTENT[name]
    path = tmp_path / "a" / "cifar-10-binary.tar.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(content) if compressed else content)
    monkeypatch.chdir(path.parent)
    before = tree(tmp_path)
    for root in (path, path.parent):
        refused(root, str(path.parent), words)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("below", ["../../", "/", "a/../../../"])
def test_names_that_lead_elsewhere_are_names_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    path = tmp_path / "a" / "b" / "x.tar.gz"
    path.parent.mkdir(parents=True)
    archive = Archive().add("link", kind=tarfile.SYMTYPE, link=str(tmp_path)).add("link/evil", b"evil")
    path.write_bytes(gzip.compress(archive.add("../evil", b"evil").all(below=below).content()))
    monkeypatch.chdir(path.parent)
    before = tree(tmp_path)
    assert len(cifar10.load(str(path))) == 5 * COUNT
    assert tree(tmp_path) == before
    assert not any(Path("/", name).exists() for name in NAMES)


def test_headers_that_are_nested_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "_ROOM", 2**22)
    longer = tarfile.TarInfo("x")
    longer.type, longer.size = tarfile.GNUTYPE_LONGNAME, 2
    path = tmp_path / "nested.tar"
    path.write_bytes((longer.tobuf() + b"y\0".ljust(512, b"\0")) * 3000)
    refused(path, str(path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (honest()[:-300], "damaged gzip"),
        (honest()[:-8] + bytes(8), "damaged gzip"),
        (gzip.compress(gzip.decompress(honest())[: 4 * SIZE]), "unexpected end of data"),
        (b"<!DOCTYPE html><html><body>404: Not Found</body></html>" * 40, "not the whole archive"),
        (gzip.compress(b"<!DOCTYPE html>" * 100), "not the whole archive"),
        (b"", "not the whole archive"),
        (b"\x1f\x8b", "damaged gzip"),
        (gzip.compress(bytes(2**24)), "too much"),
    ],
    ids=["cut", "checksum", "cut-inside", "page", "compressed-page", "empty", "magic-alone", "zeros"],
)
def test_a_file_that_is_no_whole_archive_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(content)
    before = tree(tmp_path)
    refused(path, str(path), words)
    refused(tmp_path, str(path), words)
    assert tree(tmp_path) == before


def test_every_flipped_bit_of_an_archive_is_read_over_or_refused(tmp_path: Path) -> None:
    path, whole = tmp_path / "x.tar.gz", bytearray(honest())
    expected = cifar10.load(str(as_files(tmp_path))).samples
    for place in range(0, len(whole), 997):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            read = cifar10.load(str(path)).samples
        except Refused:
            continue
        assert torch.equal(read, expected)  # a bit that means nothing: of the time, say


@pytest.mark.parametrize("content", [bytes(SIZE - 1), bytes(SIZE + 1), b"", bytes([255]) * SIZE])
def test_an_unpacked_file_of_another_form_is_named(tmp_path: Path, content: bytes) -> None:
    (as_files(tmp_path) / TRAIN[1]).write_bytes(content)
    refused(tmp_path, f"{TRAIN[1]} of {tmp_path}")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", f"there is no {tmp_path / 'nowhere'}")
    refused(tmp_path, f"{tmp_path} holds neither")
    (as_files(tmp_path) / TRAIN[4]).unlink()
    refused(tmp_path, TRAIN[4])
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "pipe")  # at once, and not when somebody writes into it


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: Path) -> bytearray:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(cifar10, "_start", failing)
    refused(as_files(tmp_path), f"cannot read {tmp_path / TRAIN[0]}: Permission denied")


# Fetching and training.


def test_without_a_root_the_archive_is_fetched_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(cifar10, "fetch", lambda *to: asked.append(to) or as_archive(tmp_path))
    assert len(cifar10.load()) == 5 * COUNT
    ((url, known_hash, instead),) = asked
    assert url == "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    assert known_hash == "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
    assert "data.root=PATH" in instead


def test_without_a_network_the_user_learns_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_CLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    monkeypatch.setattr(cifar10, "URL", f"http://127.0.0.1:{port}/cifar-10-binary.tar.gz")
    with pytest.raises(Refused) as refusal:
        cifar10.load()
    first, *more = str(refusal.value).splitlines()
    assert first.startswith(f"cannot fetch cifar-10-binary.tar.gz from 127.0.0.1:{port} (")
    assert len(more) == 2
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz" in more[0]
    assert more[1].endswith("data.root=PATH")


NARROW = ("model.generator.widths=[8]", "model.discriminator.widths=[8]")
DCGAN = (
    *("model=dcgan", "model.generator.hidden=8", "model.generator.widths=[4,4]"),
    *("model.discriminator.hidden=8", "model.discriminator.widths=[2,4]"),
)


@pytest.mark.parametrize(
    ("model", "side"),
    [(("model=mlp", *NARROW), 32), (DCGAN, 28), ((*DCGAN, "model.resolution=32"), 32)],
    ids=["mlp", "dcgan", "dcgan-32"],
)
def test_networks_of_any_resolution_learn_from_the_archive(
    compose: Callable[..., Config], tmp_path: Path, model: tuple[str, ...], side: int
) -> None:
    data = ("data=cifar10", f"data.root={as_archive(tmp_path)}", "train.batch_size=4")
    run = build(compose(*data, *model), RunDirectory(tmp_path))
    assert run.facts["sample_shape"] == [3, side, side]
    before = [p.detach().clone() for p in run.game.networks["generator"].parameters()]
    run.advance()
    run.meter.check()
    assert not all(map(torch.equal, before, run.game.networks["generator"].parameters()))


def test_the_command_refuses_another_archive_in_three_lines(cli: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "other.tar.gz").write_bytes(b"<html>")
    result = cli("data=cifar10", "data.root=other.tar.gz")
    assert (result.code, len(result.err.splitlines())) == (2, 3)
    assert result.err.startswith("gan-train: other.tar.gz is not the whole archive")
    assert [path.name for path in tmp_path.iterdir()] == ["other.tar.gz"]


def test_the_home_of_an_unknown_user_is_a_path_that_there_is_not():
    with pytest.raises(Refused, match=r"there is no ~nobody of that name/x"):
        cifar10.load("~nobody of that name/x")
