"""What parameters are held to after each update."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class WeightClip:
    """Every parameter into [-limit, limit], in place.

    Source: Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1 (limit 0.01), to bound the critic's slope.
    """

    parameters: Sequence[Tensor]
    limit: float

    @torch.no_grad()
    def __call__(self) -> None:
        for parameter in self.parameters:
            parameter.clamp_(-self.limit, self.limit)
