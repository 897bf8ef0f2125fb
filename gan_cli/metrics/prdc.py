"""Fidelity and diversity of samples, told apart by nearest neighbors: precision and recall, density and coverage."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_BLOCK = 2**23  # distances in memory at a time, 64 MB


@dataclass(frozen=True)
class PRDC:
    """How two sets of features lie within each other; B(x) is the ball around x up to its k-th nearest neighbor.

    Attributes:
        precision: share of the fakes that lie in some B(real).
        recall: share of the real ones that lie in some B(fake).
        density: mean number of balls B(real) that a fake lies in, over k; 1 in the mean for equal distributions.
        coverage: share of the real ones with a fake in their ball; near 1 - 2^-k for equal distributions and sizes.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: Tensor, fake: Tensor, k: int = 5) -> PRDC:
    """Precision, recall, density and coverage of fakes, in float64.

        precision = 1/M Σ_j 1[∃i: f_j ∈ B(r_i)]         recall   = 1/N Σ_i 1[∃j: r_i ∈ B(f_j)]
        density   = 1/kM Σ_j Σ_i 1[f_j ∈ B(r_i)]        coverage = 1/N Σ_i 1[∃j: f_j ∈ B(r_i)]

    Distances are Euclidean, a ball's radius is the distance to the k-th nearest other sample of its own set, and its
    boundary is outside, all as in the authors' code. A set that repeats itself k times has radius 0 there, and nothing
    inside. Memory is bounded whatever the sizes: 64 MB of distances.

    Args:
        real, fake: (N, d) and (M, d), on one device that has float64. A sample that is not finite lies in no ball, and
            nothing lies in its own.
        k: neighbors.

    Raises:
        ValueError: k below 1, no more than k samples in a set, or sets of another shape.

    Source: Kynkäänniemi et al. 2019, arXiv:1904.06991, equation (2); Naeem et al. 2020, arXiv:2002.09797, equations
    (4) and (6).
    """
    balls, recalled, covered = _relations(real, fake, k)
    return PRDC(
        precision=float((balls > 0).double().mean()),
        recall=float(recalled.double().mean()),
        density=float(balls.double().mean()) / k,
        coverage=float(covered.double().mean()),
    )


def membership(real: Tensor, fake: Tensor, k: int = 5) -> tuple[Tensor, Tensor]:
    """Which fakes lie in the ball of some real sample, bool (M,), and which real ones in that of some fake, (N,).

    Their means are precision and recall. Arguments and errors are those of `prdc`.
    """
    balls, recalled, _ = _relations(real, fake, k)
    return balls > 0, recalled


def _relations(real: Tensor, fake: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """In how many real balls each fake lies; whether each real one lies in a fake ball, and has a fake in its own."""
    if real.dim() != 2 or fake.dim() != 2 or real.shape[1] != fake.shape[1] or real.shape[1] == 0:
        raise ValueError(f"two sets (N, d) of the same features are compared, not {_shapes(real, fake)}")
    if k < 1 or min(len(real), len(fake)) <= k:
        raise ValueError(f"{k} nearest neighbors need more than {max(k, 1)} samples, not {_shapes(real, fake)}")
    real, fake = _finite(real), _finite(fake)
    real_radii, fake_radii = _squared_radii(real, k), _squared_radii(fake, k)
    balls = torch.zeros(len(fake), dtype=torch.int64, device=fake.device)
    recalled, covered = [], []
    # Squared distances order as distances do, and nan, of a sample that is not finite, is less than nothing.
    for distances, radii in zip(_blocks(real, fake), real_radii.split(_rows(fake)), strict=True):
        inside = distances < radii[:, None]
        balls += inside.sum(0)
        covered.append(inside.any(1))
        recalled.append((distances < fake_radii).any(1))
    return balls, torch.cat(recalled), torch.cat(covered)


def _finite(points: Tensor) -> Tensor:
    """In float64, with nan all over a sample that is not finite, so that all its distances are nan."""
    points = points.detach().double()
    return points.masked_fill(~points.isfinite().all(1, keepdim=True), math.nan)


def _squared_radii(points: Tensor, k: int) -> Tensor:
    """The squared distance of each point to its k-th nearest neighbor, itself not counted.

    Less what rounding may add to it, so that a copy of that neighbor is never inside: otherwise a generator that
    repeats the training set would have any density from 1 to 1 + 1/k.
    """
    # The point itself is the nearest of k + 1, and nan counts as farther than anything.
    squares = torch.cat([block.topk(k + 1, largest=False).values[:, -1] for block in _blocks(points, points)])
    lengths = points.square().sum(1).sqrt()
    return squares - (lengths.square() + (lengths + squares.sqrt()).square()) * _rounding(points)


def _blocks(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """Squared distances, some rows of x at a time, to all of y.

    From products of matrices, thirty times faster than by subtraction. What rounding leaves of a distance 0 is made 0
    again, so that copies are copies: everything within the rounding error of a product counts as equal.
    """
    x_norms, y_norms = x.square().sum(1, keepdim=True), y.square().sum(1)
    for rows, norms in zip(x.split(_rows(y)), x_norms.split(_rows(y)), strict=True):
        sums = norms + y_norms
        distances = torch.addmm(sums, rows, y.T, alpha=-2)
        yield distances.masked_fill_(distances <= sums.mul_(_rounding(x)), 0)


def _rounding(points: Tensor) -> float:
    """More than the error of a squared distance, or the difference of two, in units of |x|² + |y|²."""
    return 4 * (points.shape[1] + 4) * torch.finfo(torch.float64).eps


def _rows(y: Tensor) -> int:
    return max(1, _BLOCK // len(y))


def _shapes(*sets: Tensor) -> str:
    return " and ".join(str(tuple(points.shape)) for points in sets)
