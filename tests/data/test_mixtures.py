"""The ring and the grid: where their modes lie, and that every point is drawn as it says."""

import math
from collections.abc import Callable, Sequence
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from gan_cli.build import load_data
from gan_cli.data.dataset import Dataset, Mixture
from gan_cli.data.mixtures import grid, ring
from gan_cli.errors import Refused
from gan_cli.schema import Config

Compose = Callable[..., Config]

RING = [(math.cos(2 * math.pi * k / 8), math.sin(2 * math.pi * k / 8)) for k in range(8)]
GRID = list(product((-4.0, -2.0, 0.0, 2.0, 4.0), repeat=2))
SIGMAS = 4.5  # of the sampling error, within which an estimate lies but for one time in 150,000

# As the paper has them; so wide that modes overlap; and with few modes.
DRAWS: dict[str, Callable[[], Dataset]] = {
    "ring8": ring,
    "grid25": grid,
    "ring8-wide": lambda: ring(std=2.0),
    "grid25-wide": lambda: grid(std=5.0, data_seed=3),
    "ring1": lambda: ring(modes=1, num_samples=20_000),
    "grid1": lambda: grid(side=1, num_samples=20_000),
    "ring3": lambda: ring(modes=3, radius=7.0, std=0.5, num_samples=20_000),
    "grid4": lambda: grid(side=2, spacing=0.5, num_samples=20_000, data_seed=1),
}
draws = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)


def mixture_of(data: Dataset) -> Mixture:
    assert data.mixture is not None
    return data.mixture


def labels_of(data: Dataset) -> Tensor:
    assert data.labels is not None
    return data.labels


def noise_of(data: Dataset) -> Tensor:
    """The points around their modes, in standard deviations: float64 (N, 2)."""
    mixture = mixture_of(data)
    return (data.samples.double() - mixture.means[labels_of(data)]) / mixture.std


def assert_uniform(counts: Tensor) -> None:
    """Pearson's χ² of counts against equal shares, by Wilson and Hilferty's normal approximation; too even is wrong."""
    expected, freedom = float(counts.sum()) / len(counts), len(counts) - 1
    chi_square = float(((counts.double() - expected) ** 2).sum()) / expected
    spread = 2 / (9 * freedom)
    assert abs((chi_square / freedom) ** (1 / 3) - (1 - spread)) < SIGMAS * math.sqrt(spread)


def assert_distributed_as_ranks(probabilities: Tensor) -> None:
    """Kolmogorov and Smirnov: a distribution function at its own draws is uniform."""
    ranks = (torch.arange(len(probabilities)) + 0.5) / len(probabilities)
    assert float((probabilities.sort().values - ranks).abs().max()) < 2.2 / math.sqrt(len(probabilities))


@pytest.mark.parametrize(
    ("option", "means", "std"), [("ring8", RING, 0.01), ("grid25", GRID, 0.05)], ids=["ring8", "grid25"]
)
def test_options_are_pacgans_mixtures_of_a_hundred_thousand_points(
    option: str, means: Sequence[tuple[float, float]], std: float, compose: Compose
) -> None:
    data = load_data(compose(f"data={option}"))
    assert_close(mixture_of(data).means, torch.tensor(means, dtype=torch.float64), rtol=0, atol=1e-15)
    assert mixture_of(data).std == std
    assert data.samples.shape == (100_000, 2)
    assert torch.equal(data.samples, DRAWS[option]().samples)
    assert data.classes == tuple(str(mode) for mode in range(len(means)))


@pytest.mark.parametrize(
    ("data", "means"),
    [
        (ring(modes=1, radius=3.0, num_samples=1), [(3, 0)]),
        (ring(modes=2, radius=0.5, num_samples=1), [(0.5, 0), (-0.5, 0)]),
        (ring(modes=4, radius=2.0, num_samples=1), [(2, 0), (0, 2), (-2, 0), (0, -2)]),
        (grid(side=1, num_samples=1), [(0, 0)]),
        (grid(side=2, num_samples=1), [(-1, -1), (-1, 1), (1, -1), (1, 1)]),
        (grid(side=3, spacing=0.25, num_samples=1), product((-0.25, 0, 0.25), repeat=2)),
        (grid(side=4, num_samples=1), product((-3, -1, 1, 3), repeat=2)),
    ],
    ids=["ring1", "ring2", "ring4", "grid1", "grid2", "grid3", "grid4"],
)
def test_few_or_even_numbers_of_modes_lie_evenly_around_the_origin(
    data: Dataset, means: Sequence[tuple[float, float]]
) -> None:
    assert_close(mixture_of(data).means, torch.tensor(list(means), dtype=torch.float64), rtol=0, atol=1e-15)


@draws
def test_every_mode_has_its_mean_and_covariance(draw: Callable[[], Dataset]) -> None:
    data = draw()
    noise = noise_of(data)
    for mode in range(len(mixture_of(data).means)):
        mine = noise[labels_of(data) == mode]
        error = SIGMAS / math.sqrt(len(mine))
        assert float(mine.mean(0).abs().max()) < error
        assert_close(mine.T.cov().diag(), torch.ones(2, dtype=torch.float64), rtol=0, atol=math.sqrt(2) * error)
        assert abs(float(mine.T.cov()[0, 1])) < error


@draws
def test_every_mode_is_a_round_gaussian(draw: Callable[[], Dataset]) -> None:
    noise = noise_of(draw())
    energy = noise.square().sum(1) / 2  # exponential
    assert_distributed_as_ranks(1 - (-energy).exp())
    assert -2.4 < float(energy.max()) - math.log(len(noise)) < 11  # Gumbel: each side but for one time in 50,000
    assert_distributed_as_ranks((noise[:, 1].atan2(noise[:, 0]) / math.pi + 1) / 2)  # of the direction: uniform


@pytest.mark.parametrize("draw", [ring, grid], ids=["ring8", "grid25"])
@pytest.mark.parametrize("data_seed", [0, 1, 2])
def test_modes_are_equally_likely(draw: Callable[..., Dataset], data_seed: int) -> None:
    data = draw(data_seed=data_seed)
    modes = len(mixture_of(data).means)
    labels = labels_of(data)
    assert_uniform(labels.bincount(minlength=modes))
    assert_uniform(labels[:2000].bincount(minlength=modes))  # in every part of the data: `data.limit` takes the first


@pytest.mark.parametrize("draw", [ring, grid], ids=["ring8", "grid25"])
def test_one_points_mode_says_nothing_of_the_nexts(draw: Callable[..., Dataset]) -> None:
    data = draw()
    modes = len(mixture_of(data).means)
    first, second = labels_of(data).reshape(-1, 2).unbind(1)
    assert_uniform((first * modes + second).bincount(minlength=modes**2))


@pytest.mark.parametrize("draw", [ring, grid], ids=["ring8", "grid25"])
def test_label_is_the_mode_that_lies_nearest(draw: Callable[..., Dataset]) -> None:
    data = draw()  # its modes are 40 standard deviations apart or more
    distances = (data.samples.double()[:, None] - mixture_of(data).means).square().sum(2)
    assert torch.equal(distances.argmin(1), labels_of(data))


@pytest.mark.parametrize("modes", [1, 3, 10_000])
def test_every_label_names_a_class(modes: int) -> None:
    data = ring(modes=modes, num_samples=200_000)
    assert labels_of(data).unique().tolist() == list(range(modes))
    assert len(data.classes) == modes


def test_sizes_scale_the_same_points() -> None:
    assert_close(ring(radius=4.0, std=0.04).samples, 4 * ring().samples)
    assert_close(grid(spacing=3.0, std=0.075).samples, 1.5 * grid().samples)


@pytest.mark.parametrize("draw", [ring, grid], ids=["ring8", "grid25"])
def test_points_depend_on_the_data_seed_alone(draw: Callable[..., Dataset]) -> None:
    first = draw(num_samples=1000, data_seed=4)
    torch.manual_seed(77)
    before = torch.get_rng_state()
    again = draw(num_samples=1000, data_seed=4)
    assert torch.equal(again.samples, first.samples)
    assert torch.equal(labels_of(again), labels_of(first))
    assert torch.equal(torch.get_rng_state(), before)
    other = draw(num_samples=1000, data_seed=5)
    assert not torch.isin(other.samples, first.samples).all(1).any()
    assert not torch.equal(labels_of(other), labels_of(first))


@pytest.mark.parametrize("option", ["ring8", "grid25"])
def test_runs_of_different_seeds_share_their_data(option: str, compose: Compose) -> None:
    one, other = (load_data(compose(f"data={option}", f"seed={seed}")) for seed in (0, 1))
    assert one.digest() == other.digest()
    assert load_data(compose(f"data={option}", "data.data_seed=1")).digest() != one.digest()


def test_first_points_are_still_of_the_whole_mixture(compose: Compose) -> None:
    data = load_data(compose("data=grid25", "data.limit=3"))
    assert torch.equal(data.samples, grid().samples[:3])
    assert torch.equal(labels_of(data), labels_of(grid())[:3])
    assert torch.equal(mixture_of(data).means, mixture_of(grid()).means)


@pytest.mark.parametrize(
    ("option", "override", "words"),
    [
        ("ring8", "data.modes=0", r"data\.modes must be at least 1, got 0"),
        ("ring8", "data.radius=0", r"data\.radius must be greater than 0"),
        ("ring8", "data.std=0", r"data\.std must be greater than 0"),
        ("grid25", "data.side=0", r"data\.side must be at least 1, got 0"),
        ("grid25", "data.spacing=-2", r"data\.spacing must be greater than 0"),
        ("grid25", "data.num_samples=0", r"data\.num_samples must be at least 1"),
        ("ring8", "+data.side=5", r"data\.side"),
        ("grid25", "+data.modes=25", r"data\.modes"),
    ],
)
def test_what_is_no_mixture_is_refused_by_its_key(option: str, override: str, words: str, compose: Compose) -> None:
    with pytest.raises(Refused, match=words):
        compose(f"data={option}", override)
