"""Fashion-MNIST: which files are read from where, what they must hold, and what a user without them is told."""

import gzip
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Result, write_idx
from torch import Tensor

from gan_cli.data import fashion_mnist, mnist
from gan_cli.errors import Refused

Files = tuple[Path, Path]

IMAGES = torch.arange(12 * 28 * 28).remainder(251).to(torch.uint8).reshape(12, 28, 28)
LABELS = torch.tensor([9, 0, 0, 3, 0, 2, 7, 2, 5, 5, 8, 1], dtype=torch.uint8)


def write(folder: Path, prefix: str = "train", images: Tensor = IMAGES, labels: Tensor = LABELS) -> Files:
    folder.mkdir(parents=True, exist_ok=True)
    paths = (folder / f"{prefix}-images-idx3-ubyte.gz", folder / f"{prefix}-labels-idx1-ubyte.gz")
    for path, array in zip(paths, (images, labels), strict=True):
        write_idx(path, array)
    return paths


def unpacked(path: Path) -> None:
    """As torchvision leaves a file: decompressed, beside the compressed one."""
    path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))


def refused(root: Path, *words: str) -> None:
    with pytest.raises(Refused) as refusal:
        fashion_mnist.load(str(root))
    assert len(str(refusal.value).splitlines()) <= 3
    for word in (*words, "data.root"):
        assert word in str(refusal.value)


def test_images_and_labels_are_those_of_the_files(tmp_path: Path) -> None:
    write(tmp_path)
    data = fashion_mnist.load(str(tmp_path))
    assert torch.equal(data.samples, IMAGES[:, None])
    assert data.labels is not None
    assert data.labels.dtype == torch.int64
    assert data.labels.tolist() == LABELS.tolist()
    assert [data.classes[label] for label in data.labels[:4]] == ["Ankle boot", "T-shirt/top", "T-shirt/top", "Dress"]
    assert len(set(data.classes)) == 10
    assert data.judges.select == data.judges.report == "random_v1"  # none that was trained on digits


def test_each_split_has_its_own_files(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "t10k", IMAGES[:5], LABELS[:5])
    assert [len(fashion_mnist.load(str(tmp_path), split)) for split in ("train", "test")] == [12, 5]


@pytest.mark.parametrize("below", ["", "FashionMNIST/raw", "raw", "fashion", "data/fashion"])
@pytest.mark.parametrize("form", ["compressed", "unpacked", "both"])
def test_files_are_found_where_others_leave_them(tmp_path: Path, below: str, form: str) -> None:
    for path in write(tmp_path / below):
        if form != "compressed":
            unpacked(path)
        if form == "unpacked":
            path.unlink()
    assert torch.equal(fashion_mnist.load(str(tmp_path)).samples, IMAGES[:, None])


def test_images_and_labels_come_from_the_same_folder(tmp_path: Path) -> None:
    write(tmp_path / "raw")
    _, labels = write(tmp_path, images=IMAGES.flip(0))
    labels.unlink()
    assert torch.equal(fashion_mnist.load(str(tmp_path)).samples, IMAGES[:, None])


def test_a_home_directory_may_be_written_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "clothes")
    assert len(fashion_mnist.load("~/clothes")) == 12


# What is refused.


@pytest.mark.parametrize("missing", [0, 1])
def test_a_missing_file_is_named(tmp_path: Path, missing: int) -> None:
    path = write(tmp_path)[missing]
    path.unlink()
    refused(tmp_path, str(tmp_path), path.name)


def test_what_is_no_folder_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", str(tmp_path / "nowhere"))
    images, _ = write(tmp_path)
    refused(images, images.name)


@pytest.mark.parametrize("damaged", [0, 1])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-20],
        lambda content: content[:-8] + bytes(8),
        lambda content: content[:15] + bytes([content[15] ^ 255]) + content[16:],
        lambda _: b"",
        lambda _: b"<!DOCTYPE html><html><body>404: Not Found</body></html>",
        lambda _: gzip.compress(b"<!DOCTYPE html>"),
    ],
    ids=["cut", "checksum", "flipped", "empty", "page", "compressed-page"],
)
def test_a_damaged_file_is_named(tmp_path: Path, damaged: int, damage: Callable[[bytes], bytes]) -> None:
    path = write(tmp_path)[damaged]
    path.write_bytes(damage(path.read_bytes()))
    refused(tmp_path, str(path))


@pytest.mark.parametrize(
    ("images", "labels", "named", "words"),
    [
        (IMAGES[:, :27], LABELS, 0, "(12, 27, 28)"),
        (IMAGES.flatten(1), LABELS, 0, "(12, 784)"),
        (IMAGES[:0], LABELS[:0], 0, "(0, 28, 28)"),
        (IMAGES, LABELS[:11], 1, "12 images"),
        (IMAGES, LABELS[:, None], 1, "(12, 1)"),
        (IMAGES, LABELS + 1, 1, "one is 10"),
    ],
    ids=["height", "flat", "none", "fewer-labels", "label-columns", "label-10"],
)
def test_files_of_another_form_are_named_with_what_they_hold(
    tmp_path: Path, images: Tensor, labels: Tensor, named: int, words: str
) -> None:
    refused(tmp_path, str(write(tmp_path, images=images, labels=labels)[named]), words)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: Path) -> Tensor:
        raise PermissionError(13, "Permission denied", str(path))

    images, _ = write(tmp_path)
    monkeypatch.setattr(fashion_mnist, "read_idx", failing)
    refused(tmp_path, f"cannot read {images}: Permission denied")


def test_digits_are_not_taken_for_clothes(tmp_path: Path) -> None:
    # MNIST's files have the same names and the same form.
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        shutil.copy(mnist.FILES / name, tmp_path / name)
    with pytest.raises(Refused, match=r"t10k-labels-idx1-ubyte\.gz holds the labels of MNIST's digits"):
        fashion_mnist.load(str(tmp_path), "test")


# Fetching.


@pytest.mark.parametrize(("split", "prefix"), [("train", "train"), ("test", "t10k")])
def test_without_a_root_the_published_files_are_fetched_by_their_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str, prefix: str
) -> None:
    asked: list[tuple[str, ...]] = []
    write(tmp_path, prefix)
    monkeypatch.setattr(fashion_mnist, "fetch", lambda *to: asked.append(to) or tmp_path / to[0].rsplit("/")[-1])
    assert len(fashion_mnist.load(split=split)) == 12
    for url, known_hash, instead, folder in asked:
        assert url.startswith("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/")
        assert known_hash == f"sha256:{fashion_mnist.SHA256[url.rsplit('/', 1)[-1]]}"
        assert "data.root=PATH" in instead
        assert folder == "fashion_mnist"  # MNIST's files have the same names
    names = [url.rsplit("/", 1)[-1] for url, *_ in asked]
    assert names == [f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz"]


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a port at which nobody answers."""
    monkeypatch.setenv("GAN_CLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    return f"127.0.0.1:{port}"


def test_without_a_network_the_user_learns_how_to_go_on(offline: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_mnist, "URL", f"http://{offline}/")
    with pytest.raises(Refused) as refusal:
        fashion_mnist.load()
    first, *more = str(refusal.value).splitlines()
    assert first.startswith(f"cannot fetch train-images-idx3-ubyte.gz from {offline} (")
    assert len(more) == 2
    assert "zalandoresearch/fashion-mnist" in more[0]
    assert more[1].endswith("data.root=PATH")


# Training.


def test_the_course_dcgan_learns_clothes(cli: Callable[..., Result], tmp_path: Path) -> None:
    write(tmp_path / "fashion")
    narrow = ("model.generator.hidden=8", "model.generator.widths=[4,4]", "model.discriminator.hidden=8")
    run = ("model=dcgan", "data=fashion_mnist", f"data.root={tmp_path}", *narrow, "train.steps=2", "train.batch_size=4")
    assert cli(*run, "model.discriminator.widths=[2,4]", "hydra.run.dir=run").code == 0
    assert (tmp_path / "run/checkpoints/last.safetensors").exists()
    result = cli(*run[:2], f"data.root={tmp_path / 'nowhere'}")
    assert (result.code, "nowhere" in result.err) == (2, True)


def test_the_home_of_an_unknown_user_is_a_folder_that_there_is_not():
    with pytest.raises(Refused, match=r"there is no folder ~nobody of that name/x"):
        fashion_mnist.load("~nobody of that name/x")
