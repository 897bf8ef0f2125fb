"""The divergence of Gaussians against closed forms and torch, and the moments of an affine generator."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from gan_cli.metrics.frechet import Moments, frechet_distance
from gan_cli.metrics.gaussian import affine_moments, gaussian_kl

SIGMAS = 4.5


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def exact(mean: Tensor, covariance: Tensor) -> Moments:
    return Moments(mean.double(), covariance.double(), count=0)


MATRIX, SHIFT = torch.tensor([[1.0, 2.0], [-0.1, 0.5]], dtype=torch.float64), torch.tensor([1.0, 2.0])
PLANE = exact(SHIFT, MATRIX.T @ MATRIX)


@pytest.mark.parametrize("dim", [1, 2, 8])
def test_shift_and_scale_by_hand(dim: int) -> None:
    standard = exact(torch.zeros(dim), torch.eye(dim))
    shifted, wide = exact(torch.full((dim,), 0.5), torch.eye(dim)), exact(torch.zeros(dim), 4 * torch.eye(dim))
    assert gaussian_kl(shifted, standard) == pytest.approx(dim / 8, rel=1e-14)
    assert gaussian_kl(wide, standard) == pytest.approx(dim * (4 - 1 - math.log(4)) / 2, rel=1e-14)
    assert gaussian_kl(standard, wide) == pytest.approx(dim * (1 / 4 - 1 + math.log(4)) / 2, rel=1e-14)
    assert gaussian_kl(standard, standard) == 0


@pytest.mark.parametrize("dim", [1, 2, 5, 40])
@pytest.mark.parametrize("seed", range(3))
def test_equals_torch(dim: int, seed: int) -> None:
    a, b = (
        Moments.of(normal(3 * dim, dim, seed=seed + i) @ normal(dim, dim, seed=seed + i + 50) + i) for i in (10, 20)
    )
    distributions = [MultivariateNormal(one.mean, one.covariance) for one in (a, b)]
    for ours, theirs in (((a, b), distributions), ((b, a), distributions[::-1])):
        assert gaussian_kl(*ours) == pytest.approx(float(kl_divergence(*theirs)), rel=1e-8)


@pytest.mark.parametrize("dim", [2, 6])
def test_same_in_any_units(dim: int) -> None:
    a, b = (Moments.of(normal(50, dim, seed=seed)) for seed in (1, 2))
    matrix, shift = normal(dim, dim, seed=3), normal(dim, seed=4)
    mapped = [exact(matrix @ one.mean + shift, matrix @ one.covariance @ matrix.T) for one in (a, b)]
    assert gaussian_kl(*mapped) == pytest.approx(gaussian_kl(a, b), rel=1e-9)


def test_is_zero_for_itself_and_never_below() -> None:
    for seed in range(20):
        moments = Moments.of(normal(20, 5, seed=seed) @ normal(5, 5, seed=100 + seed))
        assert 0 <= gaussian_kl(moments, moments) < 1e-10


def test_small_divergence_is_not_lost_in_rounding() -> None:
    # Σ ½ (λ - 1 - ln λ) is λ'²/4 each for λ = 1 + λ'; the difference of a trace and a logarithm would give 0.
    a, b = exact(torch.zeros(2), (1 + 1e-6) * torch.eye(2, dtype=torch.float64)), exact(torch.zeros(2), torch.eye(2))
    assert gaussian_kl(a, b) == pytest.approx(5e-13, rel=1e-3)


def test_generator_on_a_line_is_infinitely_far_where_the_frechet_distance_sees_a_tenth() -> None:
    values, vectors = torch.linalg.eigh(PLANE.covariance)
    line = exact(SHIFT, values[1] * vectors[:, 1:] @ vectors[:, 1:].T)
    assert gaussian_kl(line, PLANE) == math.inf
    assert frechet_distance(line, PLANE) < 0.1


def test_divergence_grows_without_bound_on_the_way_to_the_line() -> None:
    values, vectors = torch.linalg.eigh(PLANE.covariance)
    found = []
    for share in (1.0, 1e-2, 1e-4, 1e-8, 1e-12):
        covariance = vectors * (values * torch.tensor([share, 1.0])) @ vectors.T
        found.append(gaussian_kl(exact(SHIFT, covariance), PLANE))
        assert found[-1] == pytest.approx((share - 1 - math.log(share)) / 2, rel=1e-2, abs=1e-12)
    assert found == sorted(found)


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_singular_covariance_on_either_side_is_infinitely_far(rank: int) -> None:
    factor = normal(4, rank, seed=1)
    flat, full = exact(torch.zeros(4), factor @ factor.T), exact(torch.zeros(4), torch.eye(4))
    assert gaussian_kl(flat, full) == math.inf
    assert gaussian_kl(full, flat) == math.inf


def test_fewer_samples_than_features_are_infinitely_far() -> None:
    truth = exact(torch.zeros(8), torch.eye(8))
    assert gaussian_kl(Moments.of(normal(8, 8)), truth) == math.inf
    assert math.isfinite(gaussian_kl(Moments.of(normal(12, 8)), truth))


@pytest.mark.parametrize("count", [1000, 10_000])
def test_samples_of_the_plane_have_the_chi_square_law_of_five_degrees(count: int) -> None:
    repeats = 200
    samples = (normal(repeats * count, 2, seed=count) @ MATRIX + SHIFT).split(count)
    found = torch.tensor([2 * count * gaussian_kl(Moments.of(chunk), PLANE) for chunk in samples])
    assert abs(float(found.mean()) - 5) < SIGMAS * math.sqrt(10 / repeats)  # mean 5, variance 10
    assert float(found.var()) == pytest.approx(10, rel=SIGMAS * math.sqrt((2 + 12 / 5) / repeats))  # excess kurtosis
    below = float((found < 4.3515).double().mean())  # the median
    assert abs(below - 0.5) < SIGMAS * math.sqrt(0.25 / repeats)
    assert float(found.max()) / (2 * count) < 1.1e-3 * 10_000 / count * 1.5


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_moments_that_are_not_finite_give_no_number(bad: float) -> None:
    spoiled = exact(torch.tensor([bad, 0.0]), torch.eye(2))
    assert math.isnan(gaussian_kl(spoiled, PLANE))
    assert math.isnan(gaussian_kl(PLANE, spoiled))
    assert math.isnan(gaussian_kl(exact(SHIFT, torch.full((2, 2), bad)), PLANE))


def test_different_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="moments of 2 and of 3 features"):
        gaussian_kl(PLANE, exact(torch.zeros(3), torch.eye(3)))


def test_affine_moments_by_hand() -> None:
    moments = affine_moments(torch.tensor([1.0, 2.0]), torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]]), 0.5)
    assert moments.mean.tolist() == [1, 2]
    assert moments.covariance.tolist() == [[2.5, 1], [1, 1]]
    assert moments.count == 0


@pytest.mark.parametrize(("variance", "scale"), [(1.0, 1.0), (1 / 3, None)], ids=["normal", "uniform"])
def test_affine_moments_are_those_of_the_layer_they_describe(variance: float, scale: float | None) -> None:
    random = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(3, 2).double()
    with torch.no_grad():
        layer.weight.copy_(normal(2, 3, seed=1))
        layer.bias.copy_(normal(2, seed=2))
        z = normal(200_000, 3, seed=3) if scale else 2 * torch.rand(200_000, 3, generator=random).double() - 1
        found = Moments.of(layer(z))
    expected = affine_moments(layer.bias, layer.weight, variance)
    assert not expected.covariance.requires_grad
    size = float(expected.covariance.trace())
    assert float((found.mean - expected.mean).abs().max()) < SIGMAS * math.sqrt(size / 200_000)
    assert float((found.covariance - expected.covariance).abs().max()) < SIGMAS * size * math.sqrt(2 / 200_000)


def test_affine_generator_that_is_right_has_no_distance_and_one_of_rank_one_is_infinitely_far() -> None:
    right = affine_moments(SHIFT, MATRIX.T, 1.0)
    assert frechet_distance(right, PLANE) == pytest.approx(0, abs=1e-13)
    assert gaussian_kl(right, PLANE) == pytest.approx(0, abs=1e-13)
    for latent in (1, 4):
        line = affine_moments(SHIFT, torch.tensor([[0.3], [0.7]]).expand(-1, latent), 1.0)
        assert gaussian_kl(line, PLANE) == math.inf


@pytest.mark.parametrize(("bias", "weight"), [((3,), (2, 3)), ((2, 1), (2, 3)), ((2,), (2,))])
def test_affine_maps_that_do_not_fit_are_refused(bias: tuple[int, ...], weight: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"weight \(d, k\) and bias \(d,\)"):
        affine_moments(torch.zeros(bias), torch.zeros(weight), 1.0)
