"""Do two extractors rank checkpoints alike? KID of each, and Kendall's and Spearman's correlation of the two.

    python benchmarks/extractor_ranking.py outputs/sprites/checkpoints/step_*.safetensors --data data/pokemon.zip
    python benchmarks/extractor_ranking.py outputs/mnist/checkpoints/step_*.safetensors --by random_v1 mnist_report_v1

The reference are the images of `--data`, or of MNIST's training set, as many as are sampled, taken at random from
all; both extractors see the same images and the same samples. Extractors whose scales say nothing are standardized on
the reference first, as in an evaluation.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from gan_cli import checkpoint, images
from gan_cli.data import mnist, pokemon
from gan_cli.data.dataset import Dataset
from gan_cli.extractors import Extractor, open_extractor
from gan_cli.metrics.kid import polynomial_mmd2
from gan_cli.metrics.standardize import standardizer
from gan_cli.networks import restore_generator, sampler_of
from gan_cli.streams import Streams

SEED = 10_000


def kendall(x: Sequence[float], y: Sequence[float]) -> float:
    """Tau a: the share of pairs that both order alike, less that of pairs that they order differently."""
    pairs = [(i, j) for i in range(len(x)) for j in range(i)]
    return sum(math.copysign(1, (x[i] - x[j]) * (y[i] - y[j])) for i, j in pairs) / len(pairs)


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """The correlation of the ranks; there are no ties between real numbers."""
    ranks = torch.stack([torch.tensor(values, dtype=torch.float64).argsort().argsort() for values in (x, y)])
    return float(ranks.double().corrcoef()[0, 1])


def drawn(path: Path, count: int) -> Tensor:
    """Samples of a checkpoint, uint8."""
    stored = checkpoint.load(checkpoint.resolve(path))
    sampler = sampler_of(stored, *restore_generator(stored, []), Streams(SEED, torch.device("cpu")))
    return torch.cat([images.to_bytes(sampler(chunk)) for chunk in chunks(count)])


def chunks(count: int, size: int = 500) -> list[range]:
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


class Judge:
    """KID against a reference, by one extractor."""

    def __init__(self, extractor: Extractor, reference: Tensor) -> None:
        self.extractor = extractor
        features = extractor(reference).embedding
        self.scaled = standardizer(features) if extractor.standardize else lambda found: found
        self.reference = self.scaled(features)

    def __call__(self, samples: Tensor) -> float:
        return polynomial_mmd2(self.reference, self.scaled(self.extractor(samples).embedding))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT", help="or a run directory")
    parser.add_argument("--by", nargs=2, default=["random_v1", "efficientnet_lite0"], metavar="EXTRACTOR")
    parser.add_argument("--data", type=Path, help="a folder or archive of sprites; MNIST without it")
    parser.add_argument("--count", type=int, default=2000)
    options = parser.parse_args()
    data: Dataset = mnist.load() if options.data is None else pokemon.load(str(options.data))
    reference, held_out = halves(data.samples, options.count)
    judges = [Judge(open_extractor(name, (*data.samples.shape[1:],)), reference) for name in options.by]
    print(f"KID of {len(reference):,} samples against as many images")
    print("".join(f"{name:>20}" for name in options.by))
    print("".join(f"{judge(held_out):20.5f}" for judge in judges), " other images of the data", flush=True)
    found = []
    for path in options.checkpoints:
        samples = drawn(path, len(reference))
        found.append([judge(samples) for judge in judges])
        print("".join(f"{value:20.5f}" for value in found[-1]), f" {path}", flush=True)
    one, other = zip(*found, strict=True)
    print(f"{len(found)} checkpoints: Kendall's tau {kendall(one, other):.2f}, Spearman's {spearman(one, other):.2f}")


def halves(samples: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Two disjoint random sets of images, of `count` each or of half of all."""
    order = Streams(SEED, torch.device("cpu")).permutation("benchmark/reference", 0, len(samples))
    count = min(count, len(samples) // 2)
    return samples[order[:count]], samples[order[count : 2 * count]]


if __name__ == "__main__":
    main()
