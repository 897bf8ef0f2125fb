"""How long `data=folder` takes until the first step: a first start, which decodes the pictures, and later ones.

    python benchmarks/folder_cache.py                     10,000 JPEGs of 200 × 150 pixels, made for the occasion
    python benchmarks/folder_cache.py --pictures 2000 --later 5

Each start is a process of its own, so that nothing is left of the one before but the cache. It is timed from when torch
is imported and the configuration composed, which take as long whatever the data.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image, ImageDraw

from gan_cli.build import build, load_data
from gan_cli.conf_dir import CONF_DIR
from gan_cli.parse import parse, split
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config


def draw(directory: Path, count: int) -> None:
    """Pictures of an ellipse on a gradient, each different."""
    directory.mkdir()
    for number in range(count):
        picture = Image.linear_gradient("L").resize((200, 150)).convert("RGB")
        left, top = number % 100, number // 100 % 75
        ImageDraw.Draw(picture).ellipse((left, top, left + 80, top + 60), (number % 256, number // 256 % 256, 128))
        picture.save(directory / f"{number:06d}.jpg")


def configured(place: Path) -> Config:
    OmegaConf.register_new_resolver("new_run_dir", lambda parent: parent, replace=True)
    overrides = ["model=dcgan64", "data=folder", f"data.root={place / 'pictures'}", "train.batch_size=16"]
    with initialize_config_dir(config_dir=CONF_DIR, version_base="1.3"):
        return parse(split(compose("train", overrides=overrides))[1])


def until_data(place: Path) -> float:
    """Seconds until the pictures are there, and all of them have been looked at."""
    config, started = configured(place), time.perf_counter()
    load_data(config).digest()
    return time.perf_counter() - started


def until_step(place: Path) -> float:
    """Seconds until a run has taken its first step."""
    config, started = configured(place), time.perf_counter()
    run = build(config, RunDirectory(place / "run"))
    run.advance()
    run.meter.check()
    return time.perf_counter() - started


def afresh(task: Callable[[Path], float], place: Path) -> float:
    """What a task tells in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(task, place).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--later", type=int, default=3, help="later starts, of which the median is told")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place, cache = Path(directory), Path(directory, "cache")
        os.environ["GAN_CLI_CACHE"] = str(cache)
        draw(place / "pictures", asked.pictures)
        print(f"{f'{asked.pictures:,} pictures':26}{'first':>10}{'later':>10}{'ratio':>8}")
        for name, task in (("until the data are there", until_data), ("until the first step", until_step)):
            shutil.rmtree(cache, ignore_errors=True)
            first = afresh(task, place)
            later = statistics.median(afresh(task, place) for _ in range(asked.later))
            print(f"{name:26}{first:8.2f} s{later:8.2f} s{first / later:8.1f}")


if __name__ == "__main__":
    main()
