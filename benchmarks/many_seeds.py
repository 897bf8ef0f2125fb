"""How much cheaper are many runs as one program? Measured beside one run alone, in the same process.

    OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/many_seeds.py
    python benchmarks/many_seeds.py --rounds 9 --steps 20 --counts 32

All take turns, and a figure is the median over rounds; the ratio is the time of so many runs one after the other over
that of the program, and in brackets its lowest and highest.
"""

import argparse
import gc
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from step import built, seconds

from gan_cli.build import build
from gan_cli.parse import parse_stored
from gan_cli.together.program import Together

SMALL = ["data=gaussian2d", "latent.dim=8", "model.generator.widths=[64,64]", "model.discriminator.widths=[64,64]"]
ROWS = {
    "D2L's 2-D Gaussian, batch 8": ["experiment=d2l_gaussian"],
    "widths 16, batch 32": [
        *SMALL,
        *(f"model.{name}.widths=[16,16]" for name in ("generator", "discriminator")),
        "train.batch_size=32",
    ],
    "widths 64, batch 128": SMALL,
    "widths 64, batch 128, R1": [*SMALL, "penalty=r1"],
    "defaults on a 2-D Gaussian": ["data=gaussian2d"],
}


def measure(overrides: list[str], counts: list[int], rounds: int, steps: int) -> None:
    """Print a line for each count."""
    with tempfile.TemporaryDirectory() as directory:
        alone = built(overrides, Path(directory))
        config = parse_stored(alone.config)
        programs = {
            count: Together([build(replace(config, seed=seed), alone.directory) for seed in range(count)])
            for count in counts
        }
        gc.collect()
        gc.freeze()  # so many runs in one process are objects to be collected, which a run alone would not meet
        times: dict[int, list[float]] = {count: [] for count in (1, *counts)}
        for number in range(rounds + 1):
            taken = {1: seconds(alone.advance, steps)} | {
                count: seconds(program.advance, steps) for count, program in programs.items()
            }
            if number:  # the first warms up
                for count, found in taken.items():
                    times[count].append(1000 * found / steps)
    gc.unfreeze()
    one = statistics.median(times[1])
    print(f"{'1':>6}{one:12.2f}{one:12.3f}")
    for count in counts:
        together = statistics.median(times[count])
        ratios = [count * single / several for single, several in zip(times[1], times[count], strict=True)]
        spread = f"({min(ratios):.1f} to {max(ratios):.1f})"
        print(f"{count:6}{together:12.2f}{together / count:12.3f}{statistics.median(ratios):8.1f}  {spread}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--counts", type=int, nargs="+", default=[8, 32, 128])
    parser.add_argument("--rows", type=int, default=len(ROWS), help="the first so many rows")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{'runs':>6}{'ms a step':>12}{'and run':>12}{'ratio':>8}")
    for name, overrides in list(ROWS.items())[: options.rows]:
        print(name)
        measure(overrides, options.counts, options.rounds, options.steps)


if __name__ == "__main__":
    main()
