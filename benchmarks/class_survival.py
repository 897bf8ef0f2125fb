"""Does a digit stay the digit that it is when a CycleGAN recolors it? Asks a classifier trained on real digits.

gan-train experiment=cyclegan_digits hydra.run.dir=outputs/cyclegan
python benchmarks/class_survival.py outputs/cyclegan          1,000 test digits of each domain

The classifier knows white digits on clean black. Pictures of either domain are brought there by one fixed map that no
training has seen: `gan_cli.data.digits_recoloured.uncolored`, how far each pixel is from the color of the picture's
edge, and then what is nearer to it than a quarter of the farthest pixel is black. (--floor=0 leaves that out, and a
faint texture on the ground, which a person reads past, then counts against the digit.) The real digits' rows say what
the classifier makes of test digits under that map, which no translation can be expected to beat.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from gan_cli import checkpoint, images
from gan_cli.data import digits_recoloured
from gan_cli.data.dataset import Dataset, as_network_input
from gan_cli.data.digits_recoloured import uncolored
from gan_cli.extractors import load
from gan_cli.networks import restore_translators
from gan_cli.translation import Translator

_AT_ONCE = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run directory or a checkpoint")
    parser.add_argument("--count", type=int, default=1000, help="test digits of each domain, the first ones")
    parser.add_argument("--floor", type=float, default=0.25, help="share of the farthest pixel's distance, below 1")
    options = parser.parse_args()
    stored = checkpoint.load(checkpoint.resolve(options.run))
    _, generators = restore_translators(stored, [])
    translator, classifier = Translator(generators, torch.device("cpu")), load("mnist_report_v1")

    def survived(pictures: Tensor, data: Dataset) -> str:
        assert data.labels is not None
        grey = lifted(uncolored(pictures), options.floor)
        with torch.no_grad():
            found = torch.cat([classifier(part)[1].argmax(1) for part in grey.split(_AT_ONCE)])
        return f"{float((found == data.labels).float().mean()):.1%}"

    test = digits_recoloured.load("test")
    a, b = (domain.first(options.count) for domain in (test.a, test.b))
    print(f"step {stored.step}, {len(a):,} digits of a and {len(b):,} of b, judged right:")
    print(f"| a, real | {survived(a.samples, a)} |\n| b, real | {survived(b.samples, b)} |")
    for name, data, direction in (("a→b", a, "a2b"), ("b→a", b, "b2a")):
        made = [translator.there_and_back(as_network_input(part), direction) for part in data.samples.split(_AT_ONCE)]
        there, back = (torch.cat([images.to_bytes(pair[which]) for pair in made]) for which in (0, 1))
        print(f"| {name} | {survived(there, data)} |\n| {name}→{name[0]} | {survived(back, data)} |")


def lifted(digits: Tensor, floor: float) -> Tensor:
    """uint8 (N, 1, H, W) with all below a share of white black, and the rest stretched over the whole range."""
    return (255 * ((digits / 255 - floor) / (1 - floor)).clamp(0, 1)).round().to(torch.uint8)


if __name__ == "__main__":
    main()
