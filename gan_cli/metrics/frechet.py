"""Fréchet distance between two Gaussians: FID, where they are fitted to features, and W2² where they are the truth."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_ROWS = 4096  # converted to float64 at a time: 16 MB of 512 features


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of a distribution, or of samples of it.

    Attributes:
        mean: (d,), float64.
        covariance: (d, d), float64.
        count: of the samples they were estimated from; 0 where they are exact.
    """

    mean: Tensor
    covariance: Tensor
    count: int

    @classmethod
    def of(cls, features: Tensor) -> "Moments":
        """The mean of samples and their unbiased covariance, Σ (x - mean)(x - mean)ᵀ / (n-1), in float64.

        Summed around the mean, in a second pass, so that features far from the origin lose nothing. Memory is that of
        4,096 samples and two matrices (d, d), beside the features themselves.

        Args:
            features: (n, d) with n > 1, on a device that has float64; the moments are on the CPU. Features that are not
                finite give moments that are not either.

        Raises:
            ValueError: fewer than two samples, or no features.
        """
        if features.dim() != 2 or len(features) < 2 or features.shape[1] == 0:
            raise ValueError(f"moments are of at least two samples (n, d), not {tuple(features.shape)}")
        chunks = features.detach().split(_ROWS)
        mean = torch.stack([chunk.double().sum(0) for chunk in chunks]).sum(0) / len(features)
        scatter = mean.new_zeros(len(mean), len(mean))
        for chunk in chunks:
            centered = chunk.double() - mean
            scatter.addmm_(centered.T, centered)
        return cls(mean.cpu(), (scatter / (len(features) - 1)).cpu(), len(features))


def frechet_distance(a: Moments, b: Moments) -> float:
    """The squared 2-Wasserstein distance of two Gaussians with these moments.

        ‖m - m'‖² + Tr(C + C' - 2 (C C')^½),   Tr (C C')^½ = the sum of the singular values of C^½ C'^½

    Exact for covariances without full rank, too: their square roots are taken of symmetric matrices, and a singular
    value has the rounding error of the matrix, where an eigenvalue of C C' would have its square root. Rounding below
    0 is cut off; how many samples there were plays no part, see `frechet_floor`. Moments that are not finite give nan.

    Raises:
        ValueError: of different dimensions.

    Source: Dowson & Landau 1982 (J. Multivariate Analysis 12), equation (4); Heusel et al. 2017, arXiv:1706.08500,
    equation (6).
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"moments of {len(a.mean)} and of {len(b.mean)} features cannot be compared")
    if not all(part.isfinite().all() for part in (a.mean, a.covariance, b.mean, b.covariance)):
        return math.nan
    shift = (a.mean - b.mean).square().sum()
    overlap = torch.linalg.svdvals(_factor(a.covariance).T @ _factor(b.covariance)).sum()
    return float((shift + a.covariance.trace() + b.covariance.trace() - 2 * overlap).clamp(min=0))


def frechet_floor(reference: Moments, count: int) -> float:
    """What `count` samples of the reference's own distribution score against it, were that distribution Gaussian.

        (1/count + 1/reference.count) [3/2 Tr C + ½ Σ_{i≠j} λ_i λ_j / (λ_i + λ_j)],   λ the eigenvalues of C

    The expectation up to terms in 1/n²: Tr C / n is due to the mean and the rest to the covariance, whose error E costs
    ½ Σ_ij E_ij² / (λ_i + λ_j) to second order, with E_ij² = λ_i λ_j (1 + δ_ij) / n in the mean. Where the reference is
    exact (count 0) its term is 0. On features that are not Gaussian it was within 30 % of what real images scored.

    Args:
        reference: moments of one set.
        count: samples of another set, independent of it.

    Raises:
        ValueError: count below 1.
    """
    if count < 1:
        raise ValueError(f"the floor is that of at least one sample, not {count}")
    if not reference.covariance.isfinite().all():
        return math.nan
    values = torch.linalg.eigvalsh(reference.covariance).clamp(min=0)
    # All pairs together: those with i = j are λ_i / 2 each, a quarter of the trace, which is therefore taken off.
    pairs = (values[:, None] * values / (values[:, None] + values)).nan_to_num(0).sum()  # 0/0 where both are 0
    noise = 1 / count + (1 / reference.count if reference.count else 0)
    return float(noise * (1.25 * values.sum() + pairs / 2))


def _factor(covariance: Tensor) -> Tensor:
    """F with F Fᵀ = covariance."""
    found = torch.linalg.eigh(covariance)
    return torch.mul(found.eigenvectors, found.eigenvalues.clamp(min=0).sqrt())
