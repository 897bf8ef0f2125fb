"""Does a conditional generator draw the digit that it is asked for? Asks a classifier trained on real digits.

gan-train experiment=cgan_mnist hydra.run.dir=outputs/cgan
python benchmarks/asked_digits.py outputs/cgan          100 samples of each class
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from gan_cli import checkpoint, images
from gan_cli.extractors import load
from gan_cli.networks import DataFacts, restore_generator, sampler_of
from gan_cli.streams import Streams


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run directory or a checkpoint")
    parser.add_argument("--count", type=int, default=100, help="of each class")
    parser.add_argument("--seed", type=int, default=10_000)
    options = parser.parse_args()
    stored = checkpoint.load(checkpoint.resolve(options.run))
    config, generator = restore_generator(stored, [])
    sampler = sampler_of(stored, config, generator, Streams(options.seed, torch.device("cpu")))
    classifier, classes = load("mnist_report_v1"), DataFacts.stored(stored).classes
    right = []
    for label, name in enumerate(classes):
        drawn = images.to_bytes(replace(sampler, labels=torch.tensor([label]))(range(options.count)))
        with torch.no_grad():
            found = classifier(drawn)[1].argmax(1)
        right.append(float((found == label).float().mean()))
        print(f"{name}: {right[-1]:.1%}")
    print(f"all: {sum(right) / len(right):.1%}, the worst {min(right):.1%}")


if __name__ == "__main__":
    main()
