"""Precision, recall, density and coverage against their authors' package, counts by hand, and expectations."""

import math
from dataclasses import astuple
from unittest.mock import patch

import pytest
import torch
from prdc import compute_prdc
from torch import Tensor

from gan_cli.metrics import prdc as module
from gan_cli.metrics.prdc import PRDC, membership, prdc

SIGMAS = 4.5


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def integers(count: int, dim: int, seed: int) -> Tensor:
    return torch.randint(0, 4, (count, dim), generator=torch.Generator().manual_seed(seed)).double()


def by_authors(real: Tensor, fake: Tensor, k: int) -> PRDC:
    return PRDC(**{name: float(value) for name, value in compute_prdc(real.numpy(), fake.numpy(), k).items()})


def by_hand(real: Tensor, fake: Tensor, k: int) -> PRDC:
    """The definition, one pair of points at a time."""
    r, f = real.tolist(), fake.tolist()

    def radii(points: list[list[float]]) -> list[float]:
        return [sorted(math.dist(p, q) for j, q in enumerate(points) if j != i)[k - 1] for i, p in enumerate(points)]

    in_real = [[math.dist(x, y) < radius for y in f] for x, radius in zip(r, radii(r), strict=True)]
    in_fake = [[math.dist(x, y) < radius for y, radius in zip(f, radii(f), strict=True)] for x in r]
    return PRDC(
        precision=sum(any(row[j] for row in in_real) for j in range(len(f))) / len(f),
        recall=sum(any(row) for row in in_fake) / len(r),
        density=sum(map(sum, in_real)) / (k * len(f)),
        coverage=sum(any(row) for row in in_real) / len(r),
    )


def same(a: PRDC, b: PRDC) -> bool:
    return astuple(a) == pytest.approx(astuple(b), abs=1e-9)


def test_five_points_on_a_line_by_hand() -> None:
    # Radii for k = 1: of the real ones 1, 1, 8, of the fakes 3, 3, 87. Density counts 0.5 twice.
    real, fake = torch.tensor([[0.0], [1.0], [9.0]]), torch.tensor([[0.5], [3.5], [90.5]])
    found = prdc(real, fake, k=1)
    assert found == PRDC(precision=2 / 3, recall=1.0, density=1.0, coverage=1.0)
    inside_real, inside_fake = membership(real, fake, k=1)
    assert inside_real.tolist() == [True, True, False]
    assert inside_fake.tolist() == [True, True, True]


def test_boundary_of_a_ball_is_outside_and_the_point_itself_no_neighbor() -> None:
    real = torch.tensor([[0.0, 0.0], [5.0, 0.0]])  # both of radius 5
    assert prdc(real, torch.tensor([[0.0, 5.0], [0.0, -5.0]]), k=1) == PRDC(0, 1, 0, 0)
    assert prdc(real, torch.tensor([[0.0, 4.9], [0.0, -4.9]]), k=1) == PRDC(1, 1, 1, 0.5)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("n", "m", "dim"), [(50, 60, 1), (300, 200, 3), (200, 350, 64), (60, 60, 512)])
@pytest.mark.parametrize("shift", [0.0, 0.5, 5.0], ids=["same", "other", "apart"])
def test_equals_the_authors_package(n: int, m: int, dim: int, k: int, shift: float) -> None:
    real, fake = normal(n, dim, seed=1), 0.8 * normal(m, dim, seed=2) + shift / math.sqrt(dim)
    ours = prdc(real, fake, k)
    assert astuple(ours) == pytest.approx(astuple(by_authors(real, fake, k)), abs=1e-6)


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_equals_the_authors_package_and_the_count_by_hand_where_many_distances_are_equal(dim: int, k: int) -> None:
    real, fake = integers(60, dim, 1), integers(50, dim, 2)
    assert same(prdc(real, fake, k), by_authors(real, fake, k))
    assert same(prdc(real, fake, k), by_hand(real, fake, k))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_count_by_hand(dtype: torch.dtype) -> None:
    real, fake = normal(40, 4, seed=1).to(dtype), (normal(30, 4, seed=2) + 0.5).to(dtype)
    assert same(prdc(real, fake, 3), by_hand(real, fake, 3))


@pytest.mark.parametrize("offset", [0.0, 10.0, 1000.0])
@pytest.mark.parametrize("dim", [2, 64, 512])
def test_copies_of_all_real_samples_have_density_one_and_no_more(dim: int, offset: float) -> None:
    # Copies of a sample's k-th neighbor lie on its boundary, where rounding would put some of them inside.
    real = normal(300, dim) + offset
    order = torch.randperm(300, generator=torch.Generator().manual_seed(1))
    assert prdc(real, real[order]) == PRDC(1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_few_images_repeated_are_precise_and_dense_without_recall_or_coverage(offset: float) -> None:
    real = normal(1000, 8) + offset
    fresh = normal(10, 8, seed=1) + offset
    found = prdc(real, fresh.repeat(100, 1))
    assert found.precision >= 0.8
    assert found.density > 0.5
    assert found.recall == 0  # radius 0, whatever rounding says
    assert found.coverage < 0.1
    # Copies of ten training images, too: the copied images do not lie in a ball of radius 0.
    copied = prdc(real, real[:10].repeat(100, 1))
    assert copied.precision == 1
    assert copied.recall == 0
    assert copied.coverage < 0.1


@pytest.mark.parametrize(("covered", "expected"), [(1, 0.10), (3, 0.30), (7, 0.69), (10, 0.98)])
def test_fakes_of_some_of_ten_far_clusters(covered: int, expected: float) -> None:
    centers = 100 * torch.eye(10, 16, dtype=torch.float64)
    real = centers.repeat(100, 1) + normal(1000, 16, seed=1)
    fake = centers[:covered].repeat(1000 // covered, 1) + normal(1000 // covered * covered, 16, seed=2)
    found = prdc(real, fake)
    assert abs(found.coverage - expected) < 0.05
    assert found.recall == pytest.approx(found.recall if covered == 10 else covered / 10, abs=0.1)
    assert found.density == pytest.approx(1, abs=0.12)


def test_equal_distributions_have_density_one_and_nearly_full_coverage() -> None:
    found = [prdc(normal(1000, 8, seed=seed), normal(1000, 8, seed=seed + 100)) for seed in range(6)]
    density = sum(one.density for one in found) / len(found)
    coverage = sum(one.coverage for one in found) / len(found)
    assert abs(density - 1) < 0.05
    assert abs(coverage - (1 - 2**-5)) < 0.02


def test_coverage_of_equal_distributions_is_exactly_known() -> None:
    # No fake is nearer than the k-th of N - 1 real ones: the k nearest of N - 1 + M exchangeable points are all real.
    n, m, k = 60, 40, 3
    expected = 1 - math.comb(n - 1, k) / math.comb(n - 1 + m, k)
    repeats = 300
    real, fake = normal(repeats * n, 3, seed=1).split(n), normal(repeats * m, 3, seed=2).split(m)
    found = torch.tensor([prdc(r, f, k).coverage for r, f in zip(real, fake, strict=True)], dtype=torch.float64)
    assert abs(float(found.mean()) - expected) < SIGMAS * float(found.std()) / math.sqrt(repeats)
    assert abs(expected - (1 - 2**-k)) > 3 * SIGMAS * float(found.std()) / math.sqrt(repeats)  # not that of N = M


def test_membership_is_what_precision_and_recall_count() -> None:
    real, fake = normal(200, 6, seed=1), 0.7 * normal(150, 6, seed=2) + 0.8
    inside_real, inside_fake = membership(real, fake, k=4)
    found = prdc(real, fake, k=4)
    assert inside_real.shape == (150,)
    assert inside_fake.shape == (200,)
    assert inside_real.dtype == inside_fake.dtype == torch.bool
    assert float(inside_real.double().mean()) == found.precision
    assert float(inside_fake.double().mean()) == found.recall
    assert 0.2 < found.recall < found.precision < 1
    swapped = membership(fake, real, k=4)
    assert torch.equal(swapped[0], inside_fake)
    assert torch.equal(swapped[1], inside_real)


@pytest.mark.parametrize("block", [1, 150, 1000, 29_999, 10**9])
def test_memory_is_bounded_and_its_bound_changes_nothing(block: int) -> None:
    real, fake = normal(200, 6, seed=1), 0.7 * normal(150, 6, seed=2) + 0.3
    with patch.object(module, "_BLOCK", block):
        assert prdc(real, fake) == by_authors(real, fake, 5)
        assert all(distances.numel() <= max(block, 150) for distances in module._blocks(real, fake))


def test_order_unit_and_rotation_do_not_matter() -> None:
    real, fake = normal(200, 6, seed=1), 0.7 * normal(150, 6, seed=2) + 0.3
    found = prdc(real, fake)
    rotation = torch.linalg.qr(normal(6, 6, seed=3)).Q
    assert prdc(real.flip(0), fake.flip(0)) == found
    assert prdc(1e-3 * real, 1e-3 * fake) == found
    assert prdc(1e6 * real, 1e6 * fake) == found
    assert prdc(real @ rotation, fake @ rotation) == found
    assert prdc(real + 1000, fake + 1000) == found
    assert prdc(real, fake + 1) != found


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_sample_that_is_not_finite_lies_in_nothing_and_holds_nothing(bad: float) -> None:
    real, fake = normal(100, 4, seed=1), normal(80, 4, seed=2)
    spoiled = fake.clone()
    spoiled[::2, 1] = bad
    found, without = prdc(real, spoiled), prdc(real, fake[1::2])
    assert found == PRDC(without.precision / 2, without.recall, without.density / 2, without.coverage)
    assert prdc(spoiled, real) != prdc(fake, real)
    assert prdc(real, torch.full_like(fake, bad)) == PRDC(0, 0, 0, 0)


def test_features_are_left_as_they_were() -> None:
    real, fake = normal(20, 3, seed=1).requires_grad_(), normal(20, 3, seed=2)
    before = real.detach().clone(), fake.clone()
    prdc(real, fake)
    assert torch.equal(real, before[0])
    assert torch.equal(fake, before[1])


@pytest.mark.parametrize(
    ("real", "fake", "k"), [((5, 3), (9, 3), 5), ((9, 3), (5, 3), 5), ((0, 3), (9, 3), 1), ((9, 3), (9, 3), 0)]
)
def test_no_more_samples_than_neighbors_are_refused(real: tuple[int, ...], fake: tuple[int, ...], k: int) -> None:
    with pytest.raises(ValueError, match=f"{k} nearest neighbors need more than"):
        prdc(torch.zeros(real), torch.zeros(fake), k)
    with pytest.raises(ValueError, match=f"{k} nearest neighbors need more than"):
        membership(torch.zeros(real), torch.zeros(fake), k)


@pytest.mark.parametrize(("real", "fake"), [((9, 3), (9, 4)), ((9,), (9,)), ((9, 0), (9, 0)), ((9, 1, 3), (9, 1, 3))])
def test_sets_that_cannot_be_compared_are_refused(real: tuple[int, ...], fake: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="two sets"):
        prdc(torch.zeros(real), torch.zeros(fake))
