"""Pictures made smaller."""

import torch
from torch import Tensor


def shrunk(images: Tensor, height: int, width: int) -> Tensor:
    """Images, float (..., H, W), as (..., height, width): each new pixel is the mean of the area that it stands for.

    The mean of an image stays as it was, whatever the sizes.
    """
    across = _shares(images.shape[-1], width).to(images)
    return _shares(images.shape[-2], height).to(images) @ images @ across.T


def _shares(size: int, to: int) -> Tensor:
    """(to, size): the share of each old pixel in each new one; a row sums to 1."""
    edges = torch.arange(to + 1, dtype=torch.float64) * size / to
    old = torch.arange(size, dtype=torch.float64)
    overlap = torch.minimum(edges[1:, None], old + 1) - torch.maximum(edges[:-1, None], old)
    return overlap.clamp(min=0) * to / size
