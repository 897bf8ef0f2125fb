"""A Gaussian in the plane, of which everything is known: D2L chapter 17.1."""

from collections.abc import Sequence

import torch

from gan_cli.data.dataset import Dataset, Gaussian
from gan_cli.data.origin import Origin
from gan_cli.errors import Refused
from gan_cli.streams import Streams

ORIGIN = Origin("points of a Gaussian, computed by gan-cli", "", "none is needed")


def load(
    num_samples: int = 1000,
    transform: Sequence[Sequence[float]] = ((1.0, 2.0), (-0.1, 0.5)),
    shift: Sequence[float] = (1.0, 2.0),
    data_seed: int = 0,
) -> Dataset:
    """Points x·A + b with x ~ N(0, I): mean b and covariance AᵀA.

    Args:
        num_samples: number of points.
        transform: A, (K, D).
        shift: b, (D,).
        data_seed: the points depend on it and not on the run's seed, so that runs differ by their training alone.

    Raises:
        Refused: A is not a matrix, b has another length than its rows, or the points have fewer than two coordinates.
    """
    if len(shift) < 2 or len({len(row) for row in transform}) != 1 or len(transform[0]) != len(shift):
        raise Refused(
            f"data.transform must have rows as long as data.shift, two numbers or more, got {transform} and {shift}"
        )
    matrix = torch.tensor(transform, dtype=torch.float32)
    standard = Streams(data_seed, torch.device("cpu")).normal("data/gaussian2d", 0, (num_samples, len(matrix)))
    exact = torch.tensor(transform, dtype=torch.float64)
    gaussian = Gaussian(torch.tensor(shift, dtype=torch.float64), exact.T @ exact)
    return Dataset(standard @ matrix + torch.tensor(shift), gaussian=gaussian)
