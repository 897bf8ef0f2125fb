"""Features divided by their standard deviation on a reference: closed forms, dead units, scales."""

import pytest
import torch
from torch import Tensor

from gan_cli.metrics.kid import polynomial_mmd2
from gan_cli.metrics.standardize import standardizer


def normal(count: int, dim: int, seed: int = 0) -> Tensor:
    return torch.randn(count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_two_samples_by_hand() -> None:
    # Means 2 and 10; standard deviations sqrt(2) and sqrt(8).
    scaled = standardizer(torch.tensor([[1.0, 12.0], [3.0, 8.0]]))
    assert scaled.mean.tolist() == [2, 10]
    assert scaled.scale.tolist() == pytest.approx([2**0.5, 8**0.5])
    assert scaled.kept.tolist() == [True, True]
    assert scaled(torch.tensor([[2.0, 10.0], [4.0, 14.0]])).flatten().tolist() == pytest.approx([0, 0, 2**0.5, 2**0.5])


def test_reference_gets_mean_0_and_variance_1() -> None:
    reference = normal(300, 5) * torch.tensor([1.0, 20.0, 0.3, 5.0, 0.1]) + 7
    found = standardizer(reference)(reference)
    assert found.dtype == torch.float64
    assert torch.allclose(found.mean(0), torch.zeros(5, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(found.var(0), torch.ones(5, dtype=torch.float64))


def test_other_sets_are_measured_with_the_references_scale() -> None:
    reference = normal(300, 5)
    scaled = standardizer(reference)
    found = scaled(2 * reference + 3)
    assert torch.allclose(found.std(0), torch.full((5,), 2.0, dtype=torch.float64))
    assert not torch.allclose(found.mean(0), torch.zeros(5, dtype=torch.float64), atol=0.5)


@pytest.mark.parametrize(("spread", "kept"), [(0.0, False), (0.9e-3, False), (1.1e-3, True), (1.0, True)])
def test_units_below_a_thousandth_of_the_largest_are_left_out(spread: float, kept: bool) -> None:
    reference = torch.tensor([[-1.0, -spread + 5, -0.5], [1.0, spread + 5, 0.5]], dtype=torch.float64)
    scaled = standardizer(reference)
    assert scaled.kept.tolist() == [True, kept, True]
    assert scaled(reference).shape == (2, 2 + kept)
    assert scaled.mean.shape == scaled.scale.shape == (2 + kept,)


def test_dead_unit_that_wakes_in_another_set_does_not_decide() -> None:
    reference, other = normal(200, 4), normal(200, 4, seed=1)
    reference[:, 3] = 1e-6 * reference[:, 3]
    scaled = standardizer(reference)
    assert abs(polynomial_mmd2(scaled(reference), scaled(other))) < 0.2
    three = standardizer(reference[:, :3])
    assert torch.equal(scaled(other), three(other[:, :3]))


def test_scales_and_offsets_of_the_units_do_not_matter() -> None:
    reference, other = normal(200, 4), 1.3 * normal(200, 4, seed=1)
    scale, offset = torch.tensor([1.0, 50.0, 0.2, 3.0]), torch.tensor([0.0, -100.0, 4.0, 1e3])
    moved = standardizer(scale * reference + offset)
    assert torch.allclose(moved(scale * other + offset), standardizer(reference)(other), atol=1e-9)


def test_float32_features_are_computed_with_in_float64() -> None:
    reference = (normal(100, 3) + 1000).float().requires_grad_()
    scaled = standardizer(reference)
    found = scaled(reference)
    assert found.dtype == scaled.mean.dtype == torch.float64
    assert not found.requires_grad
    assert torch.equal(found, standardizer(reference.double())(reference.double()))


@pytest.mark.parametrize("shape", [(1, 4), (0, 4), (4, 0), (4,), (2, 2, 2)])
def test_too_little_to_measure_a_spread_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"at least two samples \(n, d\)"):
        standardizer(torch.ones(shape))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(value: float) -> None:
    reference = normal(5, 3)
    reference[2, 1] = value
    with pytest.raises(ValueError, match="not all finite"):
        standardizer(reference)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
def test_reference_without_any_spread_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="no feature varies"):
        standardizer(torch.full((7, 3), value))
