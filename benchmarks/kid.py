"""KID × 1000 of generators of MNIST: 10,000 samples against the 10,000 test images.

    python benchmarks/kid.py outputs/DATE/TIME outputs/DATE/TIME/checkpoints/step_00000900.safetensors

In the features of `mnist_report_v1`, of all pairs, so that only the samples' seed is left to chance. Real training
images score 1 against the test images.
"""

import argparse
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from gan_cli import checkpoint, images
from gan_cli.data import mnist
from gan_cli.extractors import load
from gan_cli.metrics.kid import polynomial_mmd2
from gan_cli.networks import restore_generator, sampler_of
from gan_cli.streams import Streams

COUNT, SEED = 10_000, 10_000


def kid(run: Path) -> float:
    """KID of a run directory's last checkpoint, or of a checkpoint; of its average where it has one."""
    stored = checkpoint.load(checkpoint.resolve(run))
    sampler = sampler_of(stored, *restore_generator(stored, []), Streams(SEED, torch.device("cpu")))
    drawn = images.to_bytes(sampler(range(COUNT)))
    return polynomial_mmd2(_features(drawn), _reference())


@cache
def _reference() -> Tensor:
    return _features(mnist.load("test").samples)


def _features(samples: Tensor) -> Tensor:
    extractor = load("mnist_report_v1")
    with torch.no_grad():
        return torch.cat([extractor(chunk)[0] for chunk in samples.split(1000)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    for run in parser.parse_args().runs:
        print(f"{1000 * kid(run):.0f}  {run}")


if __name__ == "__main__":
    main()
