"""Gaussians of which everything is known: their divergence, and the one that an affine generator makes."""

import math

import torch
from torch import Tensor

from gan_cli.metrics.frechet import Moments


def gaussian_kl(a: Moments, b: Moments) -> float:
    """The Kullback-Leibler divergence of the Gaussian of a from that of b, in nats.

        KL(a ‖ b) = ½ [Tr(C_b⁻¹ C_a) - d - ln det(C_b⁻¹ C_a) + (m_b - m_a)ᵀ C_b⁻¹ (m_b - m_a)]

    It sees what the Fréchet distance forgives: a generator that collapsed onto a line is infinitely far. That is the
    result where either covariance is singular to the precision of float64, its smallest eigenvalue (a's as seen in b's
    units) not above d eps times its largest, since at least one of them then has no density. For n samples of a
    Gaussian against the truth, 2n KL has the χ² distribution with d(d+3)/2 degrees of freedom.

    Args:
        a: the samples', or the generator's.
        b: the truth's. Moments that are not finite give nan.

    Raises:
        ValueError: of different dimensions.

    Source: Kullback 1959, Information Theory and Statistics, chapter 9, equation (1.2).
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"moments of {len(a.mean)} and of {len(b.mean)} features cannot be compared")
    if not all(part.isfinite().all() for part in (a.mean, a.covariance, b.mean, b.covariance)):
        return math.nan
    variances, axes = torch.linalg.eigh(b.covariance)
    if _singular(variances):
        return math.inf
    whiten = axes / variances.sqrt()  # in these coordinates b is the standard Gaussian
    ratios = torch.linalg.eigvalsh(whiten.T @ a.covariance @ whiten)
    if _singular(ratios):
        return math.inf
    excess = ratios - 1
    shift = (whiten.T @ (a.mean - b.mean)).square()
    return float((excess - excess.log1p()).clamp(min=0).sum() + shift.sum()) / 2


def affine_moments(bias: Tensor, weight: Tensor, latent_variance: float) -> Moments:
    """The moments of W z + b, exact (count 0): mean b and covariance latent_variance · W Wᵀ.

    So an affine generator is judged from its weights, without sampling error.

    Args:
        bias: b, (d,).
        weight: W, (d, k), as that of `nn.Linear`.
        latent_variance: of each entry of z; the entries are independent with mean 0.

    Raises:
        ValueError: the shapes do not fit.
    """
    if bias.dim() != 1 or weight.dim() != 2 or len(bias) != len(weight):
        raise ValueError(f"an affine map has weight (d, k) and bias (d,), not {(*weight.shape,)} and {(*bias.shape,)}")
    bias, weight = bias.detach().double().cpu(), weight.detach().double().cpu()
    return Moments(bias, latent_variance * (weight @ weight.T), count=0)


def _singular(eigenvalues: Tensor) -> bool:
    """In ascending order, as matrix rank is decided."""
    eps = torch.finfo(eigenvalues.dtype).eps
    return bool(eigenvalues[0] <= len(eigenvalues) * eps * eigenvalues[-1])
