"""The losses are the formulas of their docstrings, evaluated without overflow or rounding loss."""

import inspect
import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from gan_cli.losses.bce import BCE
from gan_cli.losses.cross_entropy import cross_entropy
from gan_cli.losses.lsgan import LSGAN

TARGETS = [(1.0, 0.0, 1.0), (0.9, 0.0, 0.9), (0.9, 0.1, 1.0), (0.0, 1.0, 0.0), (0.5, 0.5, 0.5)]
LOGITS = [0.0, 1e-3, 0.5, 1.0, 3.0, 10.0, 15.0, 19.5, 20.5, 25.0, 30.0, 36.0, 50.0, 200.0, 700.0]
LOGITS = [*LOGITS, *(-logit for logit in LOGITS)]
REAL, FAKE = [0.3, -1.7, 4.0, 22.0, -30.0], [-0.2, 2.5, -6.0, 21.0]
PRECISION = [(torch.float64, 1e-12), (torch.float32, 1e-6)]


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def plain_bce(logits: Sequence[float], target: float) -> float:
    """-t log σ(l) - (1 - t) log(1 - σ(l)); -log σ(l) = softplus(-l)."""
    return math.fsum(target * softplus(-x) + (1 - target) * softplus(x) for x in logits) / len(logits)


def plain_squares(logits: Sequence[float], target: float) -> float:
    return math.fsum((x - target) ** 2 for x in logits) / len(logits) / 2


PLAIN = {BCE: plain_bce, LSGAN: plain_squares}


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("d_scale", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("loss", [BCE, LSGAN])
def test_losses_equal_their_formulas(
    loss: type, targets: tuple[float, float, float], d_scale: float, dtype: torch.dtype, tolerance: float
) -> None:
    made, plain = loss(*targets, d_scale), PLAIN[loss]
    real, fake = torch.tensor(REAL, dtype=dtype), torch.tensor(FAKE, dtype=dtype)
    b, a, c = targets
    discriminator = d_scale * (plain(REAL, b) + plain(FAKE, a))
    close = {"rtol": tolerance, "atol": tolerance}
    assert_close(made.discriminator(real, fake), torch.tensor(discriminator, dtype=dtype), **close)
    assert_close(made.generator(fake), torch.tensor(plain(FAKE, c), dtype=dtype), **close)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("target", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_cross_entropy_and_its_gradient_keep_every_digit(target: float, dtype: torch.dtype, tolerance: float) -> None:
    logits = torch.tensor(LOGITS, dtype=dtype, requires_grad=True)
    values = cross_entropy(logits, target)
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    smallest = torch.finfo(dtype).tiny  # what underflows may become 0
    expected = [plain_bce([x], target) for x in LOGITS]
    assert_close(values, torch.tensor(expected, dtype=dtype), rtol=tolerance, atol=smallest)
    # d/dl = σ(l) - t, written so that it does not cancel where t is 0 or 1.
    slope = [(1 - target) * sigmoid(x) - target * sigmoid(-x) for x in LOGITS]
    rounding = smallest if target in (0, 1) else torch.finfo(dtype).eps  # elsewhere σ(l) and t do cancel
    assert_close(gradient, torch.tensor(slope, dtype=dtype), rtol=tolerance, atol=rounding)


@pytest.mark.parametrize("targets", TARGETS)
def test_bce_gradients_are_sigmoid_minus_target(targets: tuple[float, float, float]) -> None:
    real = torch.tensor(REAL, dtype=torch.float64, requires_grad=True)
    fake = torch.tensor(FAKE, dtype=torch.float64, requires_grad=True)
    b, a, c = targets
    by_real, by_fake = torch.autograd.grad(BCE(*targets, 0.5).discriminator(real, fake), [real, fake])
    (by_generator,) = torch.autograd.grad(BCE(*targets, 0.5).generator(fake), fake)

    def expected(logits: list[float], target: float, scale: float) -> Tensor:
        return torch.tensor([scale * (sigmoid(x) - target) / len(logits) for x in logits], dtype=torch.float64)

    assert_close(by_real, expected(REAL, b, 0.5), rtol=1e-12, atol=1e-15)
    assert_close(by_fake, expected(FAKE, a, 0.5), rtol=1e-12, atol=1e-15)
    assert_close(by_generator, expected(FAKE, c, 1.0), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("targets", TARGETS)
def test_lsgan_gradients_are_logit_minus_target(targets: tuple[float, float, float]) -> None:
    real = torch.tensor(REAL, dtype=torch.float64, requires_grad=True)
    fake = torch.tensor(FAKE, dtype=torch.float64, requires_grad=True)
    b, a, c = targets
    by_real, by_fake = torch.autograd.grad(LSGAN(*targets, 0.5).discriminator(real, fake), [real, fake])
    (by_generator,) = torch.autograd.grad(LSGAN(*targets, 0.5).generator(fake), fake)
    assert_close(by_real, 0.5 * (real.detach() - b) / len(REAL), rtol=1e-14, atol=0)
    assert_close(by_fake, 0.5 * (fake.detach() - a) / len(FAKE), rtol=1e-14, atol=0)
    assert_close(by_generator, (fake.detach() - c) / len(FAKE), rtol=1e-14, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("target", [0.0, 0.1, 0.9, 1.0])
@pytest.mark.parametrize("logit", [1e4, -1e4])
def test_bce_at_extreme_logits_is_its_asymptote(logit: float, target: float, dtype: torch.dtype) -> None:
    logits = torch.tensor([logit], dtype=dtype, requires_grad=True)
    value = BCE(generator_target=target).generator(logits)
    (gradient,) = torch.autograd.grad(value, logits)
    # softplus(±1e4) is 1e4 or 0 to more than 4,000 digits.
    expected = (1 - target) * max(logit, 0.0) + target * max(-logit, 0.0)
    assert_close(value, torch.tensor(expected, dtype=dtype), rtol=1e-6, atol=0)
    assert_close(gradient, torch.tensor([float(logit > 0) - target], dtype=dtype), rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("logit", [1e4, -1e4])
def test_lsgan_at_extreme_logits_is_exact(logit: float, dtype: torch.dtype) -> None:
    logits = torch.tensor([logit], dtype=dtype, requires_grad=True)
    value = LSGAN().generator(logits)
    (gradient,) = torch.autograd.grad(value, logits)
    assert_close(value, torch.tensor((logit - 1) ** 2 / 2, dtype=dtype), rtol=1e-7, atol=0)
    assert_close(gradient, torch.tensor([logit - 1], dtype=dtype), rtol=0, atol=0)


def test_bce_discriminator_loss_of_an_undecided_critic_is_two_ln_2() -> None:
    zeros = torch.zeros(7, dtype=torch.float64)
    ln2 = torch.tensor(math.log(2), dtype=torch.float64)
    assert_close(BCE().discriminator(zeros, zeros), 2 * ln2, rtol=1e-15, atol=0)
    assert_close(BCE(d_scale=0.5).discriminator(zeros, zeros), ln2, rtol=1e-15, atol=0)
    assert_close(BCE(0.9, 0.1, 0.7).discriminator(zeros, zeros), 2 * ln2, rtol=1e-15, atol=0)
    assert_close(BCE().generator(zeros), ln2, rtol=1e-15, atol=0)


@pytest.mark.parametrize("loss", [BCE, LSGAN])
def test_d_scale_leaves_the_generator_loss(loss: type) -> None:
    fake = torch.tensor(FAKE)
    assert torch.equal(loss(d_scale=0.5).generator(fake), loss().generator(fake))


def test_lsgan_with_reversed_targets_on_one_minus_logits_is_the_default() -> None:
    # Multiples of 1/64: 1 - l is exact, so the two agree in every bit.
    real = torch.arange(-64, 64, 7) / 64
    fake = torch.arange(-100, 100, 9) / 64
    reversed_ = LSGAN(real_target=0.0, fake_target=1.0, generator_target=0.0)
    assert torch.equal(reversed_.discriminator(1 - real, 1 - fake), LSGAN().discriminator(real, fake))
    assert torch.equal(reversed_.generator(1 - fake), LSGAN().generator(fake))


def test_bce_with_reversed_targets_on_negated_logits_is_the_default() -> None:
    real, fake = torch.tensor(REAL, dtype=torch.float64), torch.tensor(FAKE, dtype=torch.float64)
    reversed_ = BCE(real_target=0.0, fake_target=1.0, generator_target=0.0)
    tight = {"rtol": 1e-14, "atol": 0}
    assert_close(reversed_.discriminator(-real, -fake), BCE().discriminator(real, fake), **tight)
    assert_close(reversed_.generator(-fake), BCE().generator(fake), **tight)


@pytest.mark.parametrize("loss", [BCE, LSGAN])
def test_losses_are_functions_of_logits_alone(loss: type) -> None:
    assert list(inspect.signature(loss().discriminator).parameters) == ["real_logits", "fake_logits"]
    assert list(inspect.signature(loss().generator).parameters) == ["fake_logits", "real_logits"]
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    before = loss().discriminator(real, fake)
    torch.rand(3)
    assert torch.equal(loss().discriminator(real, fake), before)  # no draw, no memory
    assert torch.equal(real, torch.tensor(REAL))
    assert torch.equal(fake, torch.tensor(FAKE))


@pytest.mark.parametrize("loss", [BCE, LSGAN])
def test_losses_are_means_over_the_batch(loss: type) -> None:
    real, fake = torch.tensor(REAL, dtype=torch.float64), torch.tensor(FAKE, dtype=torch.float64)
    tight = {"rtol": 1e-14, "atol": 0}
    assert_close(loss().discriminator(real.repeat(3), fake.repeat(2)), loss().discriminator(real, fake), **tight)
    assert_close(loss().generator(fake.repeat(5)), loss().generator(fake), **tight)
