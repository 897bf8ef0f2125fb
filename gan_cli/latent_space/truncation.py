"""The truncation trick: latents nearer to the middle give likelier and less varied samples."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli.latents import Latents


def truncated(z: Tensor, threshold: float) -> Tensor:
    """Standard normal values as normal ones within a threshold.

        Φ⁻¹(Φ(-t) + Φ(z) (Φ(t) - Φ(-t))),  which is  √2 erf⁻¹(erf(z/√2) erf(t/√2))

    The distribution is that of drawing again whatever lies beyond; but each value moves continuously with t, keeps its
    sign and its order, and is itself in the limit of a large t.

    Args:
        z: any shape, float32.
        threshold: t > 0.

    Source: Brock et al. 2019, arXiv:1809.11096, section 3.1, who draw again.
    """
    share = math.erf(threshold / math.sqrt(2))
    found = math.sqrt(2) * torch.erfinv(torch.erf(z.double() / math.sqrt(2)) * share)
    return torch.where(found.isfinite(), found, z.double()).clamp(-threshold, threshold).to(z.dtype)


@dataclass(frozen=True)
class TruncatedLatents(Latents):
    """Normal latents within a threshold; each depends on its own normal value alone."""

    threshold: float

    def __call__(self, purpose: str, index: int, count: int) -> Tensor:
        """`count` latents for one purpose and index, float32 (count, dim)."""
        return truncated(super().__call__(purpose, index, count), self.threshold)
