"""Shares of classes, their divergence and the classifier's score, against closed forms and torch."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical
from torch.distributions import kl_divergence as torch_kl

from gan_cli.metrics.classes import class_score, histogram, kl_divergence

SIGMAS = 4.5


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shares(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def uniform(classes: int) -> Tensor:
    return torch.full((classes,), 1 / classes, dtype=torch.float64)


def test_histogram_by_hand() -> None:
    found = histogram(torch.tensor([3, 0, 3, 1]), 5)
    assert found.tolist() == [0.25, 0.25, 0, 0.5, 0]
    assert found.dtype == torch.float64


@pytest.mark.parametrize("labels", [[], [0, -1], [0, 3], [[0], [1]], [0.0, 1.0]])
def test_histogram_of_what_is_no_class_is_refused(labels: list[float]) -> None:
    with pytest.raises(ValueError, match=r"labels must be 0 to 2, got|at least one sample"):
        histogram(torch.tensor(labels), 3)


def test_divergence_by_hand() -> None:
    found = kl_divergence(shares(0.5, 0.5, 0), shares(0.25, 0.5, 0.25))
    assert found == pytest.approx(0.5 * math.log(2), rel=1e-15)


@pytest.mark.parametrize("classes", [1, 2, 10, 1000])
def test_divergence_of_random_shares_equals_torch(classes: int) -> None:
    p, q = (torch.rand(classes, generator=generator(seed), dtype=torch.float64) + 1e-3 for seed in (1, 2))
    p, q = p / p.sum(), q / q.sum()
    assert kl_divergence(p, q) == pytest.approx(float(torch_kl(Categorical(p), Categorical(q))), rel=1e-12, abs=1e-15)
    assert kl_divergence(p, p) == 0


def test_divergence_is_infinite_where_there_should_be_nothing_and_counts_nothing_as_nothing() -> None:
    assert kl_divergence(shares(0.5, 0.5), shares(1, 0)) == math.inf
    assert kl_divergence(shares(1, 0), shares(0.5, 0.5)) == pytest.approx(math.log(2), rel=1e-15)
    assert kl_divergence(shares(1, 0, 0), shares(1, 0, 0)) == 0


@pytest.mark.parametrize("classes", [2, 10, 49, 1000])
def test_divergence_from_uniform_is_at_most_the_logarithm_and_reached_by_one_class_alone(classes: int) -> None:
    assert kl_divergence(torch.eye(classes)[classes // 2], uniform(classes)) == pytest.approx(
        math.log(classes), rel=1e-14
    )
    for seed in range(20):
        labels = torch.randint(classes, (1 + seed,), generator=generator(seed))
        found = kl_divergence(histogram(labels, classes), uniform(classes))
        assert 0 <= found <= math.log(classes) * (1 + 1e-14)


def test_divergence_does_not_depend_on_the_order_of_classes_to_the_last_bit() -> None:
    p = torch.rand(1000, generator=generator(1), dtype=torch.float64)
    q = torch.rand(1000, generator=generator(2), dtype=torch.float64)
    p, q = p / p.sum(), q / q.sum()
    for seed in range(5):
        order = torch.randperm(1000, generator=generator(seed))
        assert kl_divergence(p[order], q[order]) == kl_divergence(p, q)


def test_divergence_of_nan_is_nan_and_of_rounding_never_negative() -> None:
    assert math.isnan(kl_divergence(shares(math.nan, 1), shares(0.5, 0.5)))
    assert math.isnan(kl_divergence(shares(0.5, 0.5), shares(math.nan, 1)))
    for seed in range(50):
        p = torch.rand(7, generator=generator(seed), dtype=torch.float64)
        p /= p.sum()
        assert kl_divergence(p, p * (1 + 2e-16)) >= 0


@pytest.mark.parametrize(("p", "q"), [((3,), (4,)), ((2, 2), (2, 2))])
def test_divergence_of_other_classes_is_refused(p: tuple[int, ...], q: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shares of the same classes"):
        kl_divergence(torch.zeros(p), torch.zeros(q))


def test_26000_uniform_draws_hit_all_thousand_classes_at_the_floor_of_the_divergence() -> None:
    count, classes, found = 26_000, 1000, []
    for seed in range(10):
        drawn = histogram(torch.randint(classes, (count,), generator=generator(seed)), classes)
        assert int((drawn > 0).sum()) == 1000
        found.append(kl_divergence(drawn, uniform(classes)))
        assert abs(found[-1] - 0.019) < 0.003
    # 2n KL is nearly χ² with K - 1 degrees of freedom: mean K - 1, variance 2 (K - 1); the next term is K²/12n².
    floor = (classes - 1) / (2 * count) + classes**2 / (12 * count**2)
    error = math.sqrt(2 * (classes - 1)) / (2 * count) / math.sqrt(10)
    assert abs(sum(found) / 10 - floor) < SIGMAS * error


def test_one_of_a_thousand_classes_has_the_logarithm() -> None:
    drawn = histogram(torch.full((26_000,), 123), 1000)
    assert int((drawn > 0).sum()) == 1
    assert kl_divergence(drawn, uniform(1000)) == pytest.approx(math.log(1000), rel=1e-14)


def certain(labels: Tensor, classes: int, gap: float = 200.0) -> Tensor:
    return gap * torch.nn.functional.one_hot(labels, classes).float()


@pytest.mark.parametrize("classes", [2, 10, 1000])
@pytest.mark.parametrize("gap", [200.0, 1e4, 1e30])
def test_score_of_certain_and_uniform_samples_is_the_number_of_classes(classes: int, gap: float) -> None:
    logits = certain(torch.arange(classes).repeat(3), classes, gap)
    assert class_score(logits) == pytest.approx(classes, rel=1e-12)


@pytest.mark.parametrize("gap", [0.0, 1.0, 200.0, 1e4, 1e30])
def test_score_of_samples_that_are_all_alike_is_one(gap: float) -> None:
    # Certain and alike, 0 ln 0 is nan in torchmetrics.
    found = class_score(certain(torch.full((500,), 3), 10, gap))
    assert found >= 1
    assert found == pytest.approx(1, abs=1e-12)


def test_score_of_two_classes_at_one_to_three() -> None:
    entropy = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    assert class_score(certain(torch.tensor([0, 1, 1, 1]), 10)) == pytest.approx(math.exp(entropy), rel=1e-14)


def test_score_by_the_definition_with_torch() -> None:
    logits = 3 * torch.randn(400, 7, generator=generator(), dtype=torch.float64)
    p = Categorical(logits=logits)
    mean = float(torch_kl(p, Categorical(p.probs.mean(0))).mean())
    assert class_score(logits) == pytest.approx(math.exp(mean), rel=1e-12)
    assert class_score(logits.float()) == pytest.approx(math.exp(mean), rel=1e-6)


def test_score_does_not_depend_on_order_shift_of_logits_or_repetition() -> None:
    logits = torch.randn(60, 10, generator=generator(), dtype=torch.float64)
    found = class_score(logits)
    assert found > 1.1
    assert class_score(logits.flip(0)) == pytest.approx(found, rel=1e-13)
    assert class_score(logits[:, torch.randperm(10, generator=generator(1))]) == pytest.approx(found, rel=1e-13)
    assert class_score(logits + torch.arange(60.0)[:, None]) == pytest.approx(found, rel=1e-12)
    assert class_score(logits.repeat(4, 1)) == pytest.approx(found, rel=1e-13)


def test_score_lies_between_one_and_the_number_of_classes() -> None:
    for seed in range(20):
        scale = 10.0 ** (seed % 5 - 2)
        found = class_score(scale * torch.randn(1 + 3 * seed, 10, generator=generator(seed)))
        assert 1 <= found <= 10
    assert class_score(torch.randn(1, 10, generator=generator())) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_score_of_logits_that_are_not_finite_is_no_number(bad: float) -> None:
    logits = torch.zeros(5, 10)
    logits[2, 3] = bad
    assert math.isnan(class_score(logits))


@pytest.mark.parametrize("shape", [(0, 10), (10,), (5, 0), (2, 5, 10)])
def test_score_of_nothing_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="logits"):
        class_score(torch.zeros(shape))
