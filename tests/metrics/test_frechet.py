"""The Fréchet distance against closed forms and two libraries, and what samples of a known Gaussian score."""

import math
from itertools import pairwise

import pytest
import torch
from ot.gaussian import bures_wasserstein_distance
from torch import Tensor
from torchmetrics.image.fid import _compute_fid

from gan_cli.metrics.frechet import Moments, frechet_distance, frechet_floor

SIGMAS = 4.5  # of the sampling error


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def exact(mean: Tensor, covariance: Tensor) -> Moments:
    return Moments(mean.double(), covariance.double(), count=0)


def sampled(count: int, dim: int, seed: int) -> Moments:
    """Of correlated features of different scale, around a mean of their own."""
    mix = normal(dim, dim, seed=1000 + seed) / math.sqrt(dim)
    return Moments.of(normal(count, dim, seed=seed) @ mix + normal(dim, seed=2000 + seed))


def standard(dim: int = 8) -> Moments:
    return exact(torch.zeros(dim), torch.eye(dim))


# The plane of metrics.md: points z @ A + b
MATRIX, SHIFT = torch.tensor([[1.0, 2.0], [-0.1, 0.5]], dtype=torch.float64), torch.tensor([1.0, 2.0])
PLANE = exact(SHIFT, MATRIX.T @ MATRIX)


def test_shifted_by_a_half_in_eight_dimensions() -> None:
    assert frechet_distance(standard(), exact(torch.full((8,), 0.5), torch.eye(8))) == pytest.approx(2, abs=1e-14)


def test_four_times_the_covariance_in_eight_dimensions() -> None:
    assert frechet_distance(standard(), exact(torch.zeros(8), 4 * torch.eye(8))) == pytest.approx(8, abs=1e-14)


def test_itself() -> None:
    assert frechet_distance(standard(), standard()) == 0
    for moments in (PLANE, sampled(200, 30, 1)):
        assert frechet_distance(moments, moments) == pytest.approx(0, abs=1e-12)


def test_commuting_covariances_have_the_distance_of_their_standard_deviations() -> None:
    ours, theirs = normal(12, seed=1).square(), normal(12, seed=2).square()
    rotation = torch.linalg.qr(normal(12, 12, seed=3)).Q
    a = exact(torch.zeros(12), rotation * ours @ rotation.T)
    b = exact(torch.zeros(12), rotation * theirs @ rotation.T)
    assert frechet_distance(a, b) == pytest.approx(float((ours.sqrt() - theirs.sqrt()).square().sum()), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_two_by_two_closed_form(seed: int) -> None:
    a, b = sampled(50, 2, seed), sampled(50, 2, seed + 100)
    roots = 2 * math.sqrt(float(a.covariance.det() * b.covariance.det()))
    overlap = 2 * math.sqrt(float((a.covariance @ b.covariance).trace()) + roots)
    shift = float((a.mean - b.mean).square().sum())
    expected = shift + float(a.covariance.trace() + b.covariance.trace()) - overlap
    assert frechet_distance(a, b) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("wrong", "expected", "tolerance"),
    [
        (exact(SHIFT.double() + 0.1, PLANE.covariance), 0.020, 1e-12),
        (exact(SHIFT, 1.1 * PLANE.covariance), (math.sqrt(1.1) - 1) ** 2 * 5.26, 1e-12),
        (exact(SHIFT, PLANE.covariance.diag().diag()), 1.14, 5e-3),
        (standard(2), 7.10, 5e-3),
        (exact(SHIFT, torch.zeros(2, 2)), 5.26, 1e-12),
    ],
    ids=["mean", "scale", "correlation", "standard", "point"],
)
def test_wrong_generators_of_the_plane(wrong: Moments, expected: float, tolerance: float) -> None:
    assert frechet_distance(wrong, PLANE) == pytest.approx(expected, abs=tolerance)


def test_collapse_onto_the_major_axis_costs_the_minor_one_alone() -> None:
    values, vectors = torch.linalg.eigh(PLANE.covariance)
    line = exact(SHIFT, values[1] * vectors[:, 1:] @ vectors[:, 1:].T)
    assert float(values[0]) == pytest.approx(0.0949, abs=5e-5)
    assert frechet_distance(line, PLANE) == pytest.approx(float(values[0]), abs=1e-7)


@pytest.mark.parametrize(("count", "dim"), [(50, 1), (50, 2), (200, 16), (700, 64)])
@pytest.mark.parametrize("seed", range(3))
def test_equals_torchmetrics(count: int, dim: int, seed: int) -> None:
    a, b = sampled(count, dim, seed), sampled(count + 7, dim, seed + 100)
    theirs = float(_compute_fid(a.mean, a.covariance, b.mean, b.covariance))
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize(("count", "dim"), [(50, 2), (200, 16), (300, 64)])
@pytest.mark.parametrize("seed", range(3))
def test_equals_pot(count: int, dim: int, seed: int) -> None:
    a, b = sampled(count, dim, seed), sampled(count + 7, dim, seed + 100)
    parts = (part.numpy() for part in (a.mean, b.mean, a.covariance, b.covariance))
    theirs = float(bures_wasserstein_distance(*parts)) ** 2
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("count", [2, 5, 40, 64])
def test_fewer_samples_than_features_give_what_they_give_in_their_own_span(count: int) -> None:
    # Rotated into as many dimensions as there are, and padded with zeros, the distance is the same.
    x, y = normal(count, count, seed=1), 2 * normal(count, count, seed=2) + 0.5
    rotation = torch.linalg.qr(normal(65, 65, seed=3)).Q
    inside, outside = (torch.nn.functional.pad(points, (0, 65 - count)) @ rotation for points in (x, y))
    found = frechet_distance(Moments.of(inside), Moments.of(outside))
    assert found == pytest.approx(frechet_distance(Moments.of(x), Moments.of(y)), rel=1e-6)
    assert frechet_distance(Moments.of(inside), Moments.of(inside)) == pytest.approx(0, abs=1e-11)


def test_planes_at_right_angles_share_nothing() -> None:
    # The square roots of rounded zeros are 1e-8 each, not their own size: hence the tolerance.
    rotation = torch.linalg.qr(normal(64, 64, seed=1)).Q
    x, y = normal(500, 10, seed=2) @ rotation[:10], normal(500, 10, seed=3) @ rotation[10:20]
    a, b = Moments.of(x), Moments.of(y)
    expected = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace()
    assert frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-6)


def test_point_against_point_and_against_samples() -> None:
    point = exact(torch.full((5,), 2.0), torch.zeros(5, 5))
    assert frechet_distance(point, exact(torch.zeros(5), torch.zeros(5, 5))) == 20
    samples = sampled(100, 5, 1)
    expected = (samples.mean - 2).square().sum() + samples.covariance.trace()
    assert frechet_distance(samples, point) == pytest.approx(float(expected), rel=1e-14)


def test_is_never_negative_where_rounding_is_all_there_is() -> None:
    found = []
    for seed in range(20):
        moments = sampled(30, 40, seed)
        found.append(frechet_distance(moments, exact(moments.mean, moments.covariance * (1 + 1e-15))))
    assert min(found) >= 0
    assert max(found) < 1e-10


def test_symmetric_and_the_same_in_rotated_features() -> None:
    a, b = sampled(60, 10, 1), sampled(90, 10, 2)
    found = frechet_distance(a, b)
    rotation = torch.linalg.qr(normal(10, 10, seed=3)).Q
    turned = [exact(rotation @ one.mean, rotation @ one.covariance @ rotation.T) for one in (a, b)]
    assert frechet_distance(b, a) == pytest.approx(found, rel=1e-12)
    assert frechet_distance(*turned) == pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize("factor", [1e-3, 1e3, 1e6])
def test_grows_with_the_square_of_the_unit_of_length(factor: float) -> None:
    a, b = sampled(60, 10, 1), sampled(90, 10, 2)
    scaled = [exact(factor * one.mean, factor**2 * one.covariance) for one in (a, b)]
    assert frechet_distance(*scaled) == pytest.approx(factor**2 * frechet_distance(a, b), rel=1e-11)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_moments_that_are_not_finite_give_no_number(bad: float) -> None:
    features = normal(20, 3)
    features[4, 1] = bad
    spoiled, good = Moments.of(features), sampled(20, 3, 1)
    assert math.isnan(frechet_distance(spoiled, good))
    assert math.isnan(frechet_distance(good, spoiled))
    assert math.isnan(frechet_floor(spoiled, 10))


def test_different_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="moments of 2 and of 8 features"):
        frechet_distance(standard(2), standard())


def test_moments_by_hand() -> None:
    moments = Moments.of(torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 7.0]]))
    assert moments.mean.tolist() == [2, 3]
    assert moments.covariance.tolist() == [[4, 6], [6, 12]]
    assert moments.count == 3


@pytest.mark.parametrize("count", [2, 4095, 4096, 4097, 9000])
def test_moments_equal_torch_whatever_the_number_of_chunks(count: int) -> None:
    features = (normal(count, 6) @ normal(6, 6, seed=1) + 3).float()
    moments = Moments.of(features)
    assert moments.mean.dtype == moments.covariance.dtype == torch.float64
    torch.testing.assert_close(moments.mean, features.double().mean(0), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(moments.covariance, features.double().T.cov(), rtol=1e-12, atol=1e-12)


def test_moments_far_from_the_origin_lose_nothing() -> None:
    features = (normal(5000, 3) * 256).round() / 256  # so that float64 holds them there exactly
    near, far = Moments.of(features), Moments.of(features + 2.0**30)
    torch.testing.assert_close(far.covariance, near.covariance, rtol=1e-9, atol=1e-9)


def test_moments_leave_the_features_as_they_were() -> None:
    features = normal(10, 3).requires_grad_()
    before = features.detach().clone()
    assert not Moments.of(features).covariance.requires_grad
    assert torch.equal(features, before)


@pytest.mark.parametrize("shape", [(1, 3), (0, 3), (5,), (5, 0), (5, 1, 3)])
def test_moments_of_too_little_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least two samples"):
        Moments.of(torch.zeros(shape))


def test_floor_of_the_plane_is_that_of_its_closed_form() -> None:
    trace, determinant = 5.26, 0.49
    for count in (1, 1000, 10_000):
        assert frechet_floor(PLANE, count) == pytest.approx((1.5 * trace + determinant / trace) / count, rel=1e-12)
    assert f"{frechet_floor(PLANE, 1):.3f}" == "7.983"


def test_floor_by_hand_and_where_some_variance_is_zero() -> None:
    # 3/2 (1 + 3 + 0 + 0) + 1·3/4 = 6.75; pairs with a zero add nothing
    reference = exact(torch.zeros(4), torch.tensor([1.0, 3.0, 0.0, 0.0]).diag())
    assert frechet_floor(reference, 10) == pytest.approx(0.675, rel=1e-14)
    assert frechet_floor(Moments(reference.mean, reference.covariance, 30), 10) == pytest.approx(0.9, rel=1e-14)
    assert frechet_floor(exact(torch.zeros(4), torch.zeros(4, 4)), 10) == 0


def test_floor_is_refused_for_no_samples() -> None:
    with pytest.raises(ValueError, match="at least one sample, not 0"):
        frechet_floor(PLANE, 0)


@pytest.mark.parametrize("count", [500, 4000])
def test_samples_of_the_plane_score_the_floor_in_the_mean(count: int) -> None:
    repeats = 300
    samples = (normal(repeats * count, 2) @ MATRIX + SHIFT).split(count)
    found = torch.tensor([frechet_distance(Moments.of(chunk), PLANE) for chunk in samples], dtype=torch.float64)
    floor = frechet_floor(PLANE, count)
    assert abs(float(found.mean()) - floor) < SIGMAS * float(found.std()) / math.sqrt(repeats) + 5 / count * floor
    assert SIGMAS * float(found.std()) / math.sqrt(repeats) < 0.3 * floor


def test_twenty_times_ten_thousand_samples_of_the_plane() -> None:
    found = [frechet_distance(Moments.of(normal(10_000, 2, seed=s) @ MATRIX + SHIFT), PLANE) for s in range(20)]
    assert 4e-4 < sum(found) / 20 < 1.2e-3
    assert max(found) < 6e-3


@pytest.mark.parametrize(("count", "reference"), [(2000, 2000), (1000, 6000)])
def test_two_sets_of_one_gaussian_score_the_floor(count: int, reference: int) -> None:
    mix, repeats, found = normal(24, 24, seed=9) / 5, 30, []
    for seed in range(repeats):
        held, fresh = (normal(n, 24, seed=seed + i) @ mix for i, n in ((1000, reference), (5000, count)))
        held_moments = Moments.of(held)
        found.append(frechet_distance(Moments.of(fresh), held_moments) / frechet_floor(held_moments, count))
    ratio = torch.tensor(found, dtype=torch.float64)
    error = float(ratio.std()) / math.sqrt(repeats)
    assert abs(float(ratio.mean()) - 1) < 3 * error + 24 / count  # the next terms are of the order of d/n
    assert 3 * error < 0.1


def test_distance_grows_with_noise_shift_and_lost_directions() -> None:
    real = normal(3000, 10) @ normal(10, 10, seed=1)
    reference = Moments.of(real)
    fresh = normal(3000, 10, seed=2) @ normal(10, 10, seed=1)
    noise = normal(3000, 10, seed=3)
    noisy = [frechet_distance(Moments.of(fresh + size * noise), reference) for size in (0, 0.25, 0.5, 1, 2)]
    shifted = [frechet_distance(Moments.of(fresh + size), reference) for size in (0, 0.25, 0.5, 1, 2)]
    collapsed = [frechet_distance(Moments.of(fresh * (torch.arange(10) >= lost)), reference) for lost in range(10)]
    for series in (noisy, shifted, collapsed):
        assert all(one < other for one, other in pairwise(series))
