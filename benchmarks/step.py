"""How fast is our training step? Measured beside loops written the way notebooks write them, in turns.

    python benchmarks/step.py                      all rows
    python benchmarks/step.py --rounds 9 --only Gaussian

The two take turns, and the figure is the median over rounds of the ratio of their times: this holds still where the
speed of a shared machine does not. The plain loop has a process of its own, so that it runs as it does without gan-cli.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import notebooks
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from table import Row, machine, table
from torch.utils.flop_counter import FlopCounterMode
from torchvision.io import write_png

from gan_cli.build import build
from gan_cli.commands.conduct import conduct
from gan_cli.conf_dir import CONF_DIR
from gan_cli.parse import parse, split
from gan_cli.run import Run
from gan_cli.run_directory import RunDirectory

_PROGRAM_STEPS = 1000


@dataclass(frozen=True)
class Work:
    """A preset and the loop of its text.

    Attributes:
        steps: in a turn.
        aims: the ratio aimed at in float32, and in bfloat16 where that is worth a row.
    """

    name: str
    overrides: list[str]
    plain: Callable[[], notebooks.Step]
    steps: int
    aims: tuple[float, float | None]


def works(directory: Path) -> list[Work]:
    """What is measured; needs a directory for the files that the loops read."""
    pictures = torch.randint(0, 256, (256, 3, 64, 64), dtype=torch.uint8)
    (directory / "pictures").mkdir(exist_ok=True)
    for number, picture in enumerate(pictures):
        write_png(picture, str(directory / "pictures" / f"{number}.png"))
    images = pictures.float() / 127.5 - 1
    folder = ["data=folder", f"data.root={directory / 'pictures'}", "train.batch_size=64"]
    return [
        Work(
            "CS231n MLP GAN, MNIST, batch 128",
            ["experiment=cs231n_gan"],
            lambda: notebooks.cs231n(False, directory),
            20,
            (2.0, 3.5),
        ),
        Work(
            "CS231n DCGAN, MNIST, batch 128",
            ["experiment=cs231n_dcgan"],
            lambda: notebooks.cs231n(True, directory),
            4,
            (1.5, 2.8),
        ),
        Work(
            "D2L DCGAN 64×64, batch 64",
            ["experiment=d2l_pokemon", *folder],
            lambda: notebooks.d2l_dcgan(images, 64),
            1,
            (1.2, 2.0),
        ),
        Work(
            "D2L Gaussian, batch 8",
            ["experiment=d2l_gaussian"],
            lambda: notebooks.d2l_gaussian(torch.randn(1000, 2)),
            200,
            (1.8, None),
        ),
    ]


def built(overrides: list[str], directory: Path) -> Run:
    """A run as `gan-train` would build it."""
    OmegaConf.register_new_resolver("new_run_dir", lambda parent: parent, replace=True)
    with initialize_config_dir(config_dir=CONF_DIR, version_base="1.3"):
        return build(parse(split(compose("train", overrides=overrides))[1]), RunDirectory(directory))


def seconds(step: Callable[[], object], steps: int) -> float:
    """Wall-clock seconds of that many steps."""
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return time.perf_counter() - start


def _plain(number: int, directory: str, asked: Connection) -> None:
    """In a process of its own: so many steps of a plain loop whenever it is asked, and how long they took."""
    step = works(Path(directory))[number].plain()
    while (steps := asked.recv()) > 0:
        asked.send(seconds(step, steps))


@contextmanager
def apart(number: int, directory: Path) -> Iterator[Callable[[int], float]]:
    """The seconds that so many steps of a plain loop take, in a process that knows nothing of gan-cli's settings."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_plain, args=(number, str(directory), theirs), daemon=True)
    process.start()

    def measured(steps: int) -> float:
        ours.send(steps)
        return float(ours.recv())

    try:
        yield measured
    finally:
        ours.send(0)
        process.join()


def matrix_rate(dtype: torch.dtype) -> float:
    """What the machine makes of products of 2048×2048 matrices now, in operations a second; the best of many."""
    one, two = (torch.randn(2048, 2048).to(dtype) for _ in range(2))
    return 2 * 2048**3 / min(seconds(lambda: one @ two, 1) for _ in range(15))


def operations(overrides: list[str]) -> int:
    """Floating-point operations of the products and convolutions of one step."""
    with tempfile.TemporaryDirectory() as directory, FlopCounterMode(display=False) as counter:
        built([*overrides, "device.compile=none"], Path(directory)).advance()
    return counter.get_total_flops()


def measure(
    work: Work, plain: Callable[[int], float], overrides: list[str], rounds: int, aim: float | None, dtype: torch.dtype
) -> Row:
    """A row: the plain loop and ours in turns."""
    with tempfile.TemporaryDirectory() as directory:
        run = built([*work.overrides, *overrides], Path(directory))
        plain(6)
        seconds(run.advance, 6)  # long enough to be recorded
        times = []
        for _ in range(rounds):
            taken = plain(work.steps), seconds(run.advance, work.steps)
            times.append(tuple(1000 * each / work.steps for each in taken))
    flops, rate = operations(work.overrides), matrix_rate(dtype)

    def note(ours: float) -> str:
        speed = run.train.batch_size / ours * 1000
        return f"{speed:,.0f} samples/s, {flops / ours / 1e6:,.0f} of {rate / 1e9:,.0f} GFLOP/s"

    kind = "bf16" if dtype == torch.bfloat16 else "fp32"
    return Row.of(f"{work.name}, {kind}", "ms a step", times, aim, note)


def whole_program(rounds: int) -> Row:
    """The bare step beside a run with all that a user gets but evaluation: logs, grids, checkpoints, a progress bar."""
    overrides = ["experiment=cs231n_gan", f"train.steps={_PROGRAM_STEPS}", "train.evaluate_every=0"]
    times = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as directory:
            bare, whole = (built(overrides, Path(directory) / name) for name in ("bare", "whole"))
            whole.directory.path.mkdir()
            taken = seconds(bare.advance, _PROGRAM_STEPS), seconds(partial(conduct, whole), 1)
            times.append(tuple(1000 * each / _PROGRAM_STEPS for each in taken))
    return Row.of("the whole program beside its bare step", "ms a step", times, 0.95, lambda ours: "CS231n MLP GAN")


def rows(rounds: int, only: str = "") -> Iterator[Row]:
    """All rows whose name holds a text; those in bfloat16 where the processor has instructions for it."""
    quick = any(has for name, has in torch.cpu.get_capabilities().items() if "bf16" in name)
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        for number, work in enumerate(works(place)):
            if only not in work.name:
                continue
            with apart(number, place) as plain:
                in_float, in_bfloat = work.aims
                yield measure(work, plain, [], rounds, in_float, torch.float32)
                if quick and in_bfloat is not None:
                    yield measure(work, plain, ["device.precision=bf16"], rounds, in_bfloat, torch.bfloat16)
    if only in "whole program":
        yield whole_program(max(2, rounds // 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print(machine())
    print(table("A training step", rows(options.rounds, options.only)))


if __name__ == "__main__":
    main()
