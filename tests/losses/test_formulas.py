"""Every loss equals its formula as the papers print it, evaluated number by number in float64."""

import math
from collections.abc import Callable, Sequence
from statistics import fmean

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from gan_cli.losses import AdversarialLoss
from gan_cli.losses.bce import BCE
from gan_cli.losses.hinge import Hinge
from gan_cli.losses.lsgan import LSGAN
from gan_cli.losses.minimax import Minimax
from gan_cli.losses.rahinge import RaHinge
from gan_cli.losses.ralsgan import RaLSGAN
from gan_cli.losses.rasgan import RaSGAN
from gan_cli.losses.relativistic import Relativistic
from gan_cli.losses.rsgan import RSGAN
from gan_cli.losses.wgan import WGAN
from gan_cli.streams import Streams

Numbers = Sequence[float]
Formula = Callable[[Numbers, Numbers], float]

REAL = [0.3, -1.7, 4.0, 22.0, -30.0, 0.0]
FAKE = [-0.2, 2.5, -6.0, 21.0, 0.7, -0.9]


def log_sigmoid(x: float) -> float:
    return -(max(-x, 0.0) + math.log1p(math.exp(-abs(x))))


def log_not_sigmoid(x: float) -> float:
    """log(1 - σ(x))."""
    return log_sigmoid(-x)


def relu(x: float) -> float:
    return max(0.0, x)


# (discriminator, generator) as functions of C(r) and C(f).
FORMULAS: dict[type[AdversarialLoss], tuple[Formula, Formula]] = {
    BCE: (
        lambda r, f: -fmean(map(log_sigmoid, r)) - fmean(map(log_not_sigmoid, f)),
        lambda r, f: -fmean(map(log_sigmoid, f)),
    ),
    Minimax: (
        lambda r, f: -fmean(map(log_sigmoid, r)) - fmean(map(log_not_sigmoid, f)),
        lambda r, f: fmean(map(log_not_sigmoid, f)),
    ),
    LSGAN: (
        lambda r, f: 0.5 * fmean((x - 1) ** 2 for x in r) + 0.5 * fmean(x**2 for x in f),
        lambda r, f: 0.5 * fmean((x - 1) ** 2 for x in f),
    ),
    Hinge: (
        lambda r, f: fmean(relu(1 - x) for x in r) + fmean(relu(1 + x) for x in f),
        lambda r, f: -fmean(f),
    ),
    WGAN: (lambda r, f: -fmean(r) + fmean(f), lambda r, f: -fmean(f)),
    RSGAN: (
        lambda r, f: -fmean(log_sigmoid(x - y) for x, y in zip(r, f, strict=True)),
        lambda r, f: -fmean(log_sigmoid(y - x) for x, y in zip(r, f, strict=True)),
    ),
    RaSGAN: (
        lambda r, f: -fmean(log_sigmoid(x - fmean(f)) for x in r) - fmean(log_not_sigmoid(y - fmean(r)) for y in f),
        lambda r, f: -fmean(log_sigmoid(y - fmean(r)) for y in f) - fmean(log_not_sigmoid(x - fmean(f)) for x in r),
    ),
    RaLSGAN: (
        lambda r, f: fmean((x - fmean(f) - 1) ** 2 for x in r) + fmean((y - fmean(r) + 1) ** 2 for y in f),
        lambda r, f: fmean((y - fmean(r) - 1) ** 2 for y in f) + fmean((x - fmean(f) + 1) ** 2 for x in r),
    ),
    RaHinge: (
        lambda r, f: fmean(relu(1 - (x - fmean(f))) for x in r) + fmean(relu(1 + (y - fmean(r))) for y in f),
        lambda r, f: fmean(relu(1 - (y - fmean(r))) for y in f) + fmean(relu(1 + (x - fmean(f))) for x in r),
    ),
}
RELATIVISTIC = [loss for loss in FORMULAS if issubclass(loss, Relativistic)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize("d_scale", [1.0, 0.5])
@pytest.mark.parametrize("loss", FORMULAS)
def test_loss_equals_its_formula(
    loss: type[AdversarialLoss], d_scale: float, dtype: torch.dtype, tolerance: float
) -> None:
    made = loss(d_scale=d_scale)  # type: ignore[call-arg]
    discriminator, generator = FORMULAS[loss]
    real, fake = torch.tensor(REAL, dtype=dtype), torch.tensor(FAKE, dtype=dtype)
    close = {"rtol": tolerance, "atol": tolerance}
    expected = torch.tensor(d_scale * discriminator(REAL, FAKE), dtype=dtype)
    assert_close(made.discriminator(real, fake), expected, **close)
    expected = torch.tensor(generator(REAL, FAKE), dtype=dtype)
    assert_close(made.generator(fake, real if made.relativistic else None), expected, **close)


@pytest.mark.parametrize("constant", [-100.0, 0.25, 7.0, 1024.0])
@pytest.mark.parametrize("loss", [*RELATIVISTIC, WGAN])
def test_a_constant_added_to_all_logits_changes_nothing(loss: type[AdversarialLoss], constant: float) -> None:
    real, fake = torch.tensor(REAL, dtype=torch.float64), torch.tensor(FAKE, dtype=torch.float64)
    close = {"rtol": 1e-11, "atol": 1e-11}
    assert_close(loss().discriminator(real + constant, fake + constant), loss().discriminator(real, fake), **close)
    if loss is not WGAN:  # whose generator does not see the real logits
        assert_close(loss().generator(fake + constant, real + constant), loss().generator(fake, real), **close)


@pytest.mark.parametrize("loss", [loss for loss in FORMULAS if loss not in (*RELATIVISTIC, WGAN)])
def test_other_losses_do_change_with_a_constant(loss: type[AdversarialLoss]) -> None:
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    assert abs(float(loss().discriminator(real + 0.5, fake + 0.5) - loss().discriminator(real, fake))) > 1e-3


@pytest.mark.parametrize("loss", RELATIVISTIC)
def test_relativistic_generator_minimizes_what_the_discriminator_does_with_roles_swapped(
    loss: type[Relativistic],
) -> None:
    real, fake = torch.tensor(REAL, dtype=torch.float64), torch.tensor(FAKE, dtype=torch.float64)
    assert torch.equal(loss().generator(fake, real), loss().discriminator(fake, real))
    assert torch.equal(loss(d_scale=0.5).generator(fake, real), loss().generator(fake, real))


@pytest.mark.parametrize("loss", FORMULAS)
def test_only_relativistic_losses_read_the_real_logits_of_the_generators_move(loss: type[AdversarialLoss]) -> None:
    assert loss.relativistic == (loss in RELATIVISTIC)
    real = torch.tensor(REAL, requires_grad=True)
    fake = torch.tensor(FAKE, requires_grad=True)
    value = loss().generator(fake, real)
    by_fake, by_real = torch.autograd.grad(value, [fake, real], allow_unused=True)
    assert by_fake.any()
    assert (by_real is not None) == loss.relativistic


def test_minimax_generator_maximizes_what_the_discriminator_minimizes() -> None:
    # Its gradient with respect to the fake logits is minus the discriminator's: one value, two players.
    real = torch.tensor(REAL, dtype=torch.float64)
    fake = torch.tensor(FAKE, dtype=torch.float64, requires_grad=True)
    (by_discriminator,) = torch.autograd.grad(Minimax().discriminator(real, fake), fake)
    (by_generator,) = torch.autograd.grad(Minimax().generator(fake), fake)
    assert_close(by_generator, -by_discriminator, rtol=1e-14, atol=0)


def test_minimax_saturates_where_the_non_saturating_generator_learns_most() -> None:
    rejected = torch.tensor([-20.0], dtype=torch.float64, requires_grad=True)
    (saturating,) = torch.autograd.grad(Minimax().generator(rejected), rejected)
    (non_saturating,) = torch.autograd.grad(BCE().generator(rejected), rejected)
    sigma = math.exp(-20) / (1 + math.exp(-20))
    assert_close(saturating, torch.tensor([-sigma], dtype=torch.float64), rtol=1e-12, atol=0)
    assert_close(non_saturating, torch.tensor([sigma - 1], dtype=torch.float64), rtol=1e-12, atol=0)


def test_wgan_improves_without_end_as_the_critic_grows() -> None:
    real, fake = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0])
    values = [float(WGAN().discriminator(scale * real, scale * fake)) for scale in (1.0, 10.0, 1000.0)]
    assert values == [-1.0, -10.0, -1000.0]


def test_hinge_discriminator_does_not_learn_beyond_its_margin() -> None:
    real = torch.tensor([1.5, 0.5], requires_grad=True)
    fake = torch.tensor([-0.5, -1.5], requires_grad=True)
    by_real, by_fake = torch.autograd.grad(Hinge().discriminator(real, fake), [real, fake])
    assert by_real.tolist() == [0.0, -0.5]
    assert by_fake.tolist() == [0.5, 0.0]


@pytest.mark.parametrize("loss", FORMULAS)
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_losses_and_their_gradients_are_finite_at_extreme_logits(loss: type[AdversarialLoss], size: float) -> None:
    real = torch.tensor([size, 0.0], requires_grad=True)
    fake = torch.tensor([-size, 1.0], requires_grad=True)
    for value in (loss().discriminator(real, fake), loss().generator(fake, real)):
        gradients = torch.autograd.grad(value, [real, fake], allow_unused=True)
        assert value.isfinite()
        assert all(gradient is None or bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize("loss", FORMULAS)
def test_losses_of_maps_are_those_of_all_their_positions(loss: type[AdversarialLoss]) -> None:
    real, fake = (torch.tensor(numbers, dtype=torch.float64) for numbers in (REAL, FAKE))
    assert_close(loss().discriminator(real.view(2, 3), fake.view(2, 3)), loss().discriminator(real, fake))
    assert_close(loss().generator(fake.view(2, 3), real.view(2, 3)), loss().generator(fake, real))


@pytest.mark.parametrize("loss", FORMULAS)
def test_a_loss_without_noise_is_the_same_in_every_move(loss: type[AdversarialLoss]) -> None:
    made = loss()
    assert made.drawn(Streams(0, torch.device("cpu")).draws("discriminator", 3), 5) == made


def test_undecided_critics_of_the_cross_entropies_pay_ln_2_for_each_question() -> None:
    zeros = torch.zeros(4, dtype=torch.float64)

    def questions(value: Tensor) -> float:
        return float(value) / math.log(2)

    assert questions(BCE().discriminator(zeros, zeros)) == pytest.approx(2)
    assert questions(RSGAN().discriminator(zeros, zeros)) == pytest.approx(1)
    assert questions(RaSGAN().discriminator(zeros, zeros)) == pytest.approx(2)
    assert questions(Minimax().generator(zeros)) == pytest.approx(-1)
