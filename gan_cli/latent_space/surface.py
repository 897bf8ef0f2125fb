"""Two-dimensional sheets of latents."""

import torch
from torch import Tensor

from gan_cli.latent_space.paths import Way


def surface(corners: Tensor, size: int, path: Way) -> Tensor:
    """Latents between four: paths along the upper and the lower edge, and from each point of one to that of the other.

    Args:
        corners: (4, d): upper left, upper right, lower left, lower right.
        size: latents along an edge, at least 2.

    Returns:
        (size, size, d), rows from the top; the corners are exact.
    """
    along = torch.linspace(0, 1, size, dtype=torch.float64, device=corners.device)
    upper, lower = path(corners[0], corners[1], along), path(corners[2], corners[3], along)
    return path(upper[None], lower[None], along[:, None])


def square(size: int, distribution: str) -> Tensor:
    """The whole of a two-dimensional latent space in parts of equal probability: the middle of each.

    The numbers (k + 1/2)/size through the inverse of the distribution function, the first coordinate to the right and
    the second upwards.

    Returns:
        float32 (size, size, 2), rows from the top.

    Source: Kingma and Welling 2014, arXiv:1312.6114, appendix A.
    """
    quantiles = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    values = torch.special.ndtri(quantiles) if distribution == "normal" else 2 * quantiles - 1
    up, right = torch.meshgrid(values.flip(0), values, indexing="ij")
    return torch.stack([right, up], -1).float()
