"""The kernel distance against sums done by hand, the definition pair by pair, and expectations known in advance."""

import math
from itertools import combinations

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torchmetrics.image.kid import poly_mmd

from gan_cli.metrics.kid import polynomial_mmd2


def drawn(count: int, features: int, seed: int, mean: float = 0.0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return mean + torch.randn(count, features, generator=random, dtype=torch.float64)


def kernel(a: list[float], b: list[float]) -> float:
    return (math.fsum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3


def by_pairs(x: Tensor, y: Tensor) -> float:
    """The definition, one pair at a time."""
    one, other = x.double().tolist(), y.double().tolist()
    total = 0.0
    for points in (one, other):
        values = [kernel(a, b) for i, a in enumerate(points) for j, b in enumerate(points) if i != j]
        total += math.fsum(values) / (len(points) * (len(points) - 1))
    return total - 2 * math.fsum(kernel(a, b) for a in one for b in other) / (len(one) * len(other))


def test_one_feature_by_hand() -> None:
    # k(1, 2) = 27 and k(0, 3) = 1; between the sets 1, 64, 1 and 343, whose mean is 102.25
    assert polynomial_mmd2(torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [3.0]])) == 27 + 1 - 2 * 102.25


def test_two_features_and_sets_of_different_size_by_hand() -> None:
    x = torch.tensor([[1.0, 1.0], [2.0, 0.0]])  # xᵀx' = 2: 8
    y = torch.tensor([[0.0, 2.0], [1.0, -1.0], [-2.0, 0.0]])  # yᵀy' = -2, 0, -2: 0, 1, 0
    between = [8, 1, 0, 1, 8, -1]  # xᵀy = 2, 0, -2, 0, 2, -4
    assert polynomial_mmd2(x, y) == pytest.approx(8 + 1 / 3 - 2 * sum(between) / 6, abs=1e-14)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (2, 9), (50, 3)])
def test_two_point_masses_have_the_distance_of_their_points(n: int, m: int) -> None:
    a, b = [1.0, -2.0, 0.5], [0.0, 3.0, 1.5]
    found = polynomial_mmd2(torch.tensor([a]).expand(n, -1), torch.tensor([b]).expand(m, -1))
    assert found == pytest.approx(kernel(a, a) + kernel(b, b) - 2 * kernel(a, b), rel=1e-13)
    assert found > 0
    assert polynomial_mmd2(torch.tensor([a]).expand(n, -1), torch.tensor([a]).expand(m, -1)) == pytest.approx(
        0, abs=1e-13
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "m", "features"), [(2, 2, 1), (7, 4, 1), (13, 30, 5), (40, 40, 64)])
def test_equals_the_definition_pair_by_pair(n: int, m: int, features: int, dtype: torch.dtype) -> None:
    x, y = drawn(n, features, 1).to(dtype), drawn(m, features, 2, mean=0.3).to(dtype)
    assert polynomial_mmd2(x, y) == pytest.approx(by_pairs(x, y), rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("mean", [0.0, 0.5])
@pytest.mark.parametrize(("count", "features"), [(2, 1), (50, 3), (300, 64)])
def test_equals_torchmetrics(count: int, features: int, mean: float) -> None:
    x, y = drawn(count, features, 1), drawn(count, features, 2, mean)  # theirs are sets of one size
    assert polynomial_mmd2(x, y) == pytest.approx(float(poly_mmd(x, y)), rel=1e-11, abs=1e-12)


def test_large_features_lose_nothing_but_float64_rounding() -> None:
    x, y = drawn(20, 3, 1, mean=1e4).float(), drawn(30, 3, 2, mean=1e4).float()
    scale = kernel(x[0].tolist(), y[0].tolist())  # some 1e24; the distance is a billionth of it
    assert 1e-10 * scale < abs(by_pairs(x, y)) < 1e-8 * scale
    assert polynomial_mmd2(x, y) == pytest.approx(by_pairs(x, y), abs=1e-13 * scale)


@pytest.mark.parametrize(("count", "first"), [(6, 3), (7, 2), (7, 5)])
def test_mean_over_all_splits_of_one_set_is_zero(count: int, first: int) -> None:
    points = drawn(count, 3, 5)
    found = []
    for chosen in combinations(range(count), first):
        rest = [i for i in range(count) if i not in chosen]
        found.append(polynomial_mmd2(points[list(chosen)], points[rest]))
    assert min(found) < -0.1  # clamped, the mean would not be zero
    assert max(found) > 0.1
    assert math.fsum(found) / len(found) == pytest.approx(0, abs=1e-12)


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize(("n", "m"), [(20, 20), (5, 40)])
@pytest.mark.parametrize("mean", [0.0, 0.5])
def test_expectation_is_that_of_the_distributions_whatever_the_sizes(n: int, m: int, mean: float) -> None:
    # With one feature k(a, b) = 1 + 3ab + 3a²b² + a³b³, so that MMD² is the weighted sum of the squared differences of
    # the first three moments: those of N(0, 1) are 0, 1, 0, those of N(μ, 1) are μ, 1 + μ², μ³ + 3μ.
    expected = 3 * mean**2 + 3 * mean**4 + (mean**3 + 3 * mean) ** 2
    repeats = 3000
    x, y = drawn(repeats * n, 1, 3).split(n), drawn(repeats * m, 1, 4, mean=mean).split(m)
    found = torch.tensor([polynomial_mmd2(a, b) for a, b in zip(x, y, strict=True)], dtype=torch.float64)
    error = float(found.std()) / math.sqrt(repeats)
    assert abs(float(found.mean()) - expected) < 3 * error
    # The diagonals of the first set alone would add (E k(a, a) - E k(a, a')) / n = (28 - 4) / n.
    assert 24 / n > 6 * error


def test_order_of_samples_and_of_sets_does_not_matter() -> None:
    x, y = drawn(40, 5, 1), drawn(25, 5, 2, mean=0.5)
    found = polynomial_mmd2(x, y, chunk=16)
    for seed in range(5):
        random = torch.Generator().manual_seed(seed)
        shuffled = [points[torch.randperm(len(points), generator=random)] for points in (x, y)]
        assert polynomial_mmd2(*shuffled, chunk=16) == pytest.approx(found, rel=1e-12)
    assert polynomial_mmd2(y, x) == pytest.approx(found, rel=1e-12)


def test_rotation_of_both_sets_does_not_matter_and_of_one_does() -> None:
    x, y = drawn(40, 5, 1, mean=0.5), drawn(25, 5, 2, mean=0.3)
    rotation = torch.linalg.qr(drawn(5, 5, 3)).Q
    assert polynomial_mmd2(x @ rotation, y @ rotation) == pytest.approx(polynomial_mmd2(x, y), rel=1e-11)
    assert abs(polynomial_mmd2(x @ rotation, y) - polynomial_mmd2(x, y)) > 0.1


@pytest.mark.parametrize("chunk", [1, 3, 7, 25, 39, 40, 10_000])
def test_chunk_does_not_matter(chunk: int) -> None:
    x, y = drawn(40, 5, 1), drawn(25, 5, 2, mean=0.5)
    assert polynomial_mmd2(x, y, chunk) == pytest.approx(by_pairs(x, y), rel=1e-12)


def test_no_more_kernel_values_than_a_block_are_in_memory() -> None:
    class Largest(TorchDispatchMode):
        """The most elements that any operation made."""

        elements = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            made = func(*args, **(kwargs or {}))
            if isinstance(made, Tensor):
                self.elements = max(self.elements, made.numel())
            return made

    x, y = drawn(3000, 4, 1), drawn(2000, 4, 2)
    with Largest() as largest:
        found = polynomial_mmd2(x, y, chunk=500)
    assert largest.elements == 500 * 500
    assert found == pytest.approx(polynomial_mmd2(x, y, chunk=3000), abs=1e-12)


def test_features_are_left_as_they_were() -> None:
    x, y = drawn(10, 3, 1).requires_grad_(), drawn(12, 3, 2)
    before = x.clone(), y.clone()
    polynomial_mmd2(x, y)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_features_that_are_not_finite_give_no_number(bad: float) -> None:
    x, y = drawn(10, 3, 1), drawn(12, 3, 2)
    x[4, 1] = bad
    assert math.isnan(polynomial_mmd2(x, y))
    assert math.isnan(polynomial_mmd2(y, x))


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ((1, 3), (5, 3)),
        ((5, 3), (1, 3)),
        ((0, 3), (5, 3)),
        ((5, 3), (5, 1)),
        ((5, 0), (5, 0)),
        ((5,), (5,)),
        ((5, 1, 3), (5, 1, 3)),
    ],
)
def test_sets_that_cannot_be_compared_are_refused(x: tuple[int, ...], y: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least two samples with the same features") as caught:
        polynomial_mmd2(torch.zeros(x), torch.zeros(y))
    assert str(x) in str(caught.value)
    assert str(y) in str(caught.value)
