"""Mixtures of Gaussians in the plane, whose modes can be counted: a ring and a grid.

With the sizes of Lin et al. 2018 (PacGAN, arXiv:1712.04086), as its published code has them.
"""

import math

import torch
from torch import Tensor

from gan_cli.data.dataset import Dataset, Mixture
from gan_cli.data.origin import Origin
from gan_cli.streams import Streams

ORIGIN = Origin("points of a mixture of Gaussians, computed by gan-cli", "", "none is needed")


def ring(
    modes: int = 8, radius: float = 1.0, std: float = 0.01, num_samples: int = 100_000, data_seed: int = 0
) -> Dataset:
    """Gaussians evenly spaced on a circle around the origin, the first at (radius, 0).

    Args:
        modes: how many.
        radius: of the circle.
        std: standard deviation of each, in both coordinates.
        num_samples: number of points.
        data_seed: the points depend on it and not on the run's seed.
    """
    angles = torch.arange(modes, dtype=torch.float64) * (2 * math.pi / modes)
    return _draw(radius * torch.stack([angles.cos(), angles.sin()], 1), std, num_samples, data_seed)


def grid(
    side: int = 5, spacing: float = 2.0, std: float = 0.05, num_samples: int = 100_000, data_seed: int = 0
) -> Dataset:
    """Gaussians on a square grid of `side` × `side` places, centered on the origin.

    Args:
        side: modes in a row.
        spacing: between neighbors.
        std, num_samples, data_seed: as for `ring`.
    """
    places = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2) * spacing
    return _draw(torch.cartesian_prod(places, places), std, num_samples, data_seed)


def _draw(means: Tensor, std: float, num_samples: int, data_seed: int) -> Dataset:
    """Points of equally likely modes, with the mode as the label."""
    draws = Streams(data_seed, torch.device("cpu")).draws("data/mixture", 0)
    labels = (draws.uniform("mode", (num_samples,)) * len(means)).long()
    noise = draws.normal("noise", (num_samples, 2))
    points = means.float()[labels] + std * noise
    return Dataset(points, labels, tuple(map(str, range(len(means)))), Mixture(means, std))
