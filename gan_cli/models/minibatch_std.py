"""A layer that lets a discriminator see that samples are too alike."""

from math import gcd

import torch
from torch import Tensor, nn


class MinibatchStd(nn.Module):
    """Appends one channel: how much the features vary among the samples of a group.

        s_g = mean over features of sqrt(Var over the group's samples + ε)

    Groups are samples beside each other in the batch; where their size does not divide it, the largest common divisor
    of the two takes its place.

    Args:
        group_size: samples in a group.

    Source: Karras et al. 2018, arXiv:1710.10196, section 3; in groups as in Karras et al. 2020, arXiv:1912.04958.
    """

    mixes_samples = True

    def __init__(self, group_size: int, eps: float = 1e-8) -> None:
        super().__init__()
        self.group_size = group_size
        self.eps = eps

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, ...) to (N, C + 1, ...)."""
        count = len(features)
        groups = features.reshape(-1, gcd(count, self.group_size), *features.shape[1:])
        spread = (groups.var(1, correction=0) + self.eps).sqrt().flatten(1).mean(1)  # one number for each group
        each = spread.repeat_interleave(groups.shape[1]).reshape(count, *(1,) * (features.dim() - 1))
        return torch.cat([features, each.expand(-1, 1, *features.shape[2:])], 1)


def minibatch_std(group_size: int) -> list[nn.Module]:
    """The layer, or none for groups of no samples."""
    return [MinibatchStd(group_size)] if group_size else []
