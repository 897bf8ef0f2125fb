"""Decoded pictures that are larger than memory are read as they are asked for."""

import gc
import os
import re
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from picture_files import noise

from gan_cli.data import decoded, folder, picture_cache
from gan_cli.data.batches import Batches
from gan_cli.data.dataset import Dataset
from gan_cli.streams import Streams

COUNT, RESOLUTION = 400, 256
SIZE = COUNT * 3 * RESOLUTION**2

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads what Linux tells of a process")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures of 75 MB when decoded, on little disk."""
    monkeypatch.setenv("GAN_CLI_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "root"
    path.mkdir()
    noise(0, (16, 16)).save(path / "0.png")
    for number in range(1, COUNT):
        os.link(path / "0.png", path / f"{number}.png")
    return path


def own_memory() -> int:
    """Bytes in memory that belong to this process alone: pages of mapped files do not."""
    gc.collect()
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def growth(task: Callable[[], object]) -> int:
    before = own_memory()
    held = task()
    after = own_memory()
    del held
    return after - before


def passed_over(data: Dataset, resolution: int = RESOLUTION) -> Dataset:
    """The data, after all that a run does to them."""
    ours = data.first(COUNT - 1).resized(resolution).to(torch.device("cpu"))
    ours.digest()
    batches = Batches(ours, 4, Streams(0, torch.device("cpu")), shuffle=True, drop_last=True)
    for number in range(batches.per_epoch):
        batches(number)
    assert ours.mapped
    return ours


def grown(root: str) -> tuple[int, int, int]:
    """What a first start, a later one, and a copy in memory take."""
    torch.set_num_threads(1)
    passed_over(folder.load(root, resolution=32), 32)  # what is imported, and set aside for good
    first = growth(lambda: passed_over(folder.load(root, resolution=RESOLUTION)))
    later = growth(lambda: passed_over(folder.load(root, resolution=RESOLUTION)))
    samples = folder.load(root, resolution=RESOLUTION).samples
    return first, later, growth(samples.clone)


@pytest.mark.slow
@linux
def test_neither_decoding_nor_an_epoch_takes_memory_for_the_data(root: Path) -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as process:  # what others have freed here would be taken first
        first, later, copied = process.submit(grown, str(root)).result()
    assert first < SIZE / 3
    assert later < SIZE / 3
    assert copied > SIZE / 2  # the measure sees what is held in memory


@linux
def test_a_file_larger_than_all_memory_can_be_mapped(tmp_path: Path) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with open(tmp_path / "sparse", "w+b") as file:
        file.truncate(4 * memory)
        mapped = picture_cache.private(file.fileno())
        mapped[-1] = 7  # lands in the process's own copy of a page
        assert len(mapped) == 4 * memory
        file.seek(-1, os.SEEK_END)
        assert file.read() == b"\0"


@linux
def test_a_map_that_the_system_refuses_is_a_lack_of_memory_and_no_damage(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.load(str(root), resolution=4)

    def refusing(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(picture_cache.mmap, "mmap", refusing)
    monkeypatch.setattr(decoded, "_decode_into", lambda *_: pytest.fail("decoded anew"))
    with pytest.raises(MemoryError, match="bytes cannot be mapped"):
        folder.load(str(root), resolution=4)


def test_data_know_whether_they_are_mapped(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = folder.load(str(root), resolution=4)
    assert data.mapped
    assert data.first(2).mapped
    assert not data.resized(5).mapped
    assert not data.to(torch.device("meta")).mapped
    monkeypatch.setattr(decoded.shutil, "disk_usage", lambda _: decoded.shutil._ntuple_diskusage(1, 1, 0))
    assert not folder.load(str(root), resolution=6).mapped
