"""Modes found and samples of high quality, against closed forms and a count done by hand."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gan_cli.data.dataset import Dataset
from gan_cli.data.mixtures import grid, ring
from gan_cli.metrics.modes import PERFECT_IN_THE_PLANE, ModeCoverage, mode_coverage

COUNT, REPEATS = 2500, 50
SIGMAS = 4.5  # of the sampling error


def mixtures() -> dict[str, tuple[Tensor, float]]:
    """Means and standard deviation of PacGAN's two."""
    found = {"ring8": ring(num_samples=1).mixture, "grid25": grid(num_samples=1).mixture}
    return {name: (mixture.means, mixture.std) for name, mixture in found.items() if mixture is not None}


MIXTURES = mixtures()
each_mixture = pytest.mark.parametrize(("means", "std"), MIXTURES.values(), ids=MIXTURES)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(means: Tensor, std: float, count: int, seed: int = 0) -> Tensor:
    """Independent draws from the mixture, float32 as a generator's output is."""
    random = generator(seed)
    modes = torch.randint(len(means), (count,), generator=random)
    noise = torch.randn(count, means.shape[1], generator=random, dtype=torch.float64)
    return (means[modes] + std * noise).float()


def counted(samples: Tensor, means: Tensor, std: float) -> ModeCoverage:
    """The definition, one pair of points at a time."""
    hits = [0] * len(means)
    for sample in samples.double().tolist():
        distances = [math.dist(sample, mean) for mean in means.double().tolist()]
        nearest = min(range(len(means)), key=lambda mode: distances[mode])
        hits[nearest] += distances[nearest] < 3 * std
    good = sum(hits)
    shares = [hit / good for hit in hits if hit]
    kl = math.fsum(share * math.log(share * len(means)) for share in shares) if good else math.log(len(means))
    return ModeCoverage(sum(hit > 0 for hit in hits), good / len(samples), pytest.approx(kl, rel=1e-12, abs=1e-15))


def nothing(means: Tensor) -> ModeCoverage:
    return ModeCoverage(0, 0.0, math.log(len(means)))


def coverage(modes: int, high_quality: float, kl: float = 0.0) -> ModeCoverage:
    """With its divergence up to rounding."""
    return ModeCoverage(modes, high_quality, pytest.approx(kl, rel=1e-12, abs=1e-15))


def test_three_standard_deviations_hold_98_9_percent_of_the_plane() -> None:
    steps = 100_000  # the density of the radius, r exp(-r²/2), summed from 0 to 3
    radii = (torch.arange(steps, dtype=torch.float64) + 0.5) * (3 / steps)
    summed = float((radii * (-radii.square() / 2).exp()).sum()) * (3 / steps)
    assert pytest.approx(summed, abs=1e-9) == PERFECT_IN_THE_PLANE
    assert f"{PERFECT_IN_THE_PLANE:.1%}" == "98.9%"


@each_mixture
def test_the_mixture_itself_has_all_modes_and_98_9_percent_of_high_quality(means: Tensor, std: float) -> None:
    chunks = drawn(means, std, COUNT * REPEATS).split(COUNT)
    found = [mode_coverage(chunk, means, std) for chunk in chunks]
    assert {one.modes for one in found} == {len(means)}
    shares = torch.tensor([one.high_quality for one in found], dtype=torch.float64)
    binomial = math.sqrt(PERFECT_IN_THE_PLANE * (1 - PERFECT_IN_THE_PLANE) / COUNT)  # 0.2 %
    assert abs(float(shares.mean()) - PERFECT_IN_THE_PLANE) < SIGMAS * binomial / math.sqrt(REPEATS)
    assert float(shares.std()) == pytest.approx(binomial, rel=SIGMAS / math.sqrt(2 * REPEATS))
    assert ((shares > 0.984) & (shares < 0.994)).double().mean() >= 0.9  # 98 % of them are expected to lie there


@pytest.mark.parametrize("draw", [ring, grid], ids=["ring8", "grid25"])
def test_the_data_themselves_score_what_their_mixture_does(draw: Callable[..., Dataset]) -> None:
    data = draw(data_seed=1)
    assert data.mixture is not None
    found = mode_coverage(data.samples, data.mixture.means, data.mixture.std)
    assert found.modes == len(data.mixture.means)
    error = math.sqrt(PERFECT_IN_THE_PLANE * (1 - PERFECT_IN_THE_PLANE) / len(data))
    assert abs(found.high_quality - PERFECT_IN_THE_PLANE) < SIGMAS * error


@each_mixture
def test_as_many_modes_are_found_as_were_drawn_from(means: Tensor, std: float) -> None:
    for kept in range(1, len(means) + 1):
        order = torch.randperm(len(means), generator=generator(kept))[:kept]
        found = mode_coverage(drawn(means[order], std, COUNT, kept), means, std)
        assert found.modes == kept
        assert abs(found.high_quality - PERFECT_IN_THE_PLANE) < SIGMAS * 0.0021


@each_mixture
def test_the_centers_are_all_of_high_quality(means: Tensor, std: float) -> None:
    assert mode_coverage(means, means, std) == coverage(len(means), 1.0)
    assert mode_coverage(means[2:3].expand(COUNT, -1), means, std) == coverage(1, 1.0, math.log(len(means)))


@each_mixture
def test_far_samples_cover_nothing(means: Tensor, std: float) -> None:
    directions = torch.randn(COUNT, 2, generator=generator())
    for far in (10.0, 1e10, 1e30):
        around = far * directions / directions.norm(dim=1, keepdim=True)
        assert mode_coverage(around, means, std) == nothing(means)


@each_mixture
def test_one_sample_of_high_quality_finds_a_mode_and_many_of_low_quality_do_not(means: Tensor, std: float) -> None:
    around = means.repeat(100, 1) + 3.01 * std * torch.tensor([0.6, -0.8], dtype=torch.float64)
    assert mode_coverage(around, means, std) == nothing(means)
    samples = torch.cat([around, means[3:4]])
    assert mode_coverage(samples, means, std) == coverage(1, 1 / len(samples), math.log(len(means)))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [(0,), (1,), (0, 1)], ids=["x", "y", "both"])
@each_mixture
def test_sample_that_is_not_finite_is_of_low_quality_and_spoils_no_other(
    means: Tensor, std: float, place: tuple[int, ...], bad: float
) -> None:
    samples = means.repeat_interleave(2, 0)
    samples[::2, list(place)] = bad
    assert mode_coverage(samples, means, std) == coverage(len(means), 0.5)
    assert mode_coverage(samples[::2], means, std) == nothing(means)


@pytest.mark.parametrize("std", [0.25, 1.0, 64.0])
@pytest.mark.parametrize("direction", [(1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (1 / 3, -2 / 3, 2 / 3)])
def test_three_standard_deviations_away_is_too_far_and_less_is_not(
    std: float, direction: tuple[float, float, float]
) -> None:
    means = torch.zeros(1, 3, dtype=torch.float64)
    edge = (3 * std * torch.tensor([direction], dtype=torch.float64)).mul(4).round().div(4)  # without rounding error
    assert float(edge.square().sum()) == (3 * std) ** 2
    assert mode_coverage(edge, means, std) == ModeCoverage(0, 0.0, 0.0)
    assert mode_coverage(edge * (1 - 1e-15), means, std) == ModeCoverage(1, 1.0, 0.0)


def test_distance_is_that_of_all_coordinates_together() -> None:
    corner = torch.tensor([[2.2, 2.2]])  # within three of the mode in each coordinate, 3.1 in both
    assert mode_coverage(corner, torch.zeros(1, 2), 1.0) == ModeCoverage(0, 0.0, 0.0)
    line = torch.full((1, 900), 0.0999)  # 2.997 in 900 dimensions
    assert mode_coverage(line, torch.zeros(1, 900), 1.0) == ModeCoverage(1, 1.0, 0.0)


def test_sample_within_reach_of_two_modes_covers_the_nearer_one() -> None:
    means = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    for x, found in ((0.4, 1), (0.6, 1), (0.5, 1)):
        assert mode_coverage(torch.tensor([[x, 0.0]]), means, 1.0) == coverage(found, 1.0, math.log(2))
    assert mode_coverage(torch.tensor([[0.4, 0.0], [0.6, 0.0]]), means, 1.0) == coverage(2, 1.0)
    assert mode_coverage(torch.tensor([[0.3, 0.0], [0.4, 0.0]]), means, 1.0) == coverage(1, 1.0, math.log(2))


@pytest.mark.parametrize("spread", [0.5, 2.0, 5.0, 60.0], ids=lambda spread: f"{spread}-std")
@pytest.mark.parametrize("count", [1, 3, 400])
@each_mixture
def test_equals_the_count_by_hand(means: Tensor, std: float, count: int, spread: float) -> None:
    samples = drawn(means, spread * std, count, seed=count)
    assert mode_coverage(samples, means, std) == counted(samples, means, std)


@pytest.mark.parametrize("dimensions", [1, 3, 40])
def test_equals_the_count_by_hand_in_other_dimensions(dimensions: int) -> None:
    means = torch.randn(12, dimensions, generator=generator(1), dtype=torch.float64)
    samples = drawn(means, 0.3 / math.sqrt(dimensions), 300, seed=2)  # about three standard deviations away
    expected = counted(samples, means, 0.1)
    assert 0 < expected.high_quality < 1
    assert mode_coverage(samples, means, 0.1) == expected


@each_mixture
def test_order_of_samples_and_of_modes_does_not_matter(means: Tensor, std: float) -> None:
    samples = drawn(means[::2], 2 * std, COUNT)
    found = mode_coverage(samples, means, std)
    assert 0 < found.modes < len(means)
    assert 0 < found.high_quality < 1
    for seed in range(5):
        shuffled = samples[torch.randperm(COUNT, generator=generator(seed))]
        renamed = means[torch.randperm(len(means), generator=generator(seed))]
        assert mode_coverage(shuffled, renamed, std) == found


@pytest.mark.parametrize("offset", [2.0**10, 2.0**15, -(2.0**17)])
def test_far_from_the_origin_nothing_is_lost(offset: float) -> None:
    means, std = 2.0 * MIXTURES["grid25"][0], 0.25
    near = (drawn(means, 1.5 * std, COUNT) * 64).round() / 64  # 64ths, so that float32 holds them there too
    edge = means[:5].float() + torch.tensor([0.75, 0.0])
    near = torch.cat([near, edge])
    far = near + offset
    assert torch.equal(far - offset, near)
    found = mode_coverage(near, means, std)
    assert 0 < found.high_quality < 1
    assert mode_coverage(far, means + offset, std) == found == counted(near, means, std)


@pytest.mark.parametrize("offset", [0.0, 2.0**10, 2.0**20])
def test_edge_is_sharp_far_from_the_origin(offset: float) -> None:
    random = generator(3)
    means = offset + 10 * torch.randn(40, 2, generator=random, dtype=torch.float64)
    samples = (offset + 10 * torch.randn(20, 2, generator=random)).float()
    for sample in samples:
        nearest = min(math.dist(sample.tolist(), mean) for mean in means.tolist())
        assert mode_coverage(sample[None], means, nearest / 3 * (1 + 1e-9)) == coverage(1, 1.0, math.log(40))
        assert mode_coverage(sample[None], means, nearest / 3 * (1 - 1e-9)) == nothing(means)


@pytest.mark.parametrize("factor", [2.0**-60, 2.0**-20, 2.0**20, 2.0**60], ids=lambda factor: f"{factor:.0e}")
@each_mixture
def test_unit_of_length_does_not_matter(means: Tensor, std: float, factor: float) -> None:
    samples = drawn(means, 2 * std, COUNT)
    assert mode_coverage(factor * samples, factor * means, factor * std) == mode_coverage(samples, means, std)


@each_mixture
def test_divergence_of_the_mixture_itself_is_at_its_floor(means: Tensor, std: float) -> None:
    chunks = drawn(means, std, COUNT * REPEATS, seed=7).split(COUNT)
    found = torch.tensor([mode_coverage(chunk, means, std).kl for chunk in chunks], dtype=torch.float64)
    free = len(means) - 1
    good = (
        COUNT * PERFECT_IN_THE_PLANE
    )  # 2n KL has the χ² distribution with K - 1 degrees: mean K - 1, variance 2 (K - 1)
    error = math.sqrt(2 * free) / (2 * good) / math.sqrt(REPEATS)
    assert abs(float(found.mean()) - free / (2 * good)) < SIGMAS * error
    assert float(found.max()) < 0.05 * math.log(len(means))


@each_mixture
def test_divergence_of_some_equal_modes_is_the_logarithm_of_what_is_missing(means: Tensor, std: float) -> None:
    for kept in range(1, len(means) + 1):
        found = mode_coverage(means[:kept].repeat(3, 1), means, std)
        assert found == coverage(kept, 1.0, math.log(len(means) / kept))
        assert 0 <= found.kl <= math.log(len(means)) * (1 + 1e-14)


def test_divergence_of_unequal_modes_by_hand() -> None:
    means = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    samples = means[[0, 0, 0, 1]]
    assert mode_coverage(samples, means, 1.0) == coverage(2, 1.0, 0.75 * math.log(1.5) + 0.25 * math.log(0.5))


@each_mixture
def test_samples_of_low_quality_do_not_count_in_the_divergence(means: Tensor, std: float) -> None:
    # As in PacGAN's code. Assigned to the mode they are nearest to, they would make its share larger.
    near = means[:2] + torch.tensor([0.0, 4 * std])
    samples = torch.cat([means, near[:1].repeat(100, 1), torch.full((5, 2), math.nan)])
    assert mode_coverage(samples, means, std) == coverage(len(means), len(means) / len(samples), 0.0)


@each_mixture
def test_divergence_never_exceeds_the_logarithm_of_the_number_of_modes(means: Tensor, std: float) -> None:
    for seed in range(30):
        for spread in (0.5, 3.0, 30.0):
            found = mode_coverage(drawn(means, spread * std, 1 + seed, seed), means, std)
            assert 0 <= found.kl <= math.log(len(means)) * (1 + 1e-14)
