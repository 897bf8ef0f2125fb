"""Generators that are no networks, and little data: what the tests of the evaluation share."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from gan_cli.data import mnist
from gan_cli.data.dataset import Dataset, as_network_input
from gan_cli.evaluation.image_evaluator import ImageEvaluator
from gan_cli.extractors import Extractor, open_extractor
from gan_cli.latents import Latents
from gan_cli.sampling import Sampler
from gan_cli.streams import Streams

CPU = torch.device("cpu")


@cache
def digits(split: str = "train") -> Dataset:
    return mnist.load(split)


@cache
def shuffled() -> Dataset:
    """Digits in random order: in MNIST's own, neighbors are of one writer."""
    data, order = digits(), torch.randperm(60_000, generator=torch.Generator().manual_seed(3))
    return replace(data, samples=data.samples[order], labels=data.labels[order])


@cache
def judge(name: str = "mnist_v1", channels: int = 1) -> Extractor:
    return open_extractor(name, (channels, 28, 28))


class Stored(nn.Module):
    """Draws images, uint8, one after the other and from the first again."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.images, self.place = images, 0

    def forward(self, latents: Tensor) -> Tensor:
        places = torch.arange(self.place, self.place + len(latents)) % len(self.images)
        self.place += len(latents)
        return as_network_input(self.images[places])


def sampler(generator: nn.Module, dim: int = 4, seed: int = 0, distribution: str = "normal", **options) -> Sampler:
    return Sampler(generator, Latents(dim, distribution, Streams(seed, CPU)), **options)


def stored(images: Tensor) -> Sampler:
    return sampler(Stored(images))


def evaluator(
    cache: Path,
    data: Dataset,
    count: int,
    thorough: bool = False,
    extractor: Extractor | None = None,
    most: int = 10**6,
) -> ImageEvaluator:
    return ImageEvaluator(data, data.digest(), extractor or judge(), count, most, thorough, cache)


def measured(of: ImageEvaluator, images: Tensor) -> dict[str, float]:
    """The metrics of images as a generator's."""
    return of.evaluate(stored(images), "raw").values


def noisy(images: Tensor, sd: float) -> Tensor:
    random = torch.Generator().manual_seed(7)
    return (images + sd * torch.randn(images.shape, generator=random)).round().clamp(0, 255).byte()


def telling(extractor: Extractor, call: Callable[[Tensor], None]) -> Extractor:
    """The same extractor, which tells of every batch that it looks at."""

    class Telling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = extractor.network

        def forward(self, images: Tensor):
            call(images)
            return self.network(images)

    return replace(extractor, network=Telling())
