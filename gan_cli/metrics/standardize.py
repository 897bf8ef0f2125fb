"""Features of comparable scale: divided by their standard deviation on a reference."""

from dataclasses import dataclass

from torch import Tensor

DEAD = 1e-3
"""A unit that varies less than this times the one that varies most is left out."""

_ROUNDING = 1e-12  # of the values: what varies less is constant in float64


@dataclass(frozen=True)
class Standardizer:
    """Turns features into ones with mean 0 and variance 1 on the reference; see `standardizer`.

    Attributes:
        mean, scale: (kept,), float64: of the units that are kept.
        kept: (d,), bool: which those are.
    """

    mean: Tensor
    scale: Tensor
    kept: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """(N, d) features, of any set -> (N, kept), float64: (x - mean) / scale."""
        return (features.detach()[:, self.kept].double() - self.mean) / self.scale


def standardizer(reference: Tensor) -> Standardizer:
    """The mean and the standard deviation of each feature on a reference, for it and every set compared with it.

        mean_j = Σ_i x_ij / n,    scale_j = sqrt(Σ_i (x_ij - mean_j)² / (n - 1))

    A unit with scale_j < 0.001 max scale is dead and left out: divided by next to nothing, a few samples in which it is
    not dead would outweigh all other units together. Standardized features do not depend on the units' scales.

    Args:
        reference: (n, d), the same for everything that shall be compared.

    Raises:
        ValueError: not two samples of one feature at least, or some are not finite, or no unit varies.
    """
    if reference.dim() != 2 or len(reference) < 2 or reference.shape[1] == 0:
        raise ValueError(f"a reference is at least two samples (n, d), not {tuple(reference.shape)}")
    values = reference.detach().double()
    if not values.isfinite().all():
        raise ValueError("the reference's features are not all finite")
    mean, scale = values.mean(0), values.std(0)
    largest = scale.max()
    if largest <= _ROUNDING * values.abs().max():
        raise ValueError("no feature varies over the reference")
    kept = scale >= DEAD * largest
    return Standardizer(mean[kept], scale[kept], kept)
