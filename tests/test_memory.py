"""What a run says of its memory, and where there is not enough."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result
from picture_files import make_good

from gan_cli import memory
from gan_cli.build import build
from gan_cli.data.batches import Batches
from gan_cli.data.dataset import Dataset
from gan_cli.errors import Refused, RunFailed
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config
from gan_cli.streams import Streams

CPU_LACK = (
    "[enforce fail at alloc_cpu.cpp:128] data. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 2097152 bytes. Error code 12 (Cannot allocate memory)"
)
CUDA_LACK = "CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has a total capacity of 79.1 GiB"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError(CPU_LACK), r"out of memory \(2 MB more were asked for\): less"),
        (torch.OutOfMemoryError(CUDA_LACK), r"out of memory \(1,536 MB more were asked for\): less"),
        (MemoryError(), "out of memory: less"),
    ],
)
def test_a_lack_of_memory_is_one_sentence_with_what_to_type(error: Exception, told: str) -> None:
    with pytest.raises(RunFailed, match=f"^{told}$"), memory.enough(RunFailed, "less"):
        raise error


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory.enough(Refused, "less"):
        raise RuntimeError("shapes differ")


@pytest.mark.parametrize(
    ("batch", "packing", "group", "half"),
    [
        *((128, 1, 1, 64), (7, 1, 1, 3), (12, 4, 1, 4), (1, 1, 1, None), (4, 4, 1, None)),
        *((24, 1, 4, 12), (12, 1, 4, 4), (24, 2, 4, 8), (4, 1, 4, 2), (12, 2, 4, 6)),
    ],
)
def test_half_a_batch_is_in_whole_packs_and_groups(batch: int, packing: int, group: int, half: int | None) -> None:
    assert memory.smaller_batch(batch, packing, group) == half


def test_data_that_would_crowd_out_training_stay_where_they_are() -> None:
    assert memory.fits_beside_training(40, free=100)
    assert not memory.fits_beside_training(41, free=100)


def test_batches_come_to_the_device_of_the_draws(streams: Streams) -> None:
    meta = Streams(0, torch.device("meta"))
    data = Dataset(torch.zeros(8, 1, 2, 2, dtype=torch.uint8), torch.zeros(8, dtype=torch.int64))
    batch = Batches(data, 4, meta, shuffle=False, drop_last=True)(0)
    assert batch.samples.device.type == "meta"
    assert batch.labels is not None
    assert batch.labels.device.type == "meta"


def test_a_run_prints_what_lies_in_memory_and_notes_the_peak(cli: Callable[..., Result]) -> None:
    assert cli(*TINY, "hydra.run.dir=run").code == 0
    log = Path("run/train.log").read_text()
    # Adam keeps two numbers and a count of steps for each weight and each tensor.
    assert "in memory: weights 0.0 MB, gradients 0.0 MB, optimizers 0.0 MB, data 0.0 MB" in log
    peak = json.loads(Path("run/summary.json").read_text())["peak_memory_mb"]
    assert peak > 10
    assert f"peak memory {peak:,} MB on cpu (of the whole process)" in log


def test_data_that_are_mapped_are_said_to_be(compose: Callable[..., Config], tmp_path: Path) -> None:
    make_good(tmp_path / "pictures", 20)
    pictures = ["model=dcgan64", "data=folder", f"data.root={tmp_path / 'pictures'}", "train.batch_size=4"]
    narrow = ["model.generator.widths=[4,4,4,4]", "model.discriminator.widths=[4,4,4,4]", "train.evaluate_every=0"]
    run = build(compose(*pictures, *narrow), RunDirectory(tmp_path))
    assert run.description()[2].endswith(
        "data 0.2 MB, mapped from a file: read as needed, dropped when memory is short"
    )


@pytest.mark.parametrize(("method", "key"), [("select", "num_images=1000"), ("evaluate", "final_images=5000")])
def test_where_measuring_lacks_memory_its_own_key_is_told(
    cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, method: str, key: str
) -> None:
    def lacking(_: object) -> None:
        raise torch.OutOfMemoryError(CUDA_LACK)

    monkeypatch.setattr(Run, method, lacking)
    result = cli(*TINY, "train.evaluate_every=6", "hydra.run.dir=run")
    assert result.code == 1
    assert f"gan-train: out of memory (1,536 MB more were asked for): evaluate.{key} measures fewer" in result.err
    assert "batch_size" not in result.err
    assert json.loads(Path("run/status.json").read_text())["state"] == "failed"


def test_where_building_lacks_memory_the_run_is_refused_and_leaves_nothing(
    cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*_: object) -> None:
        raise RuntimeError(CPU_LACK)

    monkeypatch.setattr("gan_cli.build.build_generator", lacking)
    result = cli(*TINY, "hydra.run.dir=run")
    assert result.code == 2
    assert "out of memory (2 MB more were asked for): the networks or the data are too large" in result.err
    assert not Path("run").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit on address space")
def test_a_batch_that_does_not_fit_ends_the_run_with_the_batch_to_try(tmp_path: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (12 * 10**9, 12 * 10**9))

    large = ["train.batch_size=60000", "model.generator.widths=[8,65536]"]  # 16 GB for one layer's activations
    spare = ["train.evaluate_every=0", "train.checkpoint_every=0", "device.threads=1", "hydra.run.dir=run"]
    process = subprocess.run(
        [sys.executable, "-c", "from gan_cli.commands.train import train; train()", *large, *spare],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        preexec_fn=limited,
        env=os.environ,
    )
    assert process.returncode == 1
    assert process.stderr.startswith("gan-train: out of memory (15,000 MB more were asked for): train.batch_size=30000")
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "failed"
