"""Stacked MNIST: three digits as the color channels of one image, and so a thousand modes that can be counted.

From Metz et al. 2017 (Unrolled GANs, arXiv:1611.02163), in the size of Lin et al. 2018 (PacGAN, arXiv:1712.04086), as
its published code has it; that code also draws from the test images.
"""

from dataclasses import replace

import torch

from gan_cli.data import mnist
from gan_cli.data.dataset import Dataset
from gan_cli.streams import Streams

ORIGIN = replace(mnist.ORIGIN, name="Stacked MNIST, whose colors are three digits of MNIST")


def load(num_samples: int = 128_000, data_seed: int = 0, split: str = "train") -> Dataset:
    """Digits drawn independently and with replacement, uint8 (N, 3, 28, 28), and what they read from red to blue.

    Red a, green b and blue c have the label 100a + 10b + c and the class "abc". A mode is as likely as its digits are
    frequent in MNIST: of the training images between 0.74 ("555") and 1.42 ("111") in a thousand.

    Args:
        num_samples: number of images, 2,352 bytes each.
        data_seed: the images depend on it and not on the run's seed; fewer of them are the first of more.
        split: "train" or "test", the MNIST images that are stacked.
    """
    digits = mnist.load(split)
    assert digits.labels is not None
    draws = Streams(data_seed, torch.device("cpu")).draws("data/stacked_mnist", 0)
    chosen = (draws.uniform("digits", (num_samples, 3)) * len(digits)).long()
    labels = digits.labels[chosen] @ torch.tensor([100, 10, 1])
    return Dataset(
        digits.samples[:, 0][chosen], labels, tuple(f"{mode:03}" for mode in range(1000)), judges=mnist.JUDGES
    )
