"""Does a folder of pictures that is mapped into memory train as fast as one that lies in it, and what does it take?

    python benchmarks/large_data.py                   1 GB of decoded pictures, made for the occasion
    python benchmarks/large_data.py --gigabytes 3 --rounds 9

The peer is the same run whose pictures were copied into memory; the two take turns. All pages are cached by then: each
has been written and read. Own memory is what belongs to the process alone (RssAnon); pages of a mapped file do not.
"""

import argparse
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image, ImageDraw
from table import Row, machine, table

from gan_cli.build import build
from gan_cli.conf_dir import CONF_DIR
from gan_cli.data.batches import Batches
from gan_cli.parse import parse, split
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config
from gan_cli.streams import Streams

_PICTURE = 3 * 64 * 64  # bytes, decoded
_DISTINCT = 512
_NARROW = ("model.generator.widths=[32,16,8,4]", "model.discriminator.widths=[4,8,16,32]")  # what data cost shows most
_STEPS, _BATCHES, _BATCH_SIZE = 20, 500, 64


def drawn(directory: Path, count: int) -> None:
    """Pictures of an ellipse on a gradient; most of the files are links to others, and all are decoded."""
    directory.mkdir()
    for number in range(count):
        path = directory / f"{number:07d}.png"
        if number >= _DISTINCT:
            os.link(directory / f"{number % _DISTINCT:07d}.png", path)
            continue
        picture = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
        ImageDraw.Draw(picture).ellipse((number % 32, 4, number % 32 + 30, 60), (number % 256, number // 2, 128))
        picture.save(path)


def configured(place: Path) -> Config:
    OmegaConf.register_new_resolver("new_run_dir", lambda parent: parent, replace=True)
    data = (
        "data=folder",
        f"data.root={place / 'pictures'}",
        f"train.batch_size={_BATCH_SIZE}",
        "train.evaluate_every=0",
    )
    with initialize_config_dir(config_dir=CONF_DIR, version_base="1.3"):
        return parse(split(compose("train", overrides=["model=dcgan64", *_NARROW, *data]))[1])


def own_memory() -> float:
    """MB that belong to this process alone."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None, "Linux tells it"
    return int(found[1]) / 1024


def milliseconds(task: Callable[[int], object], count: int, start: int) -> float:
    """What a task of a running number takes, the mean of `count` of them."""
    began = time.perf_counter()
    for number in range(start, start + count):
        task(number)
    return (time.perf_counter() - began) / count * 1000


def rows(mapped: Run, held: Run, batches: tuple[Batches, Batches], rounds: int) -> Iterator[Row]:
    """A batch alone, and a step with it; the first round warms up."""
    ours, peer = batches
    pairs = [
        (milliseconds(peer, _BATCHES, number * _BATCHES), milliseconds(ours, _BATCHES, number * _BATCHES))
        for number in range(rounds + 1)
    ]
    yield Row.of(f"a batch of {_BATCH_SIZE}, 64×64", "ms", pairs[1:], 0.9)
    pairs = [
        (milliseconds(lambda _: held.advance(), _STEPS, 0), milliseconds(lambda _: mapped.advance(), _STEPS, 0))
        for _ in range(rounds + 1)
    ]
    yield Row.of("a step of narrow networks", "ms", pairs[1:], 0.9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="of decoded pictures")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        os.environ["GAN_CLI_CACHE"] = str(place / "cache")
        drawn(place / "pictures", int(options.gigabytes * 1e9 / _PICTURE))
        config = configured(place)
        config = replace(config, device=replace(config.device, threads=options.threads))
        build(replace(config, data=replace(config.data, limit=_BATCH_SIZE)), RunDirectory(place / "small")).advance()
        before = own_memory()  # with all that is imported, and decoding behind it
        began = time.perf_counter()
        mapped = build(config, RunDirectory(place / "mapped"))
        mapped.advance()
        started = time.perf_counter() - began
        data = mapped.preview.datasets[0]
        streams = Streams(0, torch.device("cpu"))
        ours = Batches(data, _BATCH_SIZE, streams, shuffle=True, drop_last=True)
        for number in range(ours.per_epoch):
            ours(number)
        grown, size = own_memory() - before, data.samples.numel() / 2**20
        assert data.mapped
        held_data = replace(data, samples=data.samples.clone(), mapped=False)
        held = build(config, RunDirectory(place / "held"))
        held.game.batches._batches.dataset = held_data  # type: ignore[attr-defined]
        peer = Batches(held_data, _BATCH_SIZE, streams, shuffle=True, drop_last=True)
        told = table("Pictures mapped into memory", rows(mapped, held, (ours, peer), options.rounds))
        print(machine())
        print(told)
        print(f"{len(data):,} pictures, {size:,.0f} MB; a later start until the first step {started:.1f} s; own memory")
        print(f"grew by {grown:,.0f} MB from a run of {_BATCH_SIZE} pictures to after an epoch of all of them")


if __name__ == "__main__":
    main()
